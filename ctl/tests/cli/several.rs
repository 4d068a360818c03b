//! Several coordinators, of which one leads.

use std::sync::{Arc, atomic::Ordering};

use dv_proto::Standby;

use crate::{
    fake::{Beat, Fake},
    following::success,
    support::{call, call_by},
};

/// Two coordinators of one fleet, and the context of an operator who knows both, in this order.
fn two() -> (Fake, Fake, String) {
    let first = Fake::new();
    let second = Fake::with(Arc::clone(&first.trust));
    let context = first.context();
    let (line, rest) = context.split_once('\n').unwrap();
    assert!(line.starts_with("coordinator:"));
    let context = format!("coordinator: [{}, {}]\n{rest}", first.address, second.address);
    (first, second, context)
}

fn stands_by(fake: &Fake, leader: Option<&Fake>) {
    let leader = leader.map(|leader| leader.address.to_string());
    let answer = Standby { leader }.answer("this coordinator stands by");
    *fake.script.refusal.lock().unwrap() = Some(answer);
}

const START: [&str; 6] = ["rollout", "start", "app.yaml", "--version", "v2", "--detach"];

#[test]
fn a_verb_goes_to_the_one_that_leads() {
    let (first, second, context) = two();
    stands_by(&first, Some(&second));
    second.scene("r42", success());
    let told = call_by(&context, &START);
    assert!(told.starts_with("exit: 0\n"), "{told}");
    assert_eq!(second.asked().iter().filter(|asked| asked.starts_with("start")).count(), 1);
    // And the other way round, where nobody is at the first address.
    let (first, second, context) = two();
    let context = context.replace(&first.address.to_string(), "127.0.0.1:1");
    second.scene("r42", success());
    assert!(call_by(&context, &START).starts_with("exit: 0\n"));
    drop(first);
}

#[test]
fn a_verb_whose_answer_was_lost_is_not_said_to_another() {
    let (first, second, context) = two();
    for fake in [&first, &second] {
        fake.scene("r42", success());
        fake.script.cut_answers.store(true, Ordering::SeqCst);
    }
    let told = call_by(&context, &["rollout", "pause", "r42"]);
    assert!(told.starts_with("exit: 8\n"), "{told}");
    assert!(told.contains("may have been done or not"), "{told}");
    assert_eq!(second.asked(), [""; 0]);
}

#[test]
fn a_rollout_is_followed_from_one_to_the_other_without_a_line_lost_or_twice() {
    let whole = Fake::new();
    whole.scene("r42", success());
    let watch = ["rollout", "watch", "r42", "--output", "json"];
    let whole = call(&whole, &watch);
    for cut in [1, 4, 7] {
        let (first, second, context) = two();
        let mut broken = success();
        broken.beats.truncate(cut);
        first.scene("r42", broken.beat(Beat::Gone));
        second.scene("r42", success());
        let told = call_by(&context, &watch);
        let data = |told: &str| told.split("-- stderr").next().unwrap().to_owned();
        assert_eq!(data(&told), data(&whole), "cut after {cut}");
        let follows = second.asked().iter().any(|asked| asked.starts_with("watch r42"));
        assert!(follows, "{:?}", second.asked());
    }
}

#[test]
fn the_addresses_of_the_command_line_count() {
    let (first, second, context) = two();
    second.scene("r42", success());
    let address = second.address.to_string();
    let told = call_by(&context, &["--coordinator", &address, "rollout", "status", "r42"]);
    assert!(!second.asked().is_empty() && first.asked().is_empty(), "{told}");
}

//! Commands that ask or tell the coordinator one thing.

use dv_proto::v1;
use dv_types::{
    Digest, Finding, HostName, RolloutId, Subject,
    outcome::{ImageId, Tags},
    plan::{Note, Severity},
    record::Verdict,
    report::{Phase, State},
};

use crate::{
    fake::{Fake, Scene},
    sample::{ID, plan, report, reversal},
    support::call,
};

fn ended(id: u64) -> dv_types::Report {
    report(RolloutId(id), &plan(), State::Ended(Verdict::Succeeded), &[Phase::Healthy; 3])
}

fn digest(digit: &str) -> Digest {
    Digest::new(format!("sha256:{}", digit.repeat(64))).unwrap()
}

/// A plan with something to say in every section.
fn full_plan() -> dv_types::Plan {
    let mut plan = plan();
    let image = ImageId { id: digest("a"), digest: Some(digest("b")) };
    let subject = Subject::Image { repository: "r.example.com/app".to_owned(), resolve: None };
    let tags = Tags { latest: Some(image), previous: None };
    plan.hosts[2].before = vec![(subject, Finding::Image { tags, resolved: None })];
    plan.hosts[2].from = None;
    plan.notes = vec![
        Note { severity: Severity::Info, host: None, text: "web9 is of another role".to_owned() },
        Note {
            severity: Severity::Warning,
            host: Some(HostName::new("web2").unwrap()),
            text: "it is out of contact".to_owned(),
        },
    ];
    plan
}

#[test]
fn a_plan_reads_like_the_playbook() {
    let fake = Fake::new();
    let scene = Scene::new(full_plan(), Vec::new(), ended(42));
    fake.scene("plan", scene);
    insta::assert_snapshot!(call(&fake, &["plan", "app.yaml", "--version", "v2"]));
}

#[test]
fn a_plan_with_errors_is_shown_and_refused() {
    let fake = Fake::new();
    let mut plan = plan();
    let text = "there is no tag v2".to_owned();
    plan.notes = vec![Note { severity: Severity::Error, host: None, text }];
    fake.scene("plan", Scene::new(plan, Vec::new(), ended(42)));
    let told = call(&fake, &["plan", "app.yaml", "--version", "v2"]);
    assert!(told.starts_with("exit: 3\n"), "{told}");
    assert!(told.contains("error: there is no tag v2\n"), "{told}");
}

#[test]
fn history_lists_every_state() {
    let fake = Fake::new();
    let back =
        report(RolloutId(43), &reversal(), State::Ended(Verdict::Succeeded), &[Phase::Healthy]);
    let mut failed = report(
        ID,
        &plan(),
        State::Ended(Verdict::Failed),
        &[Phase::Failed, Phase::Pending, Phase::Pending],
    );
    failed.reversed_by = Some(RolloutId(43));
    *fake.script.list.lock().unwrap() = vec![back, failed, ended(41)];
    insta::assert_snapshot!(call(&fake, &["rollout", "history", "app"]));
    assert_eq!(fake.asked(), [r#"list "app""#, r#"list releases "app""#]);
}

#[test]
fn status_of_a_rollout_that_is_over() {
    let fake = Fake::new();
    fake.scene("r42", Scene::new(plan(), Vec::new(), ended(42)));
    insta::assert_snapshot!(call(&fake, &["rollout", "status", "r42"]));
}

#[test]
fn the_only_unfinished_rollout_need_not_be_named() {
    let fake = Fake::new();
    let running = |id| report(RolloutId(id), &plan(), State::Running, &[Phase::Pending; 3]);
    *fake.script.list.lock().unwrap() = vec![running(42), ended(41)];
    insta::assert_snapshot!(
        "one_unfinished",
        call(&fake, &["rollout", "pause", "--reason", "lunch"])
    );
    assert_eq!(fake.asked()[1], r#"r42 "pause" reason="lunch""#);

    *fake.script.list.lock().unwrap() = vec![running(44), running(43)];
    insta::assert_snapshot!("two_unfinished", call(&fake, &["rollout", "pause"]));
    *fake.script.list.lock().unwrap() = vec![ended(41)];
    insta::assert_snapshot!("none_unfinished", call(&fake, &["rollout", "pause"]));
}

#[test]
fn every_verb_is_told_as_it_is_meant() {
    let fake = Fake::new();
    for (line, verb) in [
        (&["resume", "r42"][..], r#""resume""#),
        (&["promote", "r42"], r#""promote""#),
        (&["abort", "r42"], r#""abort""#),
        (&["retry", "r42", "web1"], r#"{"retry":{"host":"web1"}}"#),
        (&["skip", "r42", "web1"], r#"{"skip":{"host":"web1"}}"#),
    ] {
        let told = call(&fake, &[&["rollout"], line].concat());
        assert!(told.starts_with("exit: 0\n-- stdout\nr42 "), "{told}");
        assert_eq!(fake.asked().last().unwrap(), &format!(r#"r42 {verb} reason="""#));
    }
}

#[test]
fn hosts_are_listed() {
    let fake = Fake::new();
    let service =
        v1::HostService { service: "app".into(), version: "v2".into(), rollout: "r42".into() };
    *fake.script.hosts.lock().unwrap() = vec![
        v1::Host { name: "web2".into(), agent_version: "0.1.0".into(), ..Default::default() },
        v1::Host {
            name: "web1".into(),
            labels: [("zone".to_owned(), "a".to_owned()), ("role".to_owned(), "web".to_owned())]
                .into(),
            services: vec![service],
            ..Default::default()
        },
    ];
    insta::assert_snapshot!(call(&fake, &["hosts"]));
    insta::assert_snapshot!("hosts_json", call(&fake, &["hosts", "--output", "json"]));
}

#[test]
fn a_token_is_data_and_what_to_do_with_it_a_remark() {
    let fake = Fake::new();
    let line =
        ["agent", "token", "web1", "--label", "zone=a", "--label", "role=web", "--ttl", "5m"];
    insta::assert_snapshot!(call(&fake, &line));
    assert_eq!(fake.asked(), [r#"token web1 {"role": "web", "zone": "a"} 300s"#]);
}

#[test]
fn the_only_service_need_not_be_named() {
    let fake = Fake::new();
    *fake.script.list.lock().unwrap() = vec![ended(42), ended(41)];
    let told = call(&fake, &["rollback", "--detach"]);
    assert!(told.starts_with("exit: 0\n-- stdout\nr43\n"), "{told}");
    // The rollout that the plan showed, not whichever is the last by then.
    let asked = r#"rollback rollout="r42" service="" all_at_once=false reason="""#;
    assert_eq!(fake.asked()[1..], ["plan rollback app", asked]);
}

#[test]
fn a_rollout_can_be_named_for_a_rollback() {
    let fake = Fake::new();
    call(&fake, &["rollback", "r42", "--detach"]);
    let asked = r#"rollback rollout="r42" service="" all_at_once=false reason="""#;
    assert_eq!(fake.asked(), ["plan rollback r42", asked]);
}

#[test]
fn a_rollback_can_be_planned_and_nothing_is_begun() {
    let fake = Fake::new();
    let told = call(&fake, &["rollback", "r42", "--plan"]);
    assert!(told.starts_with("exit: 0\n"), "{told}");
    assert!(told.contains("app: rollback of r42 (v2) on 1 host"), "{told}");
    assert_eq!(fake.asked(), ["plan rollback r42"]);
}

#[test]
fn a_backup_is_restored_only_by_who_names_its_rollout() {
    let fake = Fake::new();
    let restore = ["rollback", "r42", "--restore-backup", "--detach"];
    let told = call(&fake, &restore);
    assert!(told.starts_with("exit: 2\n"), "{told}");
    assert!(told.contains("--confirm r42"), "it says what to do: {told}");
    let told = call(&fake, &[&restore[..], &["--confirm", "r41"]].concat());
    assert!(told.starts_with("exit: 2\n"), "{told}");
    assert!(!fake.asked().iter().any(|asked| asked.starts_with("rollback")), "{:?}", fake.asked());
    let told = call(&fake, &[&restore[..], &["--confirm", "r42"]].concat());
    assert!(told.starts_with("exit: 0\n"), "{told}");
    let last = fake.asked().pop().unwrap();
    assert!(last.ends_with("restore_backup"), "{last}");
}

#[test]
fn what_overrides_a_gate_or_resolves_a_step_needs_a_reason() {
    let fake = Fake::new();
    for (line, asked) in [
        (
            &["rollout", "override", "r42", "reviewed"][..],
            r#"r42 {"override":{"gate":"reviewed"}} reason="seen by me""#,
        ),
        (
            &["rollout", "resolve", "r42", "migrate", "--as", "not-done"][..],
            r#"r42 {"resolve":{"once":"migrate","done":false}} reason="seen by me""#,
        ),
    ] {
        assert!(call(&fake, line).starts_with("exit: 2\n"), "{line:?}");
        let told = call(&fake, &[line, &["--reason", "seen by me"]].concat());
        assert!(told.starts_with("exit: 0\n"), "{told}");
        assert_eq!(fake.asked().pop().unwrap(), asked);
    }
}

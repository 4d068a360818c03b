//! The report of a rollout: which one, in which form, and where it goes.

use std::fs;

use dv_types::{Fact, RolloutId};
use tempfile::tempdir;

use crate::{
    fake::{Beat, Fake, Scene},
    playbook::{Told, condemned, failed_smoke, whole},
    support::{call, prepared, told},
};

fn scene(told: Told) -> Scene {
    Scene::new(told.plan, told.records, told.report)
}

fn data(told: &str) -> &str {
    let (_, after) = told.split_once("-- stdout\n").unwrap();
    after.split_once("-- stderr").unwrap().0
}

#[test]
fn the_last_rollout_of_the_only_service_need_not_be_named() {
    let fake = Fake::new();
    fake.scene("r42", scene(whole()));
    *fake.script.list.lock().unwrap() = vec![whole().report];
    let told = call(&fake, &["rollout", "report"]);
    assert!(told.starts_with("exit: 0\n-- stdout\nr42 app v2: succeeded\n"), "{told}");
    assert!(told.contains("OVERRIDDEN by ann: e2e hangs"), "{told}");
    assert_eq!(fake.asked(), [r#"list """#, "get r42", "watch r42 after 0"]);
}

#[test]
fn where_there_are_several_services_or_none_a_rollout_must_be_named() {
    let fake = Fake::new();
    let told = call(&fake, &["rollout", "report"]);
    assert!(told.starts_with("exit: 2\n") && told.contains("there are no rollouts yet"), "{told}");
    let mut other = whole().report;
    (other.rollout, other.service) = (RolloutId(50), "shop".parse().unwrap());
    *fake.script.list.lock().unwrap() = vec![other, whole().report];
    let told = call(&fake, &["rollout", "report"]);
    assert!(told.starts_with("exit: 2\n"), "{told}");
    assert!(
        told.contains("name a rollout, like the last of each: r50 (shop), r42 (app)"),
        "{told}"
    );
}

#[test]
fn both_ways_to_ask_for_json_give_the_same_document() {
    let fake = Fake::new();
    fake.scene("r42", scene(condemned()));
    let first = call(&fake, &["rollout", "report", "r42", "--format", "json"]);
    let second = call(&fake, &["rollout", "report", "r42", "--output", "json"]);
    assert_eq!(first, second);
    let document: serde_json::Value = serde_json::from_str(data(&first)).unwrap();
    assert_eq!(document["rollout"], "r42");
    assert_eq!(document["reversed_by"], "r43");
}

#[test]
fn an_unfinished_rollout_is_read_up_to_its_report_and_called_so() {
    let fake = Fake::new();
    let scene = scene(failed_smoke());
    // What happens after the first look is not in it, and nothing waits for it.
    let mut later = failed_smoke().records.pop().unwrap();
    (later.number, later.fact) = (later.number + 1, Fact::Recovered);
    fake.scene("r42", scene.beat(Beat::Record(later)).beat(Beat::Silence));
    let told = call(&fake, &["rollout", "report", "r42"]);
    assert!(told.starts_with("exit: 0\n"), "{told}");
    assert!(told.contains("It is unfinished"), "{told}");
    assert!(!told.contains("took the rollout up again"), "{told}");
}

#[test]
fn a_journal_that_is_cut_in_the_middle_is_read_to_its_end() {
    let (whole_fake, cut) = (Fake::new(), Fake::new());
    whole_fake.scene("r42", scene(whole()));
    let mut in_two = scene(whole());
    in_two.beats.insert(9, Beat::Cut);
    cut.scene("r42", in_two);
    let line = ["rollout", "report", "r42"];
    assert_eq!(data(&call(&cut, &line)), data(&call(&whole_fake, &line)));
}

#[test]
fn a_file_is_replaced_as_a_whole_and_its_name_says_its_form() {
    let fake = Fake::new();
    fake.scene("r42", scene(whole()));
    let home = tempdir().unwrap();
    let save = |arguments: &[&str]| {
        let line = [&["rollout", "report", "r42"], arguments].concat();
        told(&prepared(home.path(), &fake.context()).args(line).output().unwrap())
    };
    fs::write(home.path().join("r.html"), "what was there").unwrap();
    let said = save(&["--out", "r.html"]);
    assert_eq!(said, "exit: 0\n-- stdout\n-- stderr\nThe report of r42 is in r.html\n");
    let page = fs::read_to_string(home.path().join("r.html")).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>"), "{page}");
    save(&["-o", "r.json"]);
    let document = fs::read_to_string(home.path().join("r.json")).unwrap();
    serde_json::from_str::<serde_json::Value>(&document).unwrap();
    save(&["-o", "r.json", "--format", "text"]);
    let text = fs::read_to_string(home.path().join("r.json")).unwrap();
    assert!(text.starts_with("r42 app v2: succeeded\n"), "{text}");
    let said = save(&["-o", "missing/r.txt"]);
    assert!(said.starts_with("exit: 1\n"), "{said}");
    assert!(said.contains("missing/r.txt can't be written"), "{said}");
    let names = fs::read_dir(home.path()).unwrap().map(|e| e.unwrap().file_name());
    let beside: Vec<_> = names.filter(|n| n.to_string_lossy().ends_with(".new")).collect();
    assert!(beside.is_empty(), "nothing is left beside it: {beside:?}");
}

use std::fs;

use dv_types::{OpResult, Operation, Outcome, outcome::Output};

use super::*;
use crate::adapter::disk::HostDisk;

fn open(directory: PathBuf, now: Timestamp) -> io::Result<Ledger> {
    Ledger::open(Arc::new(HostDisk), directory, now)
}

fn now() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

fn id(text: &str) -> CommandId {
    text.parse().unwrap()
}

fn intent(number: &str) -> Entry {
    Entry {
        id: id(number),
        operation: Some(Operation::Run {
            argv: vec!["/bin/true".into()],
            timeout: Span::from_secs(1),
            repeatable: false,
        }),
        given: None,
        began: Timestamp::UNIX_EPOCH,
        mark: Some(Mark::Unit(UnitMark { invocation: "abc".into() })),
        outcome: None,
        unfinished: false,
        acknowledged: None,
    }
}

fn ended(number: &str) -> Entry {
    Entry {
        outcome: Some(Outcome {
            command: id(number),
            given: None,
            result: OpResult::Failed("exit code 3".into()),
            began: Timestamp::UNIX_EPOCH,
            took: Span::from_millis(17),
            output: Output { tail: "ümläut\n".into(), dropped: 9 },
            evidence: None,
        }),
        ..intent(number)
    }
}

#[test]
fn an_intent_without_an_outcome_is_known_after_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path().join("ledger"), now()).unwrap();
    assert!(matches!(ledger.known(id("r1-1")), Known::Nothing));
    ledger.write(&intent("r1-1")).unwrap();
    drop(ledger);

    let ledger = open(dir.path().join("ledger"), now()).unwrap();
    assert!(matches!(ledger.known(id("r1-1")), Known::Intent(entry) if entry == intent("r1-1")));
    assert_eq!(ledger.unacknowledged(), [id("r1-1")]);
}

#[test]
fn an_outcome_is_the_same_words_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path().into(), now()).unwrap();
    ledger.write(&intent("r1-1")).unwrap();
    ledger.write(&ended("r1-1")).unwrap();
    let then = now();
    ledger.acknowledge(id("r1-1"), then).unwrap();
    assert!(ledger.unacknowledged().is_empty());

    let ledger = open(dir.path().into(), now()).unwrap();
    assert!(ledger.unacknowledged().is_empty());
    let Known::Ended(entry) = ledger.known(id("r1-1")) else { panic!("it is known") };
    assert_eq!(entry.outcome, ended("r1-1").outcome);
}

#[test]
fn an_acknowledged_outcome_is_forgotten_after_a_week_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path().into(), now()).unwrap();
    for number in ["r1-1", "r1-2"] {
        ledger.write(&ended(number)).unwrap();
    }
    let then = now();
    ledger.acknowledge(id("r1-1"), then).unwrap();
    ledger.prune(KEPT.after(then));
    assert!(matches!(ledger.known(id("r1-1")), Known::Ended(_)));
    ledger.prune(Span::from_secs(1).after(KEPT.after(then)));
    assert!(matches!(ledger.known(id("r1-1")), Known::Nothing));
    assert!(matches!(ledger.known(id("r1-2")), Known::Ended(_)));
}

#[test]
fn a_damaged_file_is_said_to_be_damaged_and_hurts_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path().into(), now()).unwrap();
    ledger.write(&ended("r1-1")).unwrap();
    for (number, text) in [("r1-2", ""), ("r1-3", "{\"id\":\"r1-3\""), ("r1-4", "\0\0\0")] {
        fs::write(dir.path().join(format!("{number}.json")), text).unwrap();
    }
    fs::copy(dir.path().join("r1-1.json"), dir.path().join("r1-5.json")).unwrap();
    fs::write(dir.path().join("r1-6.json.tmp"), "{").unwrap();
    fs::write(dir.path().join("notes.txt"), "hello").unwrap();

    let ledger = open(dir.path().into(), now()).unwrap();
    for number in ["r1-2", "r1-3", "r1-4", "r1-5"] {
        assert!(matches!(ledger.known(id(number)), Known::Damaged(_)), "{number}");
    }
    assert!(matches!(ledger.known(id("r1-1")), Known::Ended(_)));
    assert!(matches!(ledger.known(id("r1-6")), Known::Nothing));
    assert!(!dir.path().join("r1-6.json.tmp").exists());

    // Once something is known of it again, the damaged file is kept aside.
    ledger.write(&ended("r1-2")).unwrap();
    assert!(matches!(ledger.known(id("r1-2")), Known::Ended(_)));
    assert!(dir.path().join("r1-2.damaged").exists());
}

#[test]
fn what_can_not_be_written_is_not_known() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path().join("ledger"), now()).unwrap();
    fs::remove_dir(dir.path().join("ledger")).unwrap();
    let error = ledger.write(&intent("r1-1")).unwrap_err().to_string();
    assert!(error.contains("ledger"), "{error}");
    assert!(matches!(ledger.known(id("r1-1")), Known::Nothing));
}

#[test]
fn a_mark_is_read_as_it_was_written_by_an_older_agent_too() {
    let dir = tempfile::tempdir().unwrap();
    let old = r#"{"id":"r1-1","began":"2026-11-22T12:00:00Z","mark":{"invocation":"abc"}}"#;
    fs::write(dir.path().join("r1-1.json"), old).unwrap();
    let ledger = open(dir.path().into(), now()).unwrap();
    let Known::Intent(entry) = ledger.known(id("r1-1")) else { panic!("it is an intent") };
    assert_eq!(entry.mark, Some(Mark::Unit(UnitMark { invocation: "abc".into() })));
    assert!(!entry.unfinished);

    let commit = dv_types::Commit::new("1".repeat(40)).unwrap();
    for mark in
        [Mark::Tags { tags: Default::default() }, Mark::Commit { commit }, entry.mark.unwrap()]
    {
        let entry = Entry { mark: Some(mark), ..intent("r1-2") };
        ledger.write(&entry).unwrap();
        assert!(matches!(ledger.known(id("r1-2")), Known::Intent(read) if read == entry));
    }
}

#[test]
fn a_tree_is_unfinished_until_a_checkout_of_it_is_done() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path().into(), now()).unwrap();
    let at = |second: u64, number: &str, result: Option<OpResult>, unfinished: bool| {
        let ended = ended(number);
        let outcome = result.map(|result| Outcome { result, ..ended.outcome.clone().unwrap() });
        let commit = dv_types::Commit::new("1".repeat(40)).unwrap();
        let timeout = Span::from_secs(1);
        let operation = Some(Operation::Checkout { tree: "/srv/a".into(), commit, timeout });
        let began = Span::from_secs(second).after(now());
        ledger.write(&Entry { operation, began, outcome, unfinished, ..ended }).unwrap();
        assert!(!ledger.is_unfinished("/srv/b"));
        ledger.is_unfinished("/srv/a")
    };
    let failed = || Some(OpResult::Failed("git fetch".into()));
    assert!(!at(1, "r1-1", Some(OpResult::Done), false));
    assert!(!at(2, "r1-2", failed(), false));
    assert!(at(3, "r1-3", failed(), true));
    // What ended before it wrote has put nothing right.
    assert!(at(4, "r1-4", failed(), false));
    // The last by number, whatever the clock said: it may have been set back by hours.
    assert!(!at(0, "r2-1", Some(OpResult::Done), false));
    assert!(at(0, "r2-2", None, false));
}

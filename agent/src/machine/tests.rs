use dv_types::{Span, Timestamp};

use super::*;

fn run(repeatable: bool) -> Operation {
    Operation::Run { argv: vec!["/bin/true".into()], timeout: Span::from_secs(1), repeatable }
}

fn unit(verb: UnitVerb) -> Operation {
    Operation::Unit { unit: "a.service".into(), verb, timeout: Span::from_secs(1) }
}

/// The steps that happen once in a whole rollout.
fn once_steps() -> [Operation; 3] {
    let argv = || vec!["/bin/true".to_owned()];
    let timeout = Span::from_secs(1);
    let kinds = Default::default();
    [
        Operation::Backup { create: argv(), proof: Default::default(), timeout },
        Operation::Migrate { check: argv(), upgrade: argv(), kinds, timeout },
        Operation::Downgrade { check: argv(), downgrade: argv(), head: None, to: None, timeout },
    ]
}

fn command(operation: Operation) -> Command {
    Command { id: "r1-1".parse().unwrap(), attempt: 1, given: None, operation }
}

fn entry(operation: Operation, mark: Option<&str>) -> Entry {
    Entry {
        id: "r1-1".parse().unwrap(),
        operation: Some(operation),
        given: None,
        began: Timestamp::UNIX_EPOCH,
        mark: mark.map(|invocation| Mark::Unit(UnitMark { invocation: invocation.into() })),
        outcome: None,
        unfinished: false,
        acknowledged: None,
    }
}

fn outcome() -> Outcome {
    Outcome {
        command: "r1-1".parse().unwrap(),
        given: None,
        result: OpResult::Done,
        began: Timestamp::UNIX_EPOCH,
        took: Span::ZERO,
        output: Default::default(),
        evidence: None,
    }
}

#[test]
fn a_new_command_is_done_and_a_known_outcome_is_repeated() {
    assert_eq!(decide(Known::Nothing, &command(run(false))), Decision::Do);
    let ended = Entry { outcome: Some(outcome()), ..entry(run(false), None) };
    assert_eq!(
        decide(Known::Ended(ended.clone()), &command(run(false))),
        Decision::Repeat(outcome())
    );
    assert_eq!(call_off(Known::Ended(ended)), Decision::Repeat(outcome()));
}

#[test]
fn an_intent_is_settled_by_what_can_be_known() {
    let settle = |operation: Operation, mark| {
        decide(Known::Intent(entry(operation.clone(), mark)), &command(operation))
    };
    for repeatable in [run(true), unit(UnitVerb::Start), unit(UnitVerb::Stop)] {
        assert!(matches!(settle(repeatable, None), Decision::Again(_)));
    }
    for doubtful in once_steps().into_iter().chain([run(false)]) {
        let decision = settle(doubtful.clone(), None);
        assert!(matches!(decision, Decision::Close(OpResult::Unknown(_))), "{doubtful}");
    }
    let restart = settle(unit(UnitVerb::Restart), Some("abc"));
    assert!(matches!(restart, Decision::AskSystemd { mark, .. } if mark.invocation == "abc"));
    let unmarked = settle(unit(UnitVerb::Restart), None);
    assert!(matches!(unmarked, Decision::Close(OpResult::Unknown(_))));
}

#[test]
fn what_is_called_off_is_never_begun() {
    assert_eq!(call_off(Known::Nothing), Decision::Close(OpResult::Cancelled));
    let others = [run(true), run(false), unit(UnitVerb::Start)];
    for operation in once_steps().into_iter().chain(others) {
        let decision = call_off(Known::Intent(entry(operation, None)));
        assert!(matches!(decision, Decision::Close(OpResult::Unknown(_))));
    }
    let restart = call_off(Known::Intent(entry(unit(UnitVerb::Restart), Some("abc"))));
    assert!(matches!(restart, Decision::AskSystemd { .. }));
}

#[test]
fn a_damaged_record_and_a_number_with_another_meaning_are_not_done() {
    let damaged = decide(Known::Damaged("x".into()), &command(run(true)));
    assert!(matches!(damaged, Decision::Close(OpResult::Unknown(_))));
    for known in [
        Known::Intent(entry(run(true), None)),
        Known::Ended(Entry { outcome: Some(outcome()), ..entry(run(true), None) }),
    ] {
        let decision = decide(known, &command(unit(UnitVerb::Start)));
        assert!(matches!(decision, Decision::Refuse(OpResult::Refused(_))));
    }
}

#[test]
fn what_was_called_off_before_it_came_stays_so() {
    let tombstone = Entry {
        operation: None,
        outcome: Some(Outcome { result: OpResult::Cancelled, ..outcome() }),
        ..entry(run(true), None)
    };
    let decision = decide(Known::Ended(tombstone), &command(run(true)));
    assert!(matches!(decision, Decision::Repeat(Outcome { result: OpResult::Cancelled, .. })));
}

#[test]
fn what_was_done_under_a_number_in_a_forgotten_time_says_nothing_of_now() {
    let at = |second| Some(Timestamp::from_second(second).unwrap());
    let then = |outcome| Entry { given: at(1), outcome, ..entry(run(true), None) };
    let now = |given| Command { given, ..command(run(true)) };
    for known in [Known::Intent(then(None)), Known::Ended(then(Some(outcome())))] {
        let decision = decide(known, &now(at(2)));
        let Decision::Refuse(OpResult::Unknown(why)) = &decision else { panic!("{decision:?}") };
        assert!(why.contains("start a new rollout"), "{why}");
    }
    // The same command once more; and what a coordinator says that knows of no times.
    for given in [at(1), None] {
        let decision = decide(Known::Ended(then(Some(outcome()))), &now(given));
        assert_eq!(decision, Decision::Repeat(outcome()));
    }
}

use std::fs;

use dv_types::{MigrationKind, Operation, Span};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    limits::Limits,
    operations::{
        perform,
        testing::{self, Scripts},
    },
};

/// A database whose schema is a file. `upgrade` is what the script of that name does.
fn database(state: &str, upgrade: &str) -> (Scripts, Operation) {
    let scripts = Scripts::new();
    fs::write(scripts.path("state"), state).unwrap();
    let operation = Operation::Migrate {
        check: scripts.script("check", "cat state"),
        upgrade: scripts.script("upgrade", upgrade),
        kinds: Kinds::from([("3".to_owned(), MigrationKind::Reversible)]),
        timeout: Span::from_secs(60),
    };
    (scripts, operation)
}

async fn migrate_with(operation: &Operation, limit: Span) -> Attempt {
    perform(operation, &testing::context(testing::no_ports(), limit)).await
}

async fn migrate(operation: &Operation) -> Attempt {
    migrate_with(operation, operation.time_limit()).await
}

const PENDING: &str = "head: 1\npending: 2 expand\npending: 3\n";

fn moved(after: &str, changed: &[(&str, MigrationKind)]) -> Option<Evidence> {
    let changed =
        changed.iter().map(|(name, kind)| Migration { name: (*name).to_owned(), kind: *kind });
    Some(Evidence::Schema {
        before: Some("1".to_owned()),
        after: Some(after.to_owned()),
        changed: changed.collect(),
        omitted: 0,
    })
}

const TWO: (&str, MigrationKind) = ("2", MigrationKind::Expand);
const THREE: (&str, MigrationKind) = ("3", MigrationKind::Reversible);

#[tokio::test]
async fn what_was_pending_is_applied_and_named_in_order() {
    let (_scripts, operation) = database(PENDING, "echo applying; echo head: 3 > state");
    let attempt = migrate(&operation).await;
    assert_eq!(attempt.result, OpResult::Done);
    assert_eq!(attempt.evidence, moved("3", &[TWO, THREE]));
    assert_eq!(attempt.output.tail, "applying\n");
}

#[tokio::test]
async fn where_nothing_is_pending_nothing_is_run() {
    let (scripts, operation) = database("head: 1\n", "touch ran");
    let attempt = migrate(&operation).await;
    assert_eq!((attempt.result, attempt.evidence), (OpResult::Done, moved("1", &[])));
    assert!(attempt.output.tail.contains("nothing is pending"), "{:?}", attempt.output);
    assert!(!scripts.has("ran"));
}

#[tokio::test]
async fn an_upgrade_that_fails_half_way_says_what_it_did() {
    let half = "printf 'head: 2\\npending: 3\\n' > state; echo broken; exit 3";
    let (_scripts, operation) = database(PENDING, half);
    let attempt = migrate(&operation).await;
    assert_eq!(attempt.result, OpResult::Failed("exit code 3".into()));
    assert_eq!(attempt.evidence, moved("2", &[TWO]));
    assert_eq!(attempt.output.tail, "broken\n");
}

#[tokio::test]
async fn an_upgrade_that_leaves_something_behind_has_failed() {
    let (_scripts, operation) = database(PENDING, "printf 'head: 2\\npending: 3\\n' > state");
    let attempt = migrate(&operation).await;
    let OpResult::Failed(why) = attempt.result else { panic!("{:?}", attempt.result) };
    assert!(why.contains("3 is still pending"), "{why}");
    assert_eq!(attempt.evidence, moved("2", &[TWO]));
}

#[tokio::test]
async fn a_program_that_is_not_there_changed_nothing() {
    let (_scripts, mut operation) = database(PENDING, "");
    if let Operation::Migrate { upgrade, .. } = &mut operation {
        *upgrade = vec!["/nowhere/upgrade".to_owned()];
    }
    let attempt = migrate(&operation).await;
    let OpResult::Failed(why) = attempt.result else { panic!("{:?}", attempt.result) };
    assert!(why.contains("/nowhere/upgrade"), "{why}");
    assert_eq!(attempt.evidence, moved("1", &[]));
}

#[tokio::test]
async fn without_a_first_look_nothing_is_begun() {
    let (scripts, operation) = database(PENDING, "touch ran");
    fs::remove_file(scripts.path("state")).unwrap();
    let attempt = migrate(&operation).await;
    let OpResult::Failed(why) = attempt.result else { panic!("{:?}", attempt.result) };
    assert!(why.contains("nothing was begun") && why.contains("No such file"), "{why}");
    assert!(!scripts.has("ran"));
}

#[tokio::test]
async fn without_a_last_look_nobody_knows() {
    for (end, word) in [("exit 0", "done"), ("exit 4", "exit code 4")] {
        let (_scripts, operation) = database(PENDING, &format!("rm state; {end}"));
        let attempt = migrate(&operation).await;
        let OpResult::Unknown(why) = attempt.result else { panic!("{:?}", attempt.result) };
        assert!(why.contains(word) && why.contains("No such file"), "{why}");
        assert_eq!(attempt.evidence, None);
    }
}

const STUCK: &str = "printf 'head: 2\\npending: 3\\n' > state; touch begun; sleep 600";

#[tokio::test]
async fn what_is_called_off_in_the_middle_says_what_it_did() {
    let (scripts, operation) = database(PENDING, STUCK);
    let cancel = CancellationToken::new();
    let limits = Limits::new(operation.time_limit(), cancel.clone());
    let context = Context { limits, ..testing::context(testing::no_ports(), Span::ZERO) };
    let call_off = async {
        while !scripts.has("begun") {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        cancel.cancel();
    };
    let (attempt, ()) = tokio::join!(perform(&operation, &context), call_off);
    assert_eq!(attempt.result, OpResult::Cancelled);
    assert_eq!(attempt.evidence, moved("2", &[TWO]));
}

#[tokio::test]
async fn what_is_killed_at_the_deadline_says_what_it_did() {
    let (_scripts, operation) = database(PENDING, STUCK);
    let attempt = migrate_with(&operation, Span::from_secs(3)).await;
    let OpResult::TimedOut(why) = attempt.result else { panic!("{:?}", attempt.result) };
    assert!(why.contains("was killed"), "{why}");
    assert_eq!(attempt.evidence, moved("2", &[TWO]));
}

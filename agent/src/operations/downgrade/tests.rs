use std::fs;

use dv_types::{Operation, Span};

use super::*;
use crate::operations::{
    perform,
    testing::{self, Scripts},
};

/// Takes a database at `head: 3` back, to wherever that leads.
async fn take_back(head: Option<&str>, downgrade: &str) -> (Scripts, Attempt) {
    take_back_to(head, None, downgrade).await
}

/// Takes a database at `head: 3` back to where it should be.
async fn take_back_to(head: Option<&str>, to: Option<Head>, downgrade: &str) -> (Scripts, Attempt) {
    let scripts = Scripts::new();
    fs::write(scripts.path("state"), "head: 3\n").unwrap();
    let operation = Operation::Downgrade {
        check: scripts.script("check", "cat state"),
        downgrade: scripts.script("downgrade", downgrade),
        head: head.map(str::to_owned),
        to,
        timeout: Span::from_secs(60),
    };
    let context = testing::context(testing::no_ports(), operation.time_limit());
    let attempt = perform(&operation, &context).await;
    (scripts, attempt)
}

fn moved(after: Option<&str>) -> Option<Evidence> {
    let (before, after) = (Some("3".to_owned()), after.map(str::to_owned));
    Some(Evidence::Schema { before, after, changed: Vec::new(), omitted: 0 })
}

#[tokio::test]
async fn migrations_are_taken_back_from_the_head_that_they_left() {
    let (_scripts, attempt) = take_back(Some("3"), "echo back; echo head: 2 > state").await;
    assert_eq!((attempt.result, attempt.evidence), (OpResult::Done, moved(Some("2"))));
    assert_eq!(attempt.output.tail, "back\n");
    let (_scripts, attempt) = take_back(Some("3"), "echo head: empty > state").await;
    assert_eq!((attempt.result, attempt.evidence), (OpResult::Done, moved(None)));
}

#[tokio::test]
async fn another_head_is_left_alone() {
    for head in [Some("2"), None] {
        let (scripts, attempt) = take_back(head, "touch ran").await;
        let OpResult::Failed(why) = attempt.result else { panic!("{:?}", attempt.result) };
        assert!(why.contains("the schema's head is 3, not"), "{why}");
        assert!(why.contains("nothing was done"), "{why}");
        assert!(!scripts.has("ran"));
    }
}

#[tokio::test]
async fn a_downgrade_that_moves_nothing_has_failed() {
    let (_scripts, attempt) = take_back(Some("3"), "true").await;
    let OpResult::Failed(why) = attempt.result else { panic!("{:?}", attempt.result) };
    assert!(why.contains("still 3"), "{why}");
    assert_eq!(attempt.evidence, moved(Some("3")));
}

#[tokio::test]
async fn a_downgrade_that_takes_back_too_many_or_too_few_has_failed() {
    let at = |head: &str| Head::At(head.to_owned());
    // The head that must be there, what the check prints then, and the one that is there.
    let cases = [
        (at("1"), "2", Some("2")),
        (at("2"), "1", Some("1")),
        (at("1"), "empty", None),
        (Head::Empty, "1", Some("1")),
    ];
    for (to, prints, there) in cases {
        let expected = format!("head is {prints}, not {to}: it took back too many");
        let downgrade = format!("echo back; echo head: {prints} > state");
        let (_scripts, attempt) = take_back_to(Some("3"), Some(to), &downgrade).await;
        let OpResult::Failed(why) = attempt.result else { panic!("{:?}", attempt.result) };
        assert!(why.contains(&expected), "{why}");
        assert_eq!((attempt.evidence, attempt.output.tail.as_str()), (moved(there), "back\n"));
    }
    for (to, prints, there) in [(at("1"), "1", Some("1")), (Head::Empty, "empty", None)] {
        let downgrade = format!("echo head: {prints} > state");
        let (_scripts, attempt) = take_back_to(Some("3"), Some(to), &downgrade).await;
        assert_eq!((attempt.result, attempt.evidence), (OpResult::Done, moved(there)));
    }
}

#[tokio::test]
async fn a_downgrade_that_fails_half_way_says_where_it_stands() {
    let (_scripts, attempt) = take_back(Some("3"), "echo head: 2 > state; exit 3").await;
    assert_eq!(attempt.result, OpResult::Failed("exit code 3".into()));
    assert_eq!(attempt.evidence, moved(Some("2")));
    let (_scripts, attempt) = take_back(Some("3"), "rm state").await;
    assert!(matches!(attempt.result, OpResult::Unknown(_)), "{:?}", attempt.result);
}

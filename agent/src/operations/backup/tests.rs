use dv_types::{Operation, Span, Timestamp};

use super::*;
use crate::operations::{
    perform,
    testing::{self, Scripts},
};

const SHA256: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

async fn back_up(create: Vec<String>, proof: Proof) -> Attempt {
    let operation = Operation::Backup { create, proof, timeout: Span::from_secs(60) };
    let context = testing::context(testing::no_ports(), operation.time_limit());
    perform(&operation, &context).await
}

/// Makes a backup with `create` that is shown by the file `dump`.
async fn with_file(create: &str, min_size: u64) -> (Scripts, Attempt) {
    let scripts = Scripts::new();
    let file = Some(scripts.path("dump").to_str().unwrap().to_owned());
    let proof = Proof { file, checksum: true, min_size: Size(min_size), command: None };
    let attempt = back_up(scripts.script("create", create), proof).await;
    (scripts, attempt)
}

async fn printed(create: &str) -> Attempt {
    let scripts = Scripts::new();
    back_up(scripts.script("create", create), Proof::default()).await
}

fn unproven(attempt: &Attempt) -> &str {
    match &attempt.result {
        OpResult::Failed(why) if why.starts_with("the backup has no proof: ") => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_file_proves_a_backup() {
    let began = crate::outside::now();
    let (scripts, attempt) = with_file("printf abc > dump; echo made", 3).await;
    assert_eq!((attempt.result, &*attempt.output.tail), (OpResult::Done, "made\n"));
    let Some(Evidence::Backup { size: 3, created: Some(created), sha256, file }) = attempt.evidence
    else {
        panic!("{:?}", attempt.evidence)
    };
    assert!(created >= began.saturating_sub(GRAIN).unwrap(), "{created} {began}");
    assert_eq!(sha256.as_deref(), Some(SHA256));
    assert_eq!(file.as_deref(), scripts.path("dump").to_str());
}

#[tokio::test]
async fn a_file_that_is_old_small_or_not_there_proves_nothing() {
    for (create, why) in [
        ("printf abc > dump; touch -d '10 seconds ago' dump", "before this step began"),
        ("printf ab > dump", "should be of 3B at least"),
        ("true", "there is no"),
        ("printf abc > real; ln -s real dump", "symbolic link"),
    ] {
        let (_scripts, attempt) = with_file(create, 3).await;
        assert!(unproven(&attempt).contains(why), "{create}: {:?}", attempt.result);
        assert_eq!(attempt.evidence, None, "{create}");
    }
}

#[tokio::test]
async fn a_command_proves_a_backup() {
    let scripts = Scripts::new();
    let command = scripts.script("show", &format!("cat made; echo sha256: {SHA256}"));
    let proof = || Proof { command: Some(command.clone()), ..Proof::default() };
    let attempt = back_up(scripts.script("create", "echo size: 7 > made; echo hi"), proof()).await;
    assert_eq!((attempt.result, &*attempt.output.tail), (OpResult::Done, "hi\n"));
    let sha256 = Some(SHA256.to_owned());
    let proven = Evidence::Backup { size: 7, created: None, sha256, file: None };
    assert_eq!(attempt.evidence, Some(proven));

    let attempt = back_up(scripts.script("create", "rm made"), proof()).await;
    assert!(unproven(&attempt).contains("printed no line `size: BYTES`"), "{:?}", attempt.result);
    let command = Some(scripts.script("show", "echo size: 7; echo no such backup >&2; exit 1"));
    let attempt = back_up(scripts.script("create", "true"), Proof { command, ..proof() }).await;
    assert!(unproven(&attempt).contains("exit code 1"), "{:?}", attempt.result);
    assert!(attempt.output.tail.contains("no such backup"), "{:?}", attempt.output);
}

#[tokio::test]
async fn what_the_backup_prints_proves_it() {
    let later = Span::from_secs(60).after(crate::outside::now());
    let attempt = printed(&format!("echo size: 12; echo created: {later}")).await;
    assert_eq!(attempt.result, OpResult::Done);
    let created = Some(later);
    let proven = Evidence::Backup { size: 12, created, sha256: None, file: None };
    assert_eq!(attempt.evidence, Some(proven));

    for (create, why) in [
        ("echo done", "printed no line `size: BYTES`"),
        ("echo size: 0", "should be of 1B at least"),
        ("echo size: 5; echo sha256: 12", "64 hexadecimal digits"),
        ("echo size: 5; echo created: 2026-01-31T12:00:00Z", "before this step began"),
        ("echo size: 5 >&2", "on standard output"),
    ] {
        let attempt = printed(create).await;
        assert!(unproven(&attempt).contains(why), "{create}: {:?}", attempt.result);
    }
}

#[tokio::test]
async fn a_backup_that_fails_is_asked_for_no_proof() {
    let (_scripts, attempt) = with_file("printf abc > dump; exit 3", 1).await;
    assert_eq!(attempt.result, OpResult::Failed("exit code 3".into()));
    assert_eq!(attempt.evidence, Some(Evidence::Exit { code: Some(3), signal: None }));
}

#[test]
fn a_second_is_the_grain_of_a_file_system() {
    let began: Timestamp = "2026-01-31T12:00:00.9Z".parse().unwrap();
    let made = |created: &str| {
        let created = Some(created.parse().unwrap());
        judge(Found { size: Some(1), created, ..Found::default() }, &Proof::default(), began)
    };
    assert!(made("2026-01-31T12:00:00Z").is_ok());
    assert!(made("2026-01-31T11:59:59.8Z").is_err());
}

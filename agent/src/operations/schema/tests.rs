use super::*;
use crate::operations::testing::Scripts;

async fn look_at(text: &str) -> Result<Schema, String> {
    let scripts = Scripts::new();
    let check = scripts.script("check", text);
    let limits = Limits::of(Duration::from_secs(60));
    look(&crate::adapter::host::Host, &check, &Kinds::new(), &limits)
        .await
        .map_err(|unseen| unseen.why)
}

#[tokio::test]
async fn a_check_is_believed_only_if_it_ended_well() {
    let head = Some("1".to_owned());
    assert_eq!(look_at("echo head: 1").await, Ok(Schema { head, pending: Vec::new() }));
    let why = look_at("echo head: 1; exit 2").await.unwrap_err();
    assert!(why.contains("exit code 2"), "{why}");
    let why = look_at("echo no database >&2; exit 2").await.unwrap_err();
    assert!(why.contains("exit code 2: no database"), "{why}");
}

#[tokio::test]
async fn a_list_that_was_cut_is_not_believed() {
    let text =
        "echo head: 1; i=0; while [ $i -lt 4000 ]; do echo pending: migration-$i; i=$((i+1)); done";
    let why = look_at(text).await.unwrap_err();
    assert!(why.contains("more than 64 KiB"), "{why}");
}

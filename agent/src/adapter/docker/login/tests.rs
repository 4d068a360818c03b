use std::os::unix::fs::PermissionsExt;

use super::*;

fn home(text: &str) -> (tempfile::TempDir, Logins) {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join(".docker")).unwrap();
    fs::write(home.path().join(".docker/config.json"), text).unwrap();
    let logins = Logins::of(home.path());
    (home, logins)
}

async fn found(text: &str, repository: &str) -> Option<(String, String)> {
    let (_home, logins) = home(text);
    let found = logins.find(repository).await.unwrap()?;
    assert!(found.serveraddress.is_some());
    Some((found.username?, found.password?))
}

fn pair(user: &str, password: &str) -> Option<(String, String)> {
    Some((user.to_owned(), password.to_owned()))
}

#[tokio::test]
async fn the_login_is_the_one_of_the_repository_s_registry() {
    // anna:one, bert:two:2, carl:three
    let text = r#"{
        "auths": {
            "registry.example.com:5000": {"auth": "YW5uYTpvbmU="},
            "https://old.example.com/v2/": {"auth": "YmVydDp0d286Mg=="},
            "https://index.docker.io/v1/": {"auth": "Y2FybDp0aHJlZQ=="},
            "empty.example.com": {}
        },
        "HttpHeaders": {"User-Agent": "Docker-Client"}
    }"#;
    for (repository, expected) in [
        ("registry.example.com:5000/debvisor/debvisor", pair("anna", "one")),
        ("old.example.com/app", pair("bert", "two:2")),
        ("library/debian", pair("carl", "three")),
        ("debian", pair("carl", "three")),
        ("docker.io/library/debian", pair("carl", "three")),
        ("registry.example.com/app", None),
        ("empty.example.com/app", None),
        ("localhost/app", None),
    ] {
        assert_eq!(found(text, repository).await, expected, "{repository}");
    }
}

#[tokio::test]
async fn a_token_is_a_token() {
    let (_home, logins) = home(r#"{"auths": {"r.example.com": {"identitytoken": "t0ken"}}}"#);
    let found = logins.find("r.example.com/app").await.unwrap().unwrap();
    assert_eq!((found.identitytoken.as_deref(), found.password), (Some("t0ken"), None));
}

#[tokio::test]
async fn without_a_file_there_is_no_login() {
    let home = tempfile::tempdir().unwrap();
    assert!(Logins::of(home.path()).find("r.example.com/app").await.unwrap().is_none());
    assert_eq!(found("{}", "r.example.com/app").await, None);
}

#[tokio::test]
async fn what_is_not_valid_is_said_without_what_is_secret() {
    for text in [
        r#"{"auths": "s3cret"}"#,
        r#"{"auths": {"r.example.com": {"auth": "s3cret!"}}}"#,
        // s3cret
        r#"{"auths": {"r.example.com": {"auth": "czNjcmV0"}}}"#,
        r#"{"credsStore": "../s3cret"}"#,
    ] {
        let (_home, logins) = home(text);
        let why = logins.find("r.example.com/app").await.unwrap_err().to_string();
        assert!(why.contains(".docker/config.json") && why.contains("docker login"), "{why}");
        assert!(!why.contains("s3cret") && !why.contains("czNjcmV0"), "{why}");
    }
}

#[tokio::test]
async fn a_helper_that_is_not_there_is_named() {
    let (_home, logins) = home(r#"{"credHelpers": {"r.example.com": "nowhere-at-all"}}"#);
    let why = logins.find("r.example.com/app").await.unwrap_err().to_string();
    assert!(why.contains("docker-credential-nowhere-at-all") && why.contains("run it"), "{why}");
    // It is not asked for another registry.
    assert!(logins.find("other.example.com/app").await.unwrap().is_none());
}

#[test]
fn the_registry_s_own_helper_comes_before_the_one_for_all() {
    let text = r#"{"credsStore": "all", "credHelpers": {"r.example.com": "own"}}"#;
    let file: File = serde_json::from_str(text).unwrap();
    assert_eq!(file.helper("r.example.com"), Some("own"));
    assert_eq!(file.helper(HUB), Some("all"));
    assert_eq!(File::default().helper(HUB), None);
}

#[tokio::test]
async fn a_helper_is_asked_for_the_registry() {
    let dir = tempfile::tempdir().unwrap();
    let helper = dir.path().join("helper");
    let ask = async |does: &str| {
        let text = format!("#!/bin/sh\n[ \"$1\" = get ] || exit 9\nread registry\n{does}\n");
        fs::write(&helper, text).unwrap();
        fs::set_permissions(&helper, PermissionsExt::from_mode(0o755)).unwrap();
        answer(helper.to_str().unwrap(), "r.example.com").await
    };
    let login = ask(r#"echo "{\"ServerURL\":\"x\",\"Username\":\"$registry\",\"Secret\":\"s\"}""#);
    let login = login.await.unwrap().unwrap();
    assert_eq!(login.username.as_deref(), Some("r.example.com"));
    assert_eq!(login.password.as_deref(), Some("s"));
    let token = ask(r#"echo '{"Username":"<token>","Secret":"t"}'"#).await.unwrap().unwrap();
    assert_eq!((token.identitytoken.as_deref(), token.username), (Some("t"), None));
    let none = ask("echo credentials not found in native keychain; exit 1").await;
    assert!(none.unwrap().is_none());
    for broken in ["echo s3cret", "echo s3cret; exit 3"] {
        let why = ask(broken).await.unwrap_err();
        assert!(!why.contains("s3cret"), "{why}");
    }
}

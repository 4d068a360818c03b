use std::fs;

use base64::{Engine, prelude::BASE64_URL_SAFE};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixListener,
};

use super::*;

/// Takes one request and gives this answer; returns the log-in that came with the request.
async fn login_with(listener: &UnixListener, answer: &str) -> serde_json::Value {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut some = [0; 1024];
        let count = stream.read(&mut some).await.unwrap();
        assert!(count > 0, "the request ends early");
        request.extend_from_slice(&some[..count]);
    }
    let length = answer.len();
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{answer}"
    );
    stream.write_all(answer.as_bytes()).await.unwrap();
    let request = String::from_utf8(request).unwrap();
    let header = request.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("x-registry-auth").then_some(value)
    });
    serde_json::from_slice(&BASE64_URL_SAFE.decode(header.unwrap()).unwrap()).unwrap()
}

#[tokio::test]
async fn the_registry_s_login_goes_with_a_pull_and_a_question() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join(".docker")).unwrap();
    // anna:one
    let logins = r#"{"auths": {"r.example.com": {"auth": "YW5uYTpvbmU="}}}"#;
    fs::write(home.path().join(".docker/config.json"), logins).unwrap();
    let socket = home.path().join("docker.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let docker = Docker::connect(Some(&socket), Logins::of(home.path())).unwrap();
    let digest = Digest::new(format!("sha256:{}", "a".repeat(64))).unwrap();

    let (pulled, login) =
        tokio::join!(docker.pull("r.example.com/app", &digest, &|_| {}), login_with(&listener, ""));
    pulled.unwrap();
    assert_eq!((&login["username"], &login["password"]), (&"anna".into(), &"one".into()));

    let answer = format!(r#"{{"Descriptor": {{"digest": "{digest}"}}, "Platforms": []}}"#);
    let (resolved, login) =
        tokio::join!(docker.resolve("r.example.com/app", "v1"), login_with(&listener, &answer));
    assert_eq!(resolved.unwrap(), Some(digest));
    assert_eq!((&login["username"], &login["password"]), (&"anna".into(), &"one".into()));
}

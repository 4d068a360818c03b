//! Everything that can stand between `dvctl` and the coordinator.

use std::net::TcpListener;

use tonic::Status;

use crate::{
    fake::Fake,
    support::{call, call_by},
    trust::Trust,
};

const HOSTS: [&str; 1] = ["hosts"];

/// What was told, without the number of the port.
fn by(context: &str, fake: &Fake) -> String {
    call_by(context, &HOSTS).replace(&fake.address.port().to_string(), "PORT")
}

#[test]
fn nothing_listens_there() {
    // Bound and given up: the next one to get it is not this test.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let told = call_by(&Trust::new().context(&format!("127.0.0.1:{port}")), &HOSTS);
    insta::assert_snapshot!(told.replace(&port.to_string(), "PORT"));
}

#[test]
fn no_such_name() {
    let told = call_by(&Trust::new().context("coordinator.invalid:7443"), &HOSTS);
    insta::assert_snapshot!(told);
}

#[test]
fn no_address() {
    insta::assert_snapshot!(call_by(&Trust::new().context("coordinator"), &HOSTS));
}

#[test]
fn the_coordinator_is_of_another_ca() {
    let fake = Fake::new();
    let context = fake.trust.context_trusting(&Trust::new(), &fake.address.to_string());
    insta::assert_snapshot!(by(&context, &fake));
}

#[test]
fn the_operator_is_of_another_ca() {
    let fake = Fake::new();
    let context = Trust::new().context_trusting(&fake.trust, &fake.address.to_string());
    insta::assert_snapshot!(by(&context, &fake));
}

#[test]
fn the_operators_certificate_has_expired() {
    let mut trust = Trust::new();
    trust.operator_expired = true;
    let fake = Fake::with(trust);
    insta::assert_snapshot!(by(&fake.context(), &fake));
}

#[test]
fn the_certificate_is_for_another_name() {
    let mut trust = Trust::new();
    trust.server_name = "elsewhere.example.com";
    let fake = Fake::with(trust);
    insta::assert_snapshot!(by(&fake.context(), &fake));
}

#[test]
fn what_answers_speaks_no_tls() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        use std::io::Write as _;
        for stream in listener.incoming() {
            let _ = stream.unwrap().write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let told = call_by(&Trust::new().context(&address.to_string()), &HOSTS);
    assert!(told.starts_with("exit: 9\n"), "{told}");
    assert!(told.contains("is this the coordinator's port?"), "{told}");
}

/// Takes the ten seconds that a connection may take.
#[test]
fn what_answers_says_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let context = Trust::new().context(&address.to_string());
    let home = tempfile::tempdir().unwrap();
    let start = ["rollout", "start", "app.yaml", "--version", "v2"];
    let output = crate::support::prepared(home.path(), &context).args(start).output().unwrap();
    let told = crate::support::told(&output);
    assert!(told.starts_with("exit: 9\n"), "{told}");
    assert!(told.contains("no answer in time"), "{told}");
}

#[test]
fn a_refusal_is_3_in_the_coordinators_words() {
    for status in [
        Status::invalid_argument("the version v9 is not to be had"),
        Status::failed_precondition(
            "r41 of app is still going on: wait, or `dvctl rollout abort r41`",
        ),
        Status::not_found("there is no rollout r99"),
        Status::already_exists("it is there already"),
        Status::permission_denied("this is a host's certificate"),
        Status::unauthenticated("no certificate was shown"),
    ] {
        let fake = Fake::new();
        let text = status.message().to_owned();
        *fake.script.refusal.lock().unwrap() = Some(status);
        let told = call(&fake, &["rollout", "start", "app.yaml", "--version", "v2"]);
        assert_eq!(told, format!("exit: 3\n-- stdout\n-- stderr\nerror: {text}\n"));
    }
}

#[test]
fn a_coordinator_that_is_not_ready_is_9() {
    let fake = Fake::new();
    let status = Status::unavailable("the coordinator is starting: try again in a moment");
    *fake.script.refusal.lock().unwrap() = Some(status);
    let told = call(&fake, &["rollout", "start", "app.yaml", "--version", "v2"]);
    assert!(told.starts_with("exit: 9\n"), "{told}");
    assert!(told.contains("try again in a moment"), "{told}");
}

#[test]
fn a_coordinator_that_breaks_is_1() {
    let fake = Fake::new();
    *fake.script.refusal.lock().unwrap() = Some(Status::internal("the store can't be written"));
    let told = call(&fake, &HOSTS);
    assert!(told.starts_with("exit: 1\n"), "{told}");
    assert!(told.contains("the store can't be written"), "{told}");
}

#[test]
fn a_bad_manifest_is_found_before_the_coordinator_is_asked() {
    let fake = Fake::new();
    let home = tempfile::tempdir().unwrap();
    let mut command = crate::support::prepared(home.path(), &fake.context());
    std::fs::write(home.path().join("app.yaml"), "service: App\n").unwrap();
    let output =
        command.args(["rollout", "start", "app.yaml", "--version", "v2"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(fake.asked(), [""; 0]);
}

//! Who is who: operators, hosts that are let in no more, authorities, and a certificate that is renewed in time.

use std::{fs, os::unix::fs::PermissionsExt as _, sync::atomic::Ordering};

use dv_proto::v1;
use tempfile::tempdir;

use crate::{
    fake::Fake,
    support::{call, call_by, dvctl, prepared, told},
};

#[test]
fn a_host_is_revoked_with_a_reason_and_listed_as_such() {
    let fake = Fake::new();
    let refused = call(&fake, &["hosts", "revoke", "web1"]);
    assert!(refused.contains("--reason"), "{refused}");
    let text = call(&fake, &["hosts", "revoke", "web1", "--reason", "stolen"]);
    assert!(text.contains("exit: 0") && text.contains("dvctl agent token web1"), "{text}");
    assert_eq!(fake.asked(), ["revoke host web1: stolen"]);

    let revoked = v1::Revocation { reason: "stolen".to_owned(), ..v1::Revocation::default() };
    let host = |name: &str| v1::Host { name: name.to_owned(), ..v1::Host::default() };
    *fake.script.hosts.lock().unwrap() = vec![
        v1::Host { revoked: Some(revoked), ..host("web1") },
        v1::Host { certificate_until: "2020-01-01T00:00:00Z".to_owned(), ..host("web2") },
        v1::Host { certificate_until: "2999-01-01T00:00:00Z".to_owned(), ..host("web3") },
    ];
    let text = call(&fake, &["hosts"]);
    let lines: Vec<_> = text.lines().filter(|line| line.contains("web")).collect();
    assert!(lines[0].contains("revoked"), "{text}");
    assert!(lines[1].contains("certificate expired"), "{text}");
    assert!(lines[2].contains("never"), "{text}");
}

#[test]
fn operators_are_listed_and_revoked() {
    let fake = Fake::new();
    let text = call(&fake, &["operators", "revoke", "bob", "--reason", "has left"]);
    assert!(text.contains("exit: 0"), "{text}");
    assert_eq!(fake.asked(), ["revoke operator bob: has left"]);
    let operator = |name: &str, until: &str| v1::Operator {
        name: name.to_owned(),
        since: "2026-01-01T00:00:00Z".to_owned(),
        certificate_until: until.to_owned(),
        ..v1::Operator::default()
    };
    *fake.script.operators.lock().unwrap() =
        vec![operator("alice", "2999-01-01T00:00:00Z"), operator("bob", "2020-01-01T00:00:00Z")];
    let text = call(&fake, &["operators"]);
    assert!(text.contains("alice") && text.contains("good for"), "{text}");
    assert!(text.contains("bob") && text.contains("expired"), "{text}");
}

#[test]
fn an_operator_that_is_added_has_a_context_file_that_works() {
    let fake = Fake::new();
    let home = tempdir().unwrap();
    let output =
        prepared(home.path(), &fake.context()).args(["operators", "add", "bob"]).output().unwrap();
    assert!(output.status.success(), "{}", told(&output));
    let context = String::from_utf8(output.stdout).unwrap();
    assert!(context.contains("bob") && context.contains("PRIVATE KEY"), "{context}");
    let text = call_by(&context, &["hosts"]);
    assert!(text.contains("exit: 0"), "{text}");
    assert_eq!(fake.asked(), ["add operator bob", "hosts"]);
}

#[test]
fn an_authority_is_shown_rotated_and_retired() {
    let fake = Fake::new();
    let authority = |pin: char, dependants: &[&str]| v1::Authority {
        pin: pin.to_string().repeat(64),
        until: "2999-01-01T00:00:00Z".to_owned(),
        hosts: 5,
        dependants: dependants.iter().map(ToString::to_string).collect(),
        ..v1::Authority::default()
    };
    fake.script.authority.lock().unwrap().authorities =
        vec![authority('a', &[]), authority('b', &["host web1"])];
    for arguments in
        [&["ca"][..], &["ca", "rotate"], &["ca", "retire"], &["ca", "retire", "--force"]]
    {
        let text = call(&fake, arguments);
        assert!(text.contains("exit: 0"), "{text}");
        assert!(text.contains("aaaaaaaaaaaaaaaa") && text.contains("issues"), "{text}");
        assert!(text.contains("host web1"), "{text}");
    }
    assert_eq!(fake.asked(), ["authority", "rotate", "retire false", "retire true"]);
}

#[test]
fn a_certificate_that_is_old_is_renewed_in_the_context_file_and_nothing_else_is() {
    let fake = Fake::new();
    let home = tempdir().unwrap();
    let file = home.path().join(".config/dv/context.yaml");
    let before = fake.context();
    let hosts = || {
        let output = dvctl(home.path()).arg("hosts").output().unwrap();
        assert!(output.status.success() && !told(&output).contains("renewed"), "{}", told(&output));
    };
    drop(prepared(home.path(), &before));
    hosts();
    assert_eq!(fs::read_to_string(&file).unwrap(), before);

    fake.script.is_old.store(true, Ordering::SeqCst);
    hosts();
    fake.script.is_old.store(false, Ordering::SeqCst);
    let after = fs::read_to_string(&file).unwrap();
    assert_ne!(after, before);
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o7777, 0o600);
    let key = |text: &str| {
        let key: Vec<_> =
            text.lines().map(str::trim).skip_while(|line| !line.contains("PRIVATE")).collect();
        key[..3].join("")
    };
    assert_eq!(key(&after), key(&before));
    hosts();
    assert_eq!(fake.asked(), ["hosts", "hosts", "renew", "hosts"]);

    // Where it can't be written, the command is done all the same.
    fake.script.is_old.store(true, Ordering::SeqCst);
    let output = dvctl(home.path())
        .args(["hosts", "--context", "/dev/fd/0"])
        .stdin(fs::File::open(&file).unwrap())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", told(&output));
}

#[test]
fn a_context_file_that_others_can_read_is_not_used() {
    let fake = Fake::new();
    let home = tempdir().unwrap();
    let mut command = prepared(home.path(), &fake.context());
    let file = home.path().join(".config/dv/context.yaml");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let text = told(&command.arg("hosts").output().unwrap());
    assert!(text.contains("exit: 2") && text.contains("chmod 600"), "{text}");
    assert!(fake.asked().is_empty());
}

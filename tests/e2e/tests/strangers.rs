//! A host without a certificate, with a foreign one, or with a used token gets nothing; nor does a wrong operator.

use std::{fs, time::Duration};

use dv_e2e::{bed::PORT, machine::Machine, scenario::Scenario, wait::until};
use dv_proto::{
    dial::{self, Identity},
    v1,
};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    SanType,
};
use tonic::Code;

/// A certificate and its key that a CA of nobody's knowledge made, for the same name as a true one.
struct Foreign {
    certificate: String,
    key: String,
}

fn foreign(uri: &str) -> Foreign {
    let ca_key = KeyPair::generate().expect("a key can be made");
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name.push(DnType::CommonName, "dv CA");
    let ca = Issuer::new(ca, ca_key);
    let key = KeyPair::generate().expect("a key can be made");
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::URI(uri.try_into().expect("a URI"))];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.signed_by(&key, &ca).expect("a certificate can be made");
    Foreign { certificate: certificate.pem(), key: key.serialize_pem() }
}

/// An operator's context with the certificate of a foreign CA.
pub(crate) fn foreign_context(ours: &str) -> String {
    let foreign = foreign("spiffe://dv/operator/admin");
    let indented = |pem: &str| pem.lines().map(|l| format!("  {l}\n")).collect::<String>();
    let rest = |key: &str| {
        let from = ours.find(&format!("{key}:")).expect("the context has it");
        let part = &ours[from..];
        let end =
            part.match_indices('\n').map(|(i, _)| i + 1).find(|i| !part[*i..].starts_with(' '));
        part[..end.unwrap_or(part.len())].to_owned()
    };
    format!(
        "{}{}{}certificate: |\n{}key: |\n{}",
        rest("coordinator"),
        rest("name"),
        rest("ca"),
        indented(&foreign.certificate),
        indented(&foreign.key)
    )
}

/// What the coordinator answers to a link and to an operator's question by somebody with this identity.
fn answers(scenario: &Scenario, identity: Option<Identity<'_>>) -> [Result<(), tonic::Status>; 2] {
    let ca =
        scenario.bed.coordinator.exec(&["cat", "/var/lib/dv-coordinator/operator/admin.yaml"]).ok();
    let ca = pem_of(&ca, "ca");
    let address = format!("{}:{PORT}", scenario.bed.coordinator.address);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let tls = dial::client_tls(&ca, identity).expect("the identity can be read");
        let channel = dial::channel(&address, tls).expect("an address");
        let hello =
            v1::FromAgent { message: Some(v1::from_agent::Message::Hello(v1::Hello::default())) };
        let mut link = v1::agent_link_client::AgentLinkClient::new(channel.clone());
        let linked = async {
            let mut stream = link.link(tokio_stream::iter([hello])).await?.into_inner();
            stream.message().await.map(drop)
        };
        let linked = tokio::time::timeout(Duration::from_secs(10), linked).await;
        let mut control = v1::control_client::ControlClient::new(channel);
        let asked = control.list_hosts(v1::ListHostsRequest {}).await.map(drop);
        [linked.unwrap_or_else(|_| Err(tonic::Status::deadline_exceeded("no answer"))), asked]
    })
}

/// A PEM text of a context.
fn pem_of(context: &str, key: &str) -> String {
    let after = context.split(&format!("{key}: |\n")).nth(1).expect("the context has it");
    after.lines().take_while(|l| l.starts_with(' ')).map(|l| format!("{}\n", l.trim())).collect()
}

#[track_caller]
fn gets_nothing(answers: [Result<(), tonic::Status>; 2]) {
    for (what, answer) in ["a link", "the hosts"].iter().zip(answers) {
        let status = answer.expect_err(&format!("it was given {what}"));
        // A refusal, or a handshake that failed; not a time-out, and not a bug behind the door.
        // In TLS 1.3 a client learns of it after its own handshake: then the connection is closed under its call.
        let closed =
            status.code() == Code::Cancelled && format!("{status:?}").contains("Transport");
        assert!(
            closed
                || matches!(
                    status.code(),
                    Code::Unauthenticated
                        | Code::PermissionDenied
                        | Code::Unavailable
                        | Code::Unknown
                ),
            "{what}: {status:?}"
        );
    }
}

#[test]
fn nobody_without_a_certificate_gets_anything() {
    let scenario = Scenario::begin("no-certificate");
    let answers = answers(&scenario, None);
    for answer in &answers {
        assert_eq!(answer.as_ref().expect_err("refused").code(), Code::Unauthenticated);
    }
    gets_nothing(answers);
}

#[test]
fn nobody_with_a_foreign_certificate_gets_anything() {
    let scenario = Scenario::begin("foreign");
    for uri in ["spiffe://dv/host/h1", "spiffe://dv/operator/admin"] {
        let foreign = foreign(uri);
        let identity = Identity { certificate: &foreign.certificate, key: &foreign.key };
        gets_nothing(answers(&scenario, Some(identity)));
    }
    until(Duration::from_secs(10), "five hosts to be in contact", || {
        scenario.dvctl.all_connected()
    });
}

#[test]
fn a_host_is_no_operator_and_an_operator_is_no_host() {
    let scenario = Scenario::begin("wrong-kind");
    let read = |name| {
        scenario.host("h1").exec(&["cat", &format!("/var/lib/dv-agent/identity/{name}.pem")]).ok()
    };
    let (certificate, key) = (read("certificate"), read("key"));
    let [_, asked] = answers(&scenario, Some(Identity { certificate: &certificate, key: &key }));
    assert_eq!(asked.expect_err("a host asks for the fleet").code(), Code::PermissionDenied);

    let context = fs::read_to_string(scenario.dvctl.context()).expect("the context can be read");
    let (certificate, key) = (pem_of(&context, "certificate"), pem_of(&context, "key"));
    let [linked, asked] =
        answers(&scenario, Some(Identity { certificate: &certificate, key: &key }));
    assert_eq!(linked.expect_err("an operator links").code(), Code::PermissionDenied);
    assert!(asked.is_ok(), "the operator is one: {asked:?}");
}

#[test]
fn a_token_lets_one_host_in_once() {
    let scenario = Scenario::begin("token");
    let newcomer = scenario.host("h5");
    let token = scenario.dvctl.token("newcomer", &[]).expect("a token");

    let wrong_name = enrol(newcomer, "impostor", &token);
    assert_ne!(wrong_name.code, Some(0), "another host used the token\n{wrong_name}");
    enrol(newcomer, "newcomer", &token).ok();
    let again = enrol(newcomer, "newcomer", &token);
    assert_ne!(again.code, Some(0), "a token was used twice\n{again}");
    assert!(again.stderr.contains("token"), "it says why\n{again}");

    let mut forged = token.clone();
    let last = forged.pop().expect("a token has letters");
    forged.push(if last == '0' { '1' } else { '0' });
    let pinned = enrol(newcomer, "newcomer", &forged);
    assert_ne!(
        pinned.code,
        Some(0),
        "a coordinator that the token does not name was trusted\n{pinned}"
    );
}

#[test]
fn a_token_ends() {
    let scenario = Scenario::begin("old-token");
    let made = scenario.dvctl.json(&["agent", "token", "late", "--ttl", "1s"]);
    let text = |key: &str| made[key].as_str().expect("the token's document has it").to_owned();
    let expires: jiff::Timestamp = text("expires").parse().expect("a time");
    until(Duration::from_secs(10), "the token to be too old", || match jiff::Timestamp::now() {
        now if now > expires => Ok(()),
        now => Err(now),
    });
    let ran = enrol(scenario.host("h5"), "late", &text("token"));
    assert_ne!(ran.code, Some(0), "an old token was used\n{ran}");
    assert!(ran.stderr.contains("expired"), "it says why\n{ran}");
}

/// `dv-agent enrol` with a state directory of its own, which is new.
fn enrol(host: &Machine, name: &str, token: &str) -> dv_e2e::shell::Ran {
    let config = format!(
        "coordinator: coordinator.bed:{PORT}\nstate_dir: /root/strangers/{name}\npolicy: /etc/dv-agent/policy.yaml\n"
    );
    host.script("rm -rf /root/strangers").ok();
    host.write("/root/stranger.yaml", &config).expect("written");
    host.exec_with(
        &[
            "dv-agent",
            "enrol",
            "--config",
            "/root/stranger.yaml",
            "--token-file",
            "-",
            "--host",
            name,
        ],
        token.as_bytes(),
    )
}

//! The gates `reviewed` and `tests` against forges that speak as the real ones are documented to.

mod gitea;
mod github;
mod gitlab;

use std::{fs, os::unix::fs::PermissionsExt as _, sync::Arc, time::Duration};

use dv_types::{
    gate::Answer,
    manifest::{Reviewed, Tests},
};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use serde_json::{Value, json};

use super::{Reply, reviewed, source, tests};
use crate::forge::{
    Forge, ForgeConfig, Kind, Trouble,
    stub::{self, Stub},
};

const SECRET: &str = "s3cret-of-the-test";
const COMMIT: &str = "c0ffee0000000000000000000000000000000001";
const HEAD: &str = "c0ffee0000000000000000000000000000000002";
const OLD: &str = "c0ffee0000000000000000000000000000000003";

/// One kind of forge, in which everything is as it should be: `v2` is [`COMMIT`] on `main`, merged by a pull request of
/// `ann` whose last push `bob` approved; the checks `unit` and `lint` succeeded.
struct Trial {
    stub: Stub,
    forge: Forge,
    config: ForgeConfig,
    /// Where the forge tells each thing.
    at: At,
    _directory: tempfile::TempDir,
}

struct At {
    commit: &'static str,
    compare: &'static str,
    pulls: &'static str,
    reviews: &'static str,
    checks: &'static str,
}

impl Trial {
    async fn of(kind: Kind) -> Self {
        let header = match kind {
            Kind::Github => format!("authorization: Bearer {SECRET}"),
            Kind::Gitlab => format!("private-token: {SECRET}"),
            Kind::Gitea => format!("authorization: token {SECRET}"),
        };
        let stub = Stub::start(&header).await;
        let directory = tempfile::tempdir().unwrap();
        let token_file = directory.path().join("forge.token");
        fs::write(&token_file, format!("{SECRET}\n")).unwrap();
        fs::set_permissions(&token_file, fs::Permissions::from_mode(0o600)).unwrap();
        let config = ForgeConfig {
            kind,
            url: Some(stub.url()),
            token_file: Some(token_file),
            credential: None,
            ca_file: None,
        };
        let forge = Forge::open(&config, None).unwrap();
        let at = match kind {
            Kind::Github => github::world(&stub),
            Kind::Gitlab => gitlab::world(&stub),
            Kind::Gitea => gitea::world(&stub),
        };
        Self { stub, forge, config, at, _directory: directory }
    }

    async fn reviewed(&self) -> Reply {
        self.reviewed_by(1).await
    }

    async fn reviewed_by(&self, approvals: u32) -> Reply {
        let wanted = Reviewed {
            forge: "main".to_owned(),
            repository: "acme/app".to_owned(),
            branch: "main".to_owned(),
            approvals,
            reference: None,
        };
        self.answer(reviewed::look(&self.forge, &wanted, "v2")).await
    }

    async fn tests(&self) -> Reply {
        let wanted = Tests {
            forge: "main".to_owned(),
            repository: "acme/app".to_owned(),
            checks: vec!["unit".to_owned(), "lint".to_owned()],
            reference: None,
        };
        self.answer(tests::look(&self.forge, &wanted, "v2")).await
    }

    /// What the gate says; the token is never in it.
    async fn answer(&self, look: impl Future<Output = Result<Reply, Trouble>>) -> Reply {
        let reply = source::within(Duration::from_secs(20), "main", &self.config, look).await;
        let shown = format!("{reply:?} {:?} {:?}", self.config, self.stub.asked());
        assert!(!shown.contains(SECRET), "{shown}");
        reply
    }
}

#[track_caller]
fn says(reply: &Reply, answer: Answer, part: &str) {
    assert_eq!(reply.answer, answer, "{reply:?}");
    assert!(reply.why.contains(part), "{part:?} is not in {reply:?}");
}

const KINDS: [Kind; 3] = [Kind::Github, Kind::Gitlab, Kind::Gitea];

#[tokio::test]
async fn all_is_well() {
    for kind in KINDS {
        let trial = Trial::of(kind).await;
        let reply = trial.reviewed().await;
        says(&reply, Answer::Pass, "was approved by bob");
        assert!(reply.evidence.contains(&format!("commit {COMMIT} of acme/app")), "{reply:?}");
        says(&trial.tests().await, Answer::Pass, "unit, lint succeeded");
        says(&trial.reviewed_by(2).await, Answer::Fail, "1 of 2 approvals: bob");
    }
}

#[tokio::test]
async fn what_the_forge_does_not_say_is_not_told() {
    type Case = (u16, &'static [(&'static str, &'static str)], &'static str);
    let cases: [Case; 10] = [
        (401, &[], "does not take the token"),
        (403, &[], "may not see it"),
        (404, &[], "404 at"),
        (422, &[], "does not know it"),
        (500, &[], "a trouble of its own"),
        (503, &[], "a trouble of its own"),
        (301, &[("location", "https://else.example.com/x")], "moved to https://else.example.com/x"),
        (429, &[("retry-after", "60")], "asked again in 60 s"),
        (
            403,
            &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1795500000")],
            "asked again at 2026-11-24T06:00:00Z",
        ),
        (429, &[("ratelimit-reset", "1795500000")], "asked again at 2026-11-24T06:00:00Z"),
    ];
    for kind in KINDS {
        for (status, headers, part) in cases {
            let trial = Trial::of(kind).await;
            for place in [trial.at.commit, trial.at.compare, trial.at.reviews] {
                let trial = Trial::of(kind).await;
                trial.stub.refuse(place, status, headers);
                says(&trial.reviewed().await, Answer::CannotTell, part);
            }
            trial.stub.refuse(trial.at.checks, status, headers);
            says(&trial.tests().await, Answer::CannotTell, part);
        }
    }
}

#[tokio::test]
async fn nonsense_is_not_told() {
    let whole = |pages: &[u8]| stub::Answer {
        status: 200,
        headers: Vec::new(),
        pages: vec![pages.to_vec()],
        silent: false,
    };
    for kind in KINDS {
        for nonsense in [&b"<html>log in</html>"[..], b"{}", b"[0]", b"\"\"", b"", b"\xff\xfe"] {
            let trial = Trial::of(kind).await;
            for place in [trial.at.commit, trial.at.compare, trial.at.pulls, trial.at.reviews] {
                // A list may be empty, but not be something else.
                let trial = Trial::of(kind).await;
                trial.stub.answer(place, whole(nonsense));
                says(&trial.reviewed().await, Answer::CannotTell, "is not understood");
            }
            trial.stub.answer(trial.at.checks, whole(nonsense));
            says(&trial.tests().await, Answer::CannotTell, "is not understood");
        }
        let trial = Trial::of(kind).await;
        let large = format!("[\"{}\"]", "x".repeat(9 << 20));
        trial.stub.answer(trial.at.checks, whole(large.as_bytes()));
        says(&trial.tests().await, Answer::CannotTell, "larger than 8 MiB");
    }
}

#[tokio::test]
async fn a_forge_that_does_not_answer_is_not_waited_for() {
    for kind in KINDS {
        let trial = Trial::of(kind).await;
        let silent =
            stub::Answer { status: 200, headers: Vec::new(), pages: Vec::new(), silent: true };
        trial.stub.answer(trial.at.compare, silent);
        let wanted = Reviewed {
            forge: "main".to_owned(),
            repository: "acme/app".to_owned(),
            branch: "main".to_owned(),
            approvals: 1,
            reference: None,
        };
        let limit = Duration::from_millis(300);
        let look = reviewed::look(&trial.forge, &wanted, "v2");
        let reply = source::within(limit, "main", &trial.config, look).await;
        says(&reply, Answer::CannotTell, "did not answer within 300ms");
        // Nobody listens there any more.
        let Trial { stub, forge, config, .. } = trial;
        drop(stub);
        let look = reviewed::look(&forge, &wanted, "v2");
        let reply = source::within(Duration::from_secs(20), "main", &config, look).await;
        says(&reply, Answer::CannotTell, "the forge main (http://127.0.0.1:");
        assert!(!reply.why.contains("did not answer within"), "{reply:?}");
    }
}

#[tokio::test]
async fn a_commit_that_is_not_on_the_branch_fails() {
    for kind in KINDS {
        let trial = Trial::of(kind).await;
        let aside = match kind {
            Kind::Github => json!({ "status": "diverged", "ahead_by": 1, "behind_by": 2 }),
            Kind::Gitlab => json!([{ "type": "branch", "name": "feature" }]),
            Kind::Gitea => json!({ "total_commits": 1, "commits": [{ "sha": COMMIT }] }),
        };
        trial.stub.on(trial.at.compare, &aside);
        says(&trial.reviewed().await, Answer::Fail, "is not on main");
    }
}

#[tokio::test]
async fn a_direct_push_fails() {
    for kind in KINDS {
        let trial = Trial::of(kind).await;
        match kind {
            Kind::Gitea => trial.stub.forget(trial.at.pulls),
            _ => trial.stub.on(trial.at.pulls, &json!([])),
        }
        says(&trial.reviewed().await, Answer::Fail, "without a merged pull request");
    }
}

#[tokio::test]
async fn lists_are_read_to_their_end() {
    for kind in KINDS {
        let trial = Trial::of(kind).await;
        let reviews: Value = match kind {
            // What GitLab pages of it are the notes and versions; see there.
            Kind::Gitlab => continue,
            _ => read(&trial, trial.at.reviews),
        };
        trial.stub.pages(trial.at.reviews, &[json!([]), json!([]), reviews]);
        says(&trial.reviewed().await, Answer::Pass, "was approved by bob");
        let asked = trial.stub.asked();
        assert!(asked.iter().any(|line| line.contains("page=3")), "{asked:?}");
        // One without end.
        trial.stub.pages(trial.at.reviews, &vec![json!([]); 30]);
        says(&trial.reviewed().await, Answer::CannotTell, "more than 20 pages");
    }
}

fn read(trial: &Trial, path: &str) -> Value {
    let mut found = Value::Null;
    trial.stub.change(path, |body| found = body.clone());
    found
}

#[tokio::test]
async fn only_the_certificates_that_are_named_are_trusted() {
    let named = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivateKeyDer::try_from(named.signing_key.serialize_der()).unwrap();
    let tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![named.cert.der().clone()], key)
        .unwrap();
    let stub = Stub::over("", Some(Arc::new(tls).into())).await;
    stub.on("/repos/acme/app/commits/v2", &json!({ "sha": COMMIT }));

    let directory = tempfile::tempdir().unwrap();
    let ca_file = directory.path().join("ca.pem");
    let ask = async |pem: Option<String>| {
        if let Some(pem) = &pem {
            fs::write(&ca_file, pem).unwrap();
        }
        let config = ForgeConfig {
            kind: Kind::Github,
            url: Some(stub.url()),
            token_file: None,
            credential: None,
            ca_file: pem.map(|_| ca_file.clone()),
        };
        Forge::open(&config, None)?.commit("acme/app", "v2").await
    };
    assert_eq!(ask(Some(named.cert.pem())).await, Ok(COMMIT.to_owned()));
    for pem in [Some(other.cert.pem()), None] {
        let why = ask(pem).await.unwrap_err().to_string();
        assert!(why.contains("certificate"), "{why}");
    }
    let why = ask(Some("nothing".to_owned())).await.unwrap_err().to_string();
    assert!(why.contains("there is no certificate in it"), "{why}");
}

/// A label may hold a commit; then it is that commit, or nothing.
#[tokio::test]
async fn another_commit_than_the_one_that_was_asked_about_is_nonsense() {
    let trial = Trial::of(Kind::Github).await;
    trial.stub.on(
        &format!("/repos/acme/app/commits/{OLD}"),
        &json!({ "sha": COMMIT, "html_url": "https://github.com/acme/app/commit/x" }),
    );
    let why = trial.forge.commit("acme/app", OLD).await.unwrap_err();
    assert!(why.to_string().contains("it says that commit"), "{why}");
    trial.stub.on("/repos/acme/app/commits/v2", &json!({ "sha": "v2" }));
    let why = trial.forge.commit("acme/app", "v2").await.unwrap_err();
    assert!(why.to_string().contains("is not understood"), "{why}");
}

/// A name with anything in it stays one part of the address.
#[tokio::test]
async fn a_name_does_not_leave_its_place_in_the_address() {
    let trial = Trial::of(Kind::Github).await;
    let why = trial.forge.commit("acme/app", "a/../../user?x=1#y").await.unwrap_err();
    assert!(matches!(why, Trouble::NotFound(_)), "{why}");
    let asked = trial.stub.asked();
    assert!(
        asked[0]
            .starts_with("GET /repos/acme/app/commits/a%2F..%2F..%2Fuser%3Fx=1%23y?per_page=1 "),
        "{asked:?}"
    );
}

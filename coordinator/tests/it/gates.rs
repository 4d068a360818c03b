//! Gates through the real server: what they hold back, and what goes on in spite of them.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    sync::{Arc, Mutex},
};

use dv_proto::{
    to_json,
    v1::{
        ListHostsRequest, OperateRolloutRequest, StartRolloutRequest, control_client::ControlClient,
    },
};
use dv_types::{
    Digest, Fact, Finding, Manifest, Quota, Record, Size, Span, Timestamp,
    gate::Answer,
    manifest::{Disk, Gates, ImageStep, Step, Tests},
    outcome::Tags,
    record::{PauseWhy, Verb, Verdict},
    report::State,
};
use serde_json::json;
use tonic::{Code, Status, transport::Channel};

use super::{
    rollout::{fleet, in_contact},
    support::{Site, World, eventually, manifest, operator::Operator as _},
};

#[path = "../../src/forge/stub.rs"]
#[allow(dead_code, reason = "it is shared with the tests inside")]
mod stub;

fn gated(gates: Gates) -> Manifest {
    Manifest { gates: Some(gates), ..manifest(|_| ()) }
}

fn disk() -> Gates {
    let disk = Disk { path: "/srv".to_owned(), free: Size(1 << 30) };
    Gates { disk: Some(disk), ..Gates::default() }
}

const DISK: &str = "file system of /srv";

async fn say(
    operator: &mut ControlClient<Channel>,
    rollout: &str,
    verb: &Verb,
    reason: &str,
) -> Result<(), Status> {
    let request = OperateRolloutRequest {
        rollout: rollout.to_owned(),
        verb_json: to_json(verb),
        reason: reason.to_owned(),
    };
    operator.operate_rollout(request).await.map(|_| ())
}

/// Waits until the rollout is paused by a gate, and says why.
async fn held(operator: &mut ControlClient<Channel>, rollout: &str) -> (String, String) {
    eventually("a gate holds the rollout", async || match operator.look(rollout).await.state {
        State::Paused(PauseWhy::Gate { gate, why }) => Some((gate, why)),
        _ => None,
    })
    .await
}

#[tokio::test]
async fn a_gate_that_fails_ends_the_rollout_before_anything_is_touched() {
    let mut site = Site::new();
    let _running = site.start().await;
    let world = World::default();
    let _agents = fleet(&site, &world, 2).await;
    let mut operator = site.operator();
    world.find(DISK, vec![Finding::Disk { free: 5 << 20 }]);

    let gates = Gates {
        clock_skew: Some(Span::from_secs(60)),
        agent_version: Some("0.0.0-alpha".to_owned()),
        ..disk()
    };
    let id = operator.begin(&gated(gates), "1.0").await.unwrap();
    let (records, report) = operator.follow(&id).await;
    assert_eq!(report.state, State::Ended(Verdict::Failed));
    assert_eq!(report.totals.touched, 0);
    assert!(world.versions().is_empty());
    assert!(world.executions("web1").is_empty() && world.executions("web2").is_empty());
    let answers: Vec<_> = records
        .iter()
        .filter_map(|record| match &record.fact {
            Fact::GateAnswered { answer } => Some((&*answer.gate, answer.answer, &*answer.why)),
            _ => None,
        })
        .collect();
    assert_eq!(answers.len(), 3, "{answers:?}");
    assert!(answers.contains(&(
        "disk",
        Answer::Fail,
        "web1: 5MiB free at /srv, and 1GiB are needed; web2: 5MiB free at /srv, and 1GiB are needed",
    )));
    assert!(answers.contains(&(
        "agent_version",
        Answer::Pass,
        "the agent is 0.0.0-alpha or newer on all 2 hosts"
    )));
    assert!(answers.contains(&(
        "clock_skew",
        Answer::Pass,
        "the clock is within 1m on all 2 hosts"
    )));
}

#[tokio::test]
async fn hosts_out_of_contact_fail_a_gate_and_can_be_gone_without() {
    let mut site = Site::new();
    let _running = site.start().await;
    let world = World::default();
    let mut agents = fleet(&site, &world, 3).await;
    drop(agents.pop());
    in_contact(&site, 2).await;
    let mut operator = site.operator();
    let mut manifest = gated(Gates { reachable: true, ..Gates::default() });
    manifest.strategy.lost_after = Span::from_secs(2);
    manifest.strategy.max_unreachable = Quota::Hosts(0);

    // Gone for a moment only, it may be back in the next.
    let id = operator.begin(&manifest, "1.0").await.unwrap();
    let (gate, why) = held(&mut operator, &id).await;
    assert_eq!(gate, "reachable");
    assert!(why.starts_with("web3: out of contact for a moment"), "{why}");
    say(&mut operator, &id, &Verb::Abort, "").await.unwrap();
    operator.follow(&id).await;

    eventually("web3 is lost", async || {
        let hosts = operator.list_hosts(ListHostsRequest {}).await.ok()?.into_inner().hosts;
        let since: Timestamp = hosts.iter().find(|host| host.name == "web3")?.since.parse().ok()?;
        (manifest.strategy.lost_after.after(since) <= Timestamp::now()).then_some(())
    })
    .await;
    let id = operator.begin(&manifest, "1.0").await.unwrap();
    let (records, report) = operator.follow(&id).await;
    assert_eq!(report.state, State::Ended(Verdict::Failed));
    assert!(world.versions().is_empty());
    assert_eq!(
        answers(&records),
        [(Answer::Fail, "web3: out of contact, and max_unreachable is 0".to_owned())]
    );

    let request = StartRolloutRequest {
        manifest_json: to_json(&manifest),
        version: "1.0".to_owned(),
        overrides: vec!["reachable".to_owned()],
        reason: "web3 is being repaired".to_owned(),
        ..StartRolloutRequest::default()
    };
    let id = operator.start_rollout(request).await.unwrap().into_inner().rollout;
    let (_, report) = operator.follow(&id).await;
    assert_eq!(report.state, State::Ended(Verdict::Succeeded));
    assert_eq!((report.totals.healthy, report.totals.unreachable), (2, 1));
}

#[tokio::test]
async fn an_image_that_a_host_does_not_find_fails_a_gate() {
    let mut site = Site::new();
    let _running = site.start().await;
    let world = World::default();
    let _agents = fleet(&site, &world, 1).await;
    let mut operator = site.operator();
    let tags = Tags { latest: None, previous: None };
    let found = |c: &str| Finding::Image {
        tags: tags.clone(),
        resolved: Some(format!("sha256:{}", c.repeat(64)).parse().unwrap()),
    };
    let away = || Finding::Failed("the registry does not answer".to_owned());
    let image: ImageStep = serde_json::from_value(json!({ "repository": "r/app" })).unwrap();
    let mut manifest = gated(Gates { image: true, ..Gates::default() });
    manifest.steps.insert(0, Step::Image(image));

    // What the plan finds first, and the gate after it.
    for (after, part) in [
        (Finding::NotFound("no such tag".to_owned()), "has no image r/app:1.0: no such tag"),
        (found("b"), "is sha256:bbb"),
    ] {
        world.find("image r/app:1.0", vec![found("a"), after]);
        let id = operator.begin(&manifest, "1.0").await.unwrap();
        let (records, report) = operator.follow(&id).await;
        assert_eq!(report.state, State::Ended(Verdict::Failed));
        let answers = answers(&records);
        assert!(matches!(&answers[..], [(Answer::Fail, why)] if why.contains(part)), "{answers:?}");
    }
    assert!(world.versions().is_empty());

    world.find("image r/app:1.0", vec![found("a"), away(), found("a")]);
    let id = operator.begin(&manifest, "1.0").await.unwrap();
    let (gate, why) = held(&mut operator, &id).await;
    assert_eq!(gate, "image");
    assert!(why.contains("the registry does not answer"), "{why}");
    say(&mut operator, &id, &Verb::Resume, "").await.unwrap();
    let (records, _) = operator.follow(&id).await;
    let answers = answers(&records);
    let (answer, why) = &answers[1];
    assert_eq!(*answer, Answer::Pass);
    assert!(why.starts_with("image r/app:1.0 is sha256:aaa"), "{why}");
}

/// What the gates have answered, in order.
fn answers(records: &[Record]) -> Vec<(Answer, String)> {
    let answer = |record: &Record| match &record.fact {
        Fact::GateAnswered { answer } => Some((answer.answer, answer.why.clone())),
        _ => None,
    };
    records.iter().filter_map(answer).collect()
}

#[tokio::test]
async fn clocks_that_are_apart_fail() {
    let mut site = Site::new();
    let _running = site.start().await;
    let world = World::default();
    let _agents = fleet(&site, &world, 1).await;
    let mut operator = site.operator();
    world.clocks_ahead(Span::from_secs(600));
    let gates = Gates { clock_skew: Some(Span::from_secs(60)), ..Gates::default() };
    let id = operator.begin(&gated(gates), "1.0").await.unwrap();
    let (_, report) = operator.follow(&id).await;
    assert_eq!(report.state, State::Ended(Verdict::Failed));
    assert!(world.versions().is_empty());
}

#[tokio::test]
async fn a_gate_that_can_not_tell_waits_and_is_asked_again() {
    let mut site = Site::new();
    let _running = site.start().await;
    let world = World::default();
    let _agents = fleet(&site, &world, 2).await;
    let mut operator = site.operator();
    // As an agent says that is too old for the question.
    world.find(DISK, vec![Finding::Failed("this agent can't tell".to_owned())]);

    let id = operator.begin(&gated(disk()), "1.0").await.unwrap();
    let (gate, why) = held(&mut operator, &id).await;
    assert_eq!(gate, "disk");
    assert!(why.contains("web1: this agent can't tell"), "{why}");
    assert!(world.versions().is_empty());

    world.find(DISK, vec![Finding::Disk { free: 2 << 30 }]);
    say(&mut operator, &id, &Verb::Resume, "").await.unwrap();
    let (records, report) = operator.follow(&id).await;
    assert_eq!(report.state, State::Ended(Verdict::Succeeded));
    let answers = records.iter().filter_map(|record| match &record.fact {
        Fact::GateAnswered { answer } => Some(answer.answer),
        _ => None,
    });
    assert_eq!(answers.collect::<Vec<_>>(), [Answer::CannotTell, Answer::Pass]);
}

#[tokio::test]
async fn only_those_who_are_named_override_a_gate() {
    let mut site = Site::new();
    let world = World::default();
    world.find(DISK, vec![Finding::Failed("this agent can't tell".to_owned())]);
    let over = || Verb::Override { gate: "disk".to_owned() };
    let at_the_start = |reason: &str| StartRolloutRequest {
        manifest_json: to_json(&gated(disk())),
        version: "2.0".to_owned(),
        overrides: vec!["disk".to_owned()],
        reason: reason.to_owned(),
        ..StartRolloutRequest::default()
    };

    site.configure(|config| config.may_override = Some(vec!["carol".to_owned()]));
    let running = site.start().await;
    let agents = fleet(&site, &world, 1).await;
    let mut operator = site.operator();
    let id = operator.begin(&gated(disk()), "1.0").await.unwrap();
    held(&mut operator, &id).await;
    let refused = say(&mut operator, &id, &over(), "it is urgent").await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert_eq!(
        refused.message(),
        "operator admin may not override gates: coordinator.yaml lets only carol"
    );
    let refused = operator.start_rollout(at_the_start("it is urgent")).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert!(world.versions().is_empty());
    drop(agents);
    running.stop().await;

    site.configure(|config| config.may_override = None);
    let _running = site.start().await;
    let mut operator = site.operator();
    // The host enrols once more.
    let _agents = fleet(&site, &world, 1).await;
    say(&mut operator, &id, &over(), "it is urgent").await.unwrap();
    let (records, report) = operator.follow(&id).await;
    assert_eq!(report.state, State::Ended(Verdict::Succeeded));
    assert!(records.iter().any(|record| matches!(
        &record.fact,
        Fact::Operator { by, verb: Verb::Override { gate }, reason: Some(reason) }
            if by == "admin" && gate == "disk" && reason == "it is urgent"
    )));
    // From the start.
    let id = operator.start_rollout(at_the_start("still urgent")).await.unwrap().into_inner();
    let (_, report) = operator.follow(&id.rollout).await;
    assert_eq!(report.state, State::Ended(Verdict::Succeeded));
}

const SECRET: &str = "s3cret-of-the-forge";
const COMMIT: &str = "c0ffee0000000000000000000000000000000001";

/// What the coordinator logs.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// From the image's label to the forge's checks; and the token is nowhere.
#[tokio::test]
async fn the_commit_of_an_image_is_looked_up_at_the_forge() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let forge = stub::Stub::start(&format!("authorization: Bearer {SECRET}")).await;
    let runs = |conclusion: &str| {
        let run =
            json!({ "id": 1, "name": "unit", "status": "completed", "conclusion": conclusion });
        json!({ "total_count": 1, "check_runs": [run] })
    };
    let checks = format!("/repos/acme/app/commits/{COMMIT}/check-runs");
    forge.on(&format!("/repos/acme/app/commits/{COMMIT}"), &json!({ "sha": COMMIT }));
    forge.on(&format!("/repos/acme/app/commits/{COMMIT}/status"), &json!({ "statuses": [] }));
    forge.refuse(&checks, 503, &[]);

    let mut site = Site::new();
    let directory = tempfile::tempdir().unwrap();
    let token_file = directory.path().join("forge.token");
    fs::write(&token_file, SECRET).unwrap();
    fs::set_permissions(&token_file, fs::Permissions::from_mode(0o644)).unwrap();
    let main = json!({ "kind": "github", "url": forge.url(), "token_file": token_file });
    site.configure(|config| {
        config.forges.insert("main".to_owned(), serde_json::from_value(main).unwrap());
    });
    let running = site.start().await;
    let world = World::default();
    let agents = fleet(&site, &world, 2).await;
    let mut operator = site.operator();

    let digest: Digest = format!("sha256:{}", "a".repeat(64)).parse().unwrap();
    let tags = Tags { latest: None, previous: None };
    world.find(
        "image r/app:1.0",
        vec![Finding::Image { tags: tags.clone(), resolved: Some(digest) }],
    );
    world.find("image r/app", vec![Finding::Image { tags, resolved: None }]);
    let pulling = || Finding::Failed("still pulling r/app (3 of 4 layers); ask again".to_owned());
    let label = Finding::Revision { commit: Some(COMMIT.to_owned()) };
    world.find("revision of r/app", vec![pulling(), pulling(), label]);
    let tests = |forge: &str| {
        let image: ImageStep = serde_json::from_value(json!({ "repository": "r/app" })).unwrap();
        let tests = Tests {
            forge: forge.to_owned(),
            repository: "acme/app".to_owned(),
            checks: vec!["unit".to_owned()],
            reference: None,
        };
        let mut manifest = gated(Gates { tests: Some(tests), ..Gates::default() });
        manifest.steps.insert(0, Step::Image(image));
        manifest
    };

    let id = operator.begin(&tests("main"), "1.0").await.unwrap();
    let (_, why) = held(&mut operator, &id).await;
    assert!(why.contains("others may read or change it (mode 0644)"), "{why}");
    fs::set_permissions(&token_file, fs::Permissions::from_mode(0o640)).unwrap();
    say(&mut operator, &id, &Verb::Resume, "").await.unwrap();
    let why = eventually("it is asked again", async || {
        let (_, why) = held(&mut operator, &id).await;
        (!why.contains("mode 0644")).then_some(why)
    })
    .await;
    assert!(why.contains("503 at /repos/acme/app/commits/"), "{why}");
    forge.on(&checks, &runs("failure"));
    say(&mut operator, &id, &Verb::Resume, "").await.unwrap();
    let (records, report) = operator.follow(&id).await;
    assert_eq!(report.state, State::Ended(Verdict::Failed));
    assert!(world.versions().is_empty());

    forge.on(&checks, &runs("success"));
    let passed = operator.begin(&tests("main"), "1.0").await.unwrap();
    let (more, _) = operator.follow(&passed).await;
    let answer = more.iter().find_map(|record| match &record.fact {
        Fact::GateAnswered { answer } => Some(answer),
        _ => None,
    });
    let answer = answer.expect("the gate answered");
    assert_eq!((answer.answer, &*answer.why), (Answer::Pass, "unit succeeded"));
    let by = answer.evidence.last().unwrap();
    assert!(by.starts_with(&format!("{COMMIT} by the label of r/app:1.0 (sha256:aaa")), "{by}");

    // A forge that nobody knows.
    let unknown = operator.begin(&tests("other"), "1.0").await.unwrap();
    let (_, why) = held(&mut operator, &unknown).await;
    assert_eq!(why, "there is no forge other: coordinator.yaml names main");

    let told = format!("{records:?}{more:?}{report:?}{:?}", operator.look(&unknown).await);
    drop(agents);
    running.stop().await;
    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("a gate answered") && logged.contains("unit succeeded"), "{logged}");
    assert!(!told.contains(SECRET) && !logged.contains(SECRET));
    assert!(forge.asked().len() > 5, "the forge was asked");
}

//! A journal that an earlier version wrote is read by every later one. `tests/data` has one of each version, made by
//! that version itself, as a backup, and beside it what the rollouts in it came to.
//!
//! The next version adds its own before it is released, and changes no other:
//!
//! ```sh
//! cargo nextest run -p dv-coordinator --run-ignored only -E 'test(fixture::make)'
//! git add coordinator/tests/data
//! ```

use std::{collections::BTreeMap, fmt::Write as _, fs, io::BufReader, path::Path, sync::Arc};

use dv_coordinator::{
    clock::SystemClock,
    ports::Store,
    store::{Archive, Batch, Item, Journal, Key, MemoryStore, backup, check},
};
use dv_proto::{
    from_json, to_json,
    v1::{
        GetReleaseRequest, ListRolloutsRequest, OperateRolloutRequest, RollBackRequest,
        control_client::ControlClient,
    },
};
use dv_types::{
    Quota, Report, Timestamp,
    manifest::{Hosts, OnFailure},
    record::Verb,
    release::{Ending, ReleaseReport},
    report::State,
};
use tonic::transport::Channel;

use super::{
    release,
    rollout::{fleet, in_contact},
    support::{Agent, Site, World, eventually, manifest, operator::Operator as _, started},
};

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data");

/// What each rollout came to, a line for each.
async fn told(operator: &mut ControlClient<Channel>) -> String {
    let request = ListRolloutsRequest { service: String::new(), limit: 1_000 };
    let list = operator.list_rollouts(request).await.unwrap().into_inner();
    let mut text = String::new();
    for json in list.report_json.iter().rev() {
        let summary: Report = from_json("report_json", json).unwrap();
        // The whole is told like the summary, and every record is followed.
        let (records, report) = operator.follow(&summary.rollout.to_string()).await;
        assert_eq!(report.state, summary.state);
        assert_eq!(report.record, records.len() as u64);
        let Report { rollout, service, version, kind, state, .. } = report;
        writeln!(text, "{rollout}: {kind}, {version} of {service}, {state:?}").unwrap();
        for host in report.hosts {
            let (phase, to) = (host.phase, host.to.map(|to| to.to_string()).unwrap_or_default());
            writeln!(text, "  {}: {phase:?} {to}", host.name).unwrap();
        }
        for once in report.once {
            writeln!(text, "  {}: {:?}", once.name, once.state).unwrap();
        }
    }
    text
}

fn of_role(role: &str) -> BTreeMap<String, String> {
    [("role".to_owned(), role.to_owned())].into()
}

async fn load(file: &Path) -> MemoryStore {
    let mut archive = Archive::begin(BufReader::new(fs::File::open(file).unwrap())).unwrap();
    let store = MemoryStore::default();
    while let Some(item) = archive.read().unwrap() {
        match item {
            Item::Entry(key, value) => {
                store.commit(Batch::default().put(key, value)).await.unwrap();
            }
            Item::Document(hash, text) => {
                assert_eq!(store.save_document(text).await.unwrap(), hash);
            }
            Item::File(name, _) => panic!("{name}: no identity belongs here"),
        }
    }
    store
}

#[tokio::test]
async fn what_earlier_versions_wrote_is_read_replayed_and_reported() {
    let files = fs::read_dir(DATA).unwrap().map(|file| file.unwrap().path());
    let files: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|e| e == "dvbackup")).collect();
    assert!(!files.is_empty());
    for file in files {
        let store = load(&file).await;
        let checked = check(&store).await.unwrap();
        assert_eq!(checked.damage, [""; 0], "{}", file.display());
        assert!(checked.rollouts > 5, "{checked}");

        let mut site = Site::with(Arc::new(store), Arc::new(SystemClock));
        let _running = site.start().await;
        let mut operator = site.operator();
        let expected = fs::read_to_string(file.with_extension("txt")).unwrap();
        assert_eq!(told(&mut operator).await, expected, "{}", file.display());
        let request = GetReleaseRequest { release: "rel1".to_owned() };
        let reply = operator.get_release(request).await.unwrap().into_inner();
        let report: ReleaseReport = from_json("report_json", &reply.report_json).unwrap();
        assert_eq!(report.ending, Some(Ending::Succeeded));
        // What it left counts: a version that was rolled back is still bad.
        let _agent = fleet(&site, &World::default(), 3).await;
        let refused = operator.begin(&manifest(|_| ()), "2.0").await.unwrap_err();
        assert!(refused.message().contains("2.0 of web was rolled back"), "{refused}");
    }
}

#[tokio::test]
async fn what_earlier_versions_wrote_can_be_dropped() {
    let files = fs::read_dir(DATA).unwrap().map(|file| file.unwrap().path());
    for file in files.filter(|path| path.extension().is_some_and(|e| e == "dvbackup")) {
        let store = Arc::new(load(&file).await);
        let journal = Journal::open(store.clone(), Timestamp::now()).await.unwrap();
        let headers = journal.headers().await.unwrap();
        assert!(!headers.is_empty());
        for header in headers {
            let dropped = journal.drop_rollout(&header, Timestamp::now()).await.unwrap();
            journal.clear(&dropped.expect("it has ended")).await.unwrap();
        }
        journal.forget_documents().await.unwrap();
        let checked = check(&*store).await.unwrap();
        assert_eq!(checked.damage, [""; 0], "{}", file.display());
        assert_eq!((checked.rollouts, journal.releases().await.unwrap().len()), (0, 1));
    }
}

/// Makes the fixture of this version.
#[tokio::test]
#[ignore = "makes a file that is checked in, once for each version"]
async fn make() {
    let file = Path::new(DATA).join(concat!(env!("CARGO_PKG_VERSION"), ".dvbackup"));
    assert!(!file.exists(), "{} is there, and is never made anew", file.display());
    let store = MemoryStore::default();
    let mut site = Site::with(Arc::new(store.clone()), Arc::new(SystemClock));
    let running = site.start().await;
    let world = World::default();
    let mut agents = fleet(&site, &world, 3).await;
    let mut operator = site.operator();

    // A plain one; one that fails and is taken back by itself; one that a person takes back.
    let first = operator.begin(&manifest(|_| ()), "1.0").await.unwrap();
    operator.follow(&first).await;
    world.break_version("2.0");
    let strict = manifest(|strategy| strategy.max_failures = Quota::Hosts(0));
    let bad = operator.begin(&strict, "2.0").await.unwrap();
    operator.follow(&bad).await;
    started(&mut operator, "r3").await;
    operator.follow("r3").await;
    let third = operator.begin(&manifest(|_| ()), "3.0").await.unwrap();
    operator.follow(&third).await;
    let back = RollBackRequest { service: "web".to_owned(), ..RollBackRequest::default() };
    let back = operator.roll_back(back).await.unwrap().into_inner().rollout;
    operator.follow(&back).await;

    // One that is aborted while a host is away in the middle of its restart: its outcome comes late.
    let identity = site.enrol("away", &[("role", "alone")]).await;
    let away = Agent::start(&site, &world, "away", &identity);
    in_contact(&site, 4).await;
    let mut alone = manifest(|strategy| strategy.on_failure = OnFailure::Pause);
    alone.service = "alone".parse().unwrap();
    alone.hosts.labels = of_role("alone");
    world.close_gate("away");
    let id = operator.begin(&alone, "1.0").await.unwrap();
    eventually("it restarts", async || (world.executions("away").len() == 2).then_some(())).await;
    let away = away.cut_off();
    in_contact(&site, 3).await;
    let abort = OperateRolloutRequest {
        rollout: id.clone(),
        verb_json: to_json(&Verb::Abort),
        reason: "for the fixture".to_owned(),
    };
    operator.operate_rollout(abort).await.unwrap();
    let (_, report) = operator.follow(&id).await;
    assert!(matches!(report.state, State::Ended(_)), "{report:#?}");
    world.open_gate("away");
    agents.push(away.reconnect(&site, &identity));
    let late = async || {
        let late = store.scan(Key::from_bytes(b"late/"), None, 1).await.unwrap();
        (!late.is_empty()).then_some(())
    };
    eventually("its outcome comes late", late).await;

    // A release, with a migration that happens once.
    let mut release = release::pair("1");
    release.members[0].manifest.steps.insert(0, release::migrate());
    for member in &mut release.members {
        let service = member.service().to_string();
        member.manifest.hosts = Hosts { labels: of_role(&service), ..Hosts::default() };
        let identity = site.enrol(&service, &[("role", &service)]).await;
        agents.push(Agent::start(&site, &world, &service, &identity));
    }
    in_contact(&site, agents.len()).await;
    release::first(&mut operator, &release).await;

    let text = told(&mut operator).await;
    running.stop().await;
    assert_eq!(check(&store).await.unwrap().damage, [""; 0]);
    let mut out = Vec::new();
    backup(&store, Vec::new(), &mut out).await.unwrap();
    fs::create_dir_all(DATA).unwrap();
    fs::write(&file, out).unwrap();
    fs::write(file.with_extension("txt"), text).unwrap();
}

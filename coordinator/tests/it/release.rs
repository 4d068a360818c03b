//! Releases of several services through the real server, with scripted agents.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use dv_coordinator::{
    clock::SystemClock,
    ports::{Entries, Shortage, Snapshot, Store, Stored},
    store::{Batch, Key, MemoryStore},
};
use dv_proto::{
    from_json, to_json,
    v1::{
        AbortReleaseRequest, GetReleaseRequest, ListRolloutsRequest, OperateRolloutRequest,
        PlanReleaseRequest, RollBackReleaseRequest, RollBackRequest, StartReleaseRequest,
        control_client::ControlClient,
    },
};
use dv_types::{
    HostName, Release, Report, Span,
    manifest::{MigrateStep, OnFailure, Once, Step},
    plan::Kind,
    record::Verb,
    release::{Ending, Member, MemberState, ReleaseReport},
};
use tonic::{Code, Status, transport::Channel};

use super::{
    rollout::in_contact,
    support::{Agent, PATIENCE, Site, World, eventually, manifest, operator::Operator as _},
};

type Control = ControlClient<Channel>;

/// A service on one host of its own, which is named after it; its versions begin with its name.
fn member(service: &str, version: &str, after: &[&str]) -> Member {
    let mut manifest = manifest(|_| ());
    manifest.service = service.parse().unwrap();
    manifest.hosts.names = vec![HostName::new(service).unwrap()];
    let version = format!("{service}-{version}").parse().unwrap();
    Member { version, after: after.iter().map(|name| name.parse().unwrap()).collect(), manifest }
}

/// `db`, then `api` and `jobs`, then `web`; not listed in this order.
fn shop(version: &str) -> Release {
    let members = vec![
        member("web", version, &["api", "jobs"]),
        member("db", version, &[]),
        member("api", version, &["db"]),
        member("jobs", version, &["db"]),
    ];
    Release { name: "shop".parse().unwrap(), members }
}

/// `db`, then `api`.
pub(super) fn pair(version: &str) -> Release {
    let members = vec![member("db", version, &[]), member("api", version, &["db"])];
    Release { name: "pair".parse().unwrap(), members }
}

/// Irreversible, as far as the manifest says, and with no way down.
pub(super) fn migrate() -> Step {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    Step::Migrate(MigrateStep {
        check: words("/usr/bin/db heads"),
        upgrade: words("/usr/bin/db upgrade"),
        downgrade: None,
        kinds: BTreeMap::new(),
        on: Once::default(),
        timeout: Span::from_secs(20),
    })
}

async fn hosts(site: &Site, world: &World, release: &Release) -> Vec<Agent> {
    let mut agents = Vec::new();
    for member in &release.members {
        agents.push(Agent::join(site, world, member.service().as_str()).await.0);
    }
    in_contact(site, agents.len()).await;
    agents
}

async fn begin(operator: &mut Control, release: &Release) -> Result<String, Status> {
    let release_json = to_json(release);
    let request = StartReleaseRequest { release_json, ..StartReleaseRequest::default() };
    Ok(operator.start_release(request).await?.into_inner().release)
}

async fn look(operator: &mut Control, release: &str) -> Result<ReleaseReport, Status> {
    let request = GetReleaseRequest { release: release.to_owned() };
    let reply = operator.get_release(request).await?.into_inner();
    Ok(from_json("report_json", &reply.report_json).unwrap())
}

async fn ended(operator: &mut Control, release: &str) -> ReleaseReport {
    eventually("the release ends", async || {
        look(operator, release).await.ok().filter(|report| report.ending.is_some())
    })
    .await
}

fn code_only(release: &str) -> RollBackReleaseRequest {
    RollBackReleaseRequest {
        release: release.to_owned(),
        code_only: true,
        ..RollBackReleaseRequest::default()
    }
}

async fn held_by(site: &Site, release: &str) -> String {
    eventually("it is held", async || look(&mut site.operator(), release).await.ok()?.held).await
}

/// Brings the first version out everywhere, so that there is something to go back to.
pub(super) async fn first(operator: &mut Control, release: &Release) {
    let id = begin(operator, release).await.unwrap();
    assert_eq!(ended(operator, &id).await.ending, Some(Ending::Succeeded));
}

/// Every rollout, the oldest first.
async fn rollouts(operator: &mut Control) -> Vec<Report> {
    let list = operator.list_rollouts(ListRolloutsRequest::default()).await.unwrap().into_inner();
    let read = |json: &String| from_json("report_json", json).unwrap();
    list.report_json.iter().rev().map(read).collect()
}

/// The rollouts that took something back, in the order in which they began.
fn reversals(rollouts: &[Report]) -> Vec<&Report> {
    rollouts.iter().filter(|report| matches!(report.kind, Kind::Reversal { .. })).collect()
}

/// The services that were taken back, none before the last had gone back.
fn taken_back(rollouts: &[Report]) -> Vec<&str> {
    let back = reversals(rollouts);
    for pair in back.windows(2) {
        assert!(pair[0].ended.unwrap() <= pair[1].began, "{pair:#?}");
    }
    back.iter().map(|report| report.service.as_str()).collect()
}

fn states(report: &ReleaseReport) -> Vec<(&str, &MemberState)> {
    report.members.iter().map(|m| (m.service.as_str(), &m.state)).collect()
}

async fn restarts(world: &World, host: &str, commands: usize) {
    eventually("it restarts", async || (world.executions(host).len() == commands).then_some(()))
        .await;
}

#[tokio::test]
async fn members_begin_in_their_order_and_independent_ones_together() {
    let mut site = Site::new();
    let _running = site.start().await;
    let world = World::default();
    let _agents = hosts(&site, &world, &shop("1")).await;
    let mut operator = site.operator();
    for host in ["db", "api", "jobs"] {
        world.close_gate(host);
    }
    let id = begin(&mut operator, &shop("1")).await.unwrap();
    assert_eq!(id, "rel1");
    restarts(&world, "db", 2).await;
    let services = |all: &[Report]| all.iter().map(|r| r.service.to_string()).collect::<Vec<_>>();
    assert_eq!(services(&rollouts(&mut operator).await), ["db"], "nothing else has begun");

    world.open_gate("db");
    restarts(&world, "api", 2).await;
    restarts(&world, "jobs", 2).await;
    assert_eq!(services(&rollouts(&mut operator).await), ["db", "api", "jobs"]);
    // What has not begun yet is kept for the release.
    let refused = operator.begin(&member("web", "9", &[]).manifest, "web-9").await.unwrap_err();
    assert!(refused.message().contains("part of rel1"), "{refused:?}");

    world.open_gate("api");
    restarts(&world, "api", 3).await;
    assert_eq!(world.executions("web").len(), 0, "jobs is not done");
    world.open_gate("jobs");
    let report = ended(&mut operator, &id).await;
    assert_eq!(report.ending, Some(Ending::Succeeded));
    let all: Vec<_> = report.members.iter().map(|m| m.service.as_str()).collect();
    assert_eq!(all, ["db", "api", "jobs", "web"]);
    assert_eq!(world.versions(), ["api-1", "db-1", "jobs-1", "web-1"]);
    world.nothing_ran_twice();
}

#[tokio::test]
async fn a_member_that_fails_takes_the_others_back_in_reverse() {
    let mut site = Site::new();
    let _running = site.start().await;
    let world = World::default();
    let _agents = hosts(&site, &world, &shop("1")).await;
    let mut operator = site.operator();
    first(&mut operator, &shop("1")).await;

    world.break_version("web-2");
    let id = begin(&mut operator, &shop("2")).await.unwrap();
    let report = ended(&mut operator, &id).await;
    assert_eq!(report.ending, Some(Ending::TakenBack), "{report:#?}");
    assert!(report.why.as_ref().unwrap().starts_with("web (r8) "), "{report:#?}");
    assert!(report.members.iter().all(|member| member.state == MemberState::Back));
    let all = rollouts(&mut operator).await;
    assert_eq!(taken_back(&all), ["web", "jobs", "api", "db"]);
    assert_eq!(world.versions(), ["api-1", "db-1", "jobs-1", "web-1"]);
    world.nothing_ran_twice();
}

#[tokio::test]
async fn what_is_under_way_beside_a_failure_goes_back_before_what_has_succeeded() {
    let mut site = Site::new();
    let _running = site.start().await;
    let world = World::default();
    let _agents = hosts(&site, &world, &shop("1")).await;
    let mut operator = site.operator();
    first(&mut operator, &shop("1")).await;

    world.break_version("api-2");
    world.close_gate("api");
    world.close_gate("jobs");
    let id = begin(&mut operator, &shop("2")).await.unwrap();
    restarts(&world, "jobs", 5).await;
    world.open_gate("api");
    eventually("api goes back", async || {
        let report = look(&mut operator, &id).await.ok()?;
        (report.members[1].state == MemberState::Back).then_some(())
    })
    .await;
    assert_eq!(world.version("db").unwrap(), "db-2", "jobs has not gone back yet");
    world.open_gate("jobs");
    let report = ended(&mut operator, &id).await;
    assert_eq!(report.ending, Some(Ending::TakenBack), "{report:#?}");
    assert_eq!(report.members[3].state, MemberState::Pending);
    let all = rollouts(&mut operator).await;
    let [one, other, db] = reversals(&all)[..] else { panic!("{all:#?}") };
    assert_eq!(db.service.as_str(), "db");
    assert!(one.ended.max(other.ended).unwrap() <= db.began, "db is what they stand on");
    assert_eq!(world.versions(), ["api-1", "db-1", "jobs-1", "web-1"]);
}

#[tokio::test]
async fn it_goes_on_wherever_the_coordinator_is_killed() {
    let store = Arc::new(Mortal::default());
    let mut site = Site::with(Arc::clone(&store) as Arc<dyn Store>, Arc::new(SystemClock));
    let mut running = site.start().await;
    let world = World::default();
    let _agents = hosts(&site, &world, &pair("1")).await;
    first(&mut site.operator(), &pair("1")).await;

    world.break_version("api-2");
    store.armed.store(true, Ordering::SeqCst);
    let id = begin(&mut site.operator(), &pair("2")).await.unwrap();
    let mut kills = 0;
    let search = async {
        loop {
            if store.died.swap(false, Ordering::SeqCst) {
                running.kill();
                running = site.start().await;
                kills += 1;
            }
            // A coordinator that hangs in its store does not answer.
            let mut operator = site.operator();
            let asked = look(&mut operator, &id);
            if let Ok(Ok(report)) = tokio::time::timeout(Duration::from_millis(500), asked).await
                && report.ending.is_some()
                && !store.died.load(Ordering::SeqCst)
            {
                return (report, running);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let (report, _running) = tokio::time::timeout(PATIENCE * 4, search).await.expect("it goes on");
    assert_eq!(report.ending, Some(Ending::TakenBack), "{report:#?}");
    // r3 to r6 begin and end, the release turns, asks for db, and ends: each of it before and after.
    assert!(kills >= 22, "killed {kills} times only");
    let all = rollouts(&mut site.operator()).await;
    assert_eq!(all.len(), 6, "every member went out once, and back once");
    assert_eq!(taken_back(&all), ["api", "db"]);
    assert_eq!(world.versions(), ["api-1", "db-1"]);
    world.nothing_ran_twice();
}

#[tokio::test]
async fn aborted_it_leaves_everything_as_it_is_and_can_still_be_taken_back() {
    let mut site = Site::new();
    let _running = site.start().await;
    let world = World::default();
    let _agents = hosts(&site, &world, &shop("1")).await;
    let mut operator = site.operator();
    first(&mut operator, &shop("1")).await;

    world.close_gate("api");
    let id = begin(&mut operator, &shop("2")).await.unwrap();
    restarts(&world, "api", 5).await;
    let reason = "lunch".to_owned();
    let request = AbortReleaseRequest { release: id.clone(), reason };
    operator.abort_release(request.clone()).await.unwrap();
    world.open_gate("api");
    let report = ended(&mut operator, &id).await;
    assert_eq!(report.ending, Some(Ending::Stopped));
    assert_eq!(report.why.as_deref(), Some("admin ended it: lunch"));
    assert_eq!(report.members[3].state, MemberState::Pending, "{:?}", states(&report));
    assert_eq!(world.version("db").unwrap(), "db-2");
    let again = operator.abort_release(request).await.unwrap_err();
    assert_eq!(again.code(), Code::FailedPrecondition);

    let back = RollBackReleaseRequest { release: id.clone(), ..RollBackReleaseRequest::default() };
    operator.roll_back_release(back.clone()).await.unwrap();
    eventually("it goes back", async || {
        let report = look(&mut operator, &id).await.ok()?;
        (report.ending == Some(Ending::TakenBack)).then_some(())
    })
    .await;
    assert_eq!(taken_back(&rollouts(&mut operator).await).last(), Some(&"db"));
    assert_eq!(world.versions(), ["api-1", "db-1", "jobs-1", "web-1"]);
    let again = operator.roll_back_release(back).await.unwrap_err();
    assert!(again.message().contains("was taken back already"), "{again:?}");
}

#[tokio::test]
async fn a_member_that_pauses_holds_it_and_one_that_a_person_ends_stops_it() {
    let mut site = Site::new();
    let _running = site.start().await;
    let world = World::default();
    let _agents = hosts(&site, &world, &pair("1")).await;
    let mut operator = site.operator();
    first(&mut operator, &pair("1")).await;
    world.break_version("api-2");
    let mut release = pair("2");
    release.members[1].manifest.strategy.on_failure = OnFailure::Pause;
    let id = begin(&mut operator, &release).await.unwrap();
    eventually("api pauses", async || {
        let report = look(&mut operator, &id).await.ok()?;
        report.members[1].state.waits_for_a_person().then_some(())
    })
    .await;
    assert_eq!(look(&mut operator, &id).await.unwrap().ending, None);
    let abort = OperateRolloutRequest {
        rollout: "r4".to_owned(),
        verb_json: to_json(&Verb::Abort),
        reason: String::new(),
    };
    operator.operate_rollout(abort).await.unwrap();
    let report = ended(&mut operator, &id).await;
    assert_eq!(report.ending, Some(Ending::Stopped));
    assert_eq!(report.why.as_deref(), Some("api (r4) was aborted"));
    assert_eq!(world.version("db").unwrap(), "db-2", "nobody asked to take it back");
}

#[tokio::test]
async fn a_member_that_can_not_begin_any_more_takes_the_others_back() {
    let mut site = Site::new();
    let _running = site.start().await;
    let world = World::default();
    let mut agents = hosts(&site, &world, &pair("1")).await;
    let mut operator = site.operator();
    first(&mut operator, &pair("1")).await;

    let mut release = pair("2");
    release.members[1].manifest.strategy.lost_after = Span::from_secs(1);
    world.close_gate("db");
    let id = begin(&mut operator, &release).await.unwrap();
    restarts(&world, "db", 5).await;
    drop(agents.pop());
    in_contact(&site, 1).await;
    world.open_gate("db");
    let report = ended(&mut operator, &id).await;
    assert_eq!(report.ending, Some(Ending::TakenBack), "{report:#?}");
    let why = report.why.unwrap();
    assert!(why.starts_with("api can't begin: none of the 1 hosts"), "{why}");
    assert_eq!(report.members[1].rollout, None);
    assert_eq!(world.versions(), ["api-1", "db-1"]);
}

#[tokio::test]
async fn a_member_with_a_migration_holds_the_way_back_until_a_person_has_decided() {
    let mut site = Site::new();
    let _running = site.start().await;
    let world = World::default();
    let _agents = hosts(&site, &world, &pair("1")).await;
    let mut operator = site.operator();
    first(&mut operator, &pair("1")).await;

    world.break_version("api-2");
    let mut release = pair("2");
    release.members[0].manifest.steps.insert(0, migrate());
    let id = begin(&mut operator, &release).await.unwrap();
    let held = held_by(&site, &id).await;
    assert!(held.starts_with("db (r3) can't be taken back by rel2: "), "{held}");
    assert!(held.contains("0002 (irreversible)"), "{held}");
    let report = look(&mut operator, &id).await.unwrap();
    let (db, api) = (&report.members[0].state, &report.members[1].state);
    assert_eq!((db, api), (&MemberState::Succeeded, &MemberState::Back));
    assert_eq!(report.ending, None);

    let back =
        RollBackRequest { rollout: "r3".to_owned(), code_only: true, ..RollBackRequest::default() };
    operator.roll_back(back).await.unwrap();
    let report = ended(&mut operator, &id).await;
    assert_eq!((report.ending, report.held), (Some(Ending::TakenBack), None));
    assert_eq!(world.versions(), ["api-1", "db-1"]);
}

#[tokio::test]
async fn where_one_member_can_not_go_back_by_itself_none_does() {
    let mut site = Site::new();
    let mut running = site.start().await;
    let world = World::default();
    let _agents = hosts(&site, &world, &shop("1")).await;
    first(&mut site.operator(), &shop("1")).await;

    world.break_version("web-2");
    let mut release = shop("2");
    release.members[1].manifest.steps.insert(0, migrate());
    let id = begin(&mut site.operator(), &release).await.unwrap();
    let held = held_by(&site, &id).await;
    assert!(held.starts_with("db (r5) can't be taken back by rel2: "), "{held}");
    assert!(held.contains("`dvctl rollback rel2 --code-only`"), "{held}");
    assert_eq!(taken_back(&rollouts(&mut site.operator()).await), ["web"], "by its own rollout");
    running.kill();
    running = site.start().await;
    assert_eq!(held_by(&site, &id).await, held, "a new coordinator finds the same");
    assert_eq!(world.versions(), ["api-2", "db-2", "jobs-2", "web-1"]);

    site.operator().roll_back_release(code_only(&id)).await.unwrap();
    let report = ended(&mut site.operator(), &id).await;
    assert_eq!((report.ending, report.held), (Some(Ending::TakenBack), None));
    assert_eq!(taken_back(&rollouts(&mut site.operator()).await), ["web", "jobs", "api", "db"]);
    drop(running);
}

#[tokio::test]
async fn held_it_does_not_end_what_is_still_under_way() {
    let mut site = Site::new();
    let _running = site.start().await;
    let world = World::default();
    let _agents = hosts(&site, &world, &shop("1")).await;
    let mut operator = site.operator();
    first(&mut operator, &shop("1")).await;

    world.break_version("api-2");
    world.close_gate("api");
    world.close_gate("jobs");
    let mut release = shop("2");
    release.members[1].manifest.steps.insert(0, migrate());
    let id = begin(&mut operator, &release).await.unwrap();
    restarts(&world, "jobs", 5).await;
    world.open_gate("api");
    let held = held_by(&site, &id).await;
    assert!(held.starts_with("db (r5) can't be taken back by rel2: "), "{held}");
    world.open_gate("jobs");
    eventually("jobs succeeds and api has gone back", async || {
        let report = look(&mut operator, &id).await.ok()?;
        let stands = |service, state| states(&report).contains(&(service, &state));
        let both = stands("jobs", MemberState::Succeeded) && stands("api", MemberState::Back);
        both.then_some(())
    })
    .await;
    assert_eq!(held_by(&site, &id).await, held);
    assert_eq!(taken_back(&rollouts(&mut operator).await), ["api"], "by its own rollout");
    assert_eq!(world.versions(), ["api-1", "db-2", "jobs-2", "web-1"]);

    operator.roll_back_release(code_only(&id)).await.unwrap();
    assert_eq!(ended(&mut operator, &id).await.ending, Some(Ending::TakenBack));
    assert_eq!(world.versions(), ["api-1", "db-1", "jobs-1", "web-1"]);
}

#[tokio::test]
async fn one_bad_member_refuses_the_whole_before_anything_is_touched() {
    let mut site = Site::new();
    let _running = site.start().await;
    let world = World::default();
    let _agents = hosts(&site, &world, &pair("1")).await;
    let mut operator = site.operator();
    let plan = PlanReleaseRequest { release_json: to_json(&pair("1")) };
    let planned = operator.plan_release(plan).await.unwrap().into_inner();
    assert_eq!(planned.plan_json.len(), 2);

    let mut nowhere = pair("1");
    nowhere.members[1].manifest.hosts.names = vec![HostName::new("elsewhere").unwrap()];
    let refused = begin(&mut operator, &nowhere).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().starts_with("api: no host"), "{}", refused.message());

    let mut endless = pair("1");
    endless.members[0].after = vec!["api".parse().unwrap()];
    let refused = begin(&mut operator, &endless).await.unwrap_err();
    assert!(refused.message().contains("db comes after api comes after db"), "{refused:?}");

    let release_json = to_json(&pair("1"));
    let other = StartReleaseRequest {
        release_json: release_json.clone(),
        plan_hash: "0".repeat(64),
        ..StartReleaseRequest::default()
    };
    let refused = operator.start_release(other).await.unwrap_err();
    assert!(refused.message().contains("another hash"), "{refused:?}");
    assert!(rollouts(&mut operator).await.is_empty());
    assert!(world.versions().is_empty());

    let agreed = StartReleaseRequest {
        release_json,
        plan_hash: planned.hash,
        ..StartReleaseRequest::default()
    };
    let id = operator.start_release(agreed).await.unwrap().into_inner().release;
    assert_eq!(
        (id.as_str(), ended(&mut operator, &id).await.ending),
        ("rel1", Some(Ending::Succeeded))
    );
}

/// A store in which the coordinator dies right before, and right after, each write that moves a release on. The
/// writer never hears of it: it hangs until it is killed.
#[derive(Default)]
struct Mortal {
    store: MemoryStore,
    armed: AtomicBool,
    died: AtomicBool,
    moves: Mutex<Moves>,
}

#[derive(Default)]
struct Moves {
    /// How often each was written.
    written: BTreeMap<String, u32>,
    /// Those before which it has died.
    before: BTreeSet<(String, u32)>,
}

impl Mortal {
    /// What a write moves, if it moves a release that has begun.
    fn moved(batch: &Batch) -> Option<String> {
        let begins = |key: &Key| key.to_string().starts_with("release/");
        if batch.expected.iter().any(|(key, value)| value.is_none() && begins(key)) {
            return None;
        }
        let keys = batch.writes.iter().map(|write| write.key.to_string());
        let moving = ["release/", "rollout/", "reversal-due/"];
        let keys: Vec<_> = keys.filter(|k| moving.iter().any(|m| k.starts_with(m))).collect();
        (!keys.is_empty()).then(|| keys.join(" "))
    }

    async fn die(&self) {
        self.died.store(true, Ordering::SeqCst);
        std::future::pending::<()>().await;
    }
}

impl Store for Mortal {
    fn get(&self, key: Key) -> Stored<'_, Option<Vec<u8>>> {
        self.store.get(key)
    }

    fn scan(&self, prefix: Key, after: Option<Key>, limit: usize) -> Stored<'_, Entries> {
        self.store.scan(prefix, after, limit)
    }

    fn snapshot(&self) -> Stored<'_, Snapshot> {
        self.store.snapshot()
    }

    fn commit(&self, batch: Batch) -> Stored<'_, ()> {
        Box::pin(async move {
            let moved = Self::moved(&batch).filter(|_| self.armed.load(Ordering::SeqCst));
            let Some(moved) = moved else { return self.store.commit(batch).await };
            let first = {
                let mut moves = self.moves.lock().unwrap();
                let times = moves.written.get(&moved).copied().unwrap_or_default();
                moves.before.insert((moved.clone(), times))
            };
            if first {
                self.die().await;
            }
            self.store.commit(batch).await?;
            *self.moves.lock().unwrap().written.entry(moved).or_default() += 1;
            self.die().await;
            Ok(())
        })
    }

    fn save_document(&self, text: String) -> Stored<'_, String> {
        self.store.save_document(text)
    }

    fn document(&self, hash: String) -> Stored<'_, Option<String>> {
        self.store.document(hash)
    }

    fn documents(&self, after: Option<String>, limit: usize) -> Stored<'_, Vec<String>> {
        self.store.documents(after, limit)
    }

    fn forget_document(&self, hash: String) -> Stored<'_, bool> {
        self.store.forget_document(hash)
    }

    fn shortage(&self) -> Stored<'_, Option<Shortage>> {
        self.store.shortage()
    }
}

//! Hosts that come late: back from out of reach, or new. They follow to the version that the service is at, behind the
//! same gates, and never to one that was rolled back or is still rolling.

use dv_proto::v1::{ListRolloutsRequest, RollBackRequest, control_client::ControlClient};
use dv_types::{
    Manifest, Quota, Span,
    manifest::{Gates, Strategy},
    plan::Kind,
    report::State,
};
use tonic::transport::Channel;

use crate::{
    rollout::{fleet, in_contact},
    support::{Agent, Site, World, eventually, manifest, operator::Operator as _, started},
};

fn careful() -> Manifest {
    manifest(|strategy: &mut Strategy| {
        strategy.max_unreachable = Quota::Hosts(1);
        strategy.lost_after = Span::from_secs(1);
    })
}

/// How many rollouts there were.
async fn rollouts(operator: &mut ControlClient<Channel>) -> usize {
    let request = ListRolloutsRequest { service: "web".to_owned(), ..Default::default() };
    operator.list_rollouts(request).await.unwrap().into_inner().report_json.len()
}

fn catch_up(of: &str) -> Kind {
    Kind::CatchUp { of: of.parse().unwrap() }
}

/// What users of other tools asked for: a host that missed three releases is not led through all of them.
#[tokio::test]
async fn a_host_that_missed_several_rollouts_follows_the_last_one_only() {
    let mut site = Site::new();
    let _running = site.start().await;
    let world = World::default();
    let _agents = fleet(&site, &world, 2).await;
    let (away, identity) = Agent::join(&site, &world, "web3").await;
    in_contact(&site, 3).await;
    let mut operator = site.operator();
    let first = operator.begin(&careful(), "1.0").await.unwrap();
    operator.follow(&first).await;
    let before = world.executions("web3").len();
    drop(away);
    in_contact(&site, 2).await;
    for version in ["2.0", "3.0"] {
        let id = operator.begin(&careful(), version).await.unwrap();
        operator.follow(&id).await;
    }
    let _back = Agent::start(&site, &world, "web3", &identity);
    assert_eq!(started(&mut operator, "r4").await.kind, catch_up("r3"));
    operator.follow("r4").await;
    assert_eq!(world.versions(), ["3.0"; 3]);
    // What brings a version, the restart, and the proof that it is well.
    assert_eq!(world.executions("web3").len() - before, 3);
}

/// What users of other tools reported: the automation brings the version back that was rolled back.
#[tokio::test]
async fn a_host_follows_the_last_version_that_was_not_rolled_back_since() {
    let mut site = Site::new();
    let running = site.start().await;
    let world = World::default();
    let _agents = fleet(&site, &world, 2).await;
    let (away, identity) = Agent::join(&site, &world, "web3").await;
    in_contact(&site, 3).await;
    let mut operator = site.operator();
    let first = operator.begin(&careful(), "1.0").await.unwrap();
    operator.follow(&first).await;
    drop(away);
    in_contact(&site, 2).await;
    for version in ["2.0", "3.0"] {
        let id = operator.begin(&careful(), version).await.unwrap();
        operator.follow(&id).await;
    }
    let request = RollBackRequest { service: "web".to_owned(), ..RollBackRequest::default() };
    let reversal = operator.roll_back(request).await.unwrap().into_inner().rollout;
    operator.follow(&reversal).await;
    // The next coordinator reads the same from the store.
    running.kill();
    let _running = site.start().await;
    in_contact(&site, 2).await;

    let _back = Agent::start(&site, &world, "web3", &identity);
    let mut operator = site.operator();
    assert_eq!(started(&mut operator, "r5").await.kind, catch_up("r2"));
    operator.follow("r5").await;
    assert_eq!(world.versions(), ["2.0"; 3]);
}

#[tokio::test]
async fn a_new_host_joins_at_the_version_that_the_service_is_at_and_not_at_one_still_rolling() {
    let mut site = Site::new();
    let _running = site.start().await;
    let world = World::default();
    let mut agents = fleet(&site, &world, 2).await;
    let mut operator = site.operator();
    let first = operator.begin(&careful(), "1.0").await.unwrap();
    operator.follow(&first).await;

    world.break_version("2.0");
    world.close_gate("web1");
    let second = operator.begin(&careful(), "2.0").await.unwrap();
    eventually("web1 is under way", async || (world.executions("web1").len() == 5).then_some(()))
        .await;
    agents.push(Agent::join(&site, &world, "web3").await.0);
    // Another service's host is none of its business.
    let other = site.enrol("db1", &[("role", "db")]).await;
    agents.push(Agent::start(&site, &world, "db1", &other));
    in_contact(&site, 4).await;
    assert!(world.executions("web3").is_empty());
    world.open_gate("web1");
    operator.follow(&second).await;
    // Its rollback, and only then the newcomer.
    operator.follow("r3").await;
    assert_eq!(started(&mut operator, "r4").await.kind, catch_up("r1"));
    let (_, report) = operator.follow("r4").await;
    assert_eq!(report.hosts.len(), 1);
    assert_eq!(world.version("web3").as_deref(), Some("1.0"));
    assert_eq!(world.version("db1"), None);
    let third = operator.begin(&careful(), "3.0").await.unwrap();
    assert_eq!(third, "r5", "nothing else has begun by itself");
    operator.follow(&third).await;
    assert_eq!(world.version("web3").as_deref(), Some("3.0"));
}

#[tokio::test]
async fn a_new_host_that_is_not_ready_is_left_alone_until_it_is() {
    let mut site = Site::new();
    let _running = site.start().await;
    let world = World::default();
    let _agents = fleet(&site, &world, 1).await;
    let mut operator = site.operator();
    let first = operator.begin(&careful(), "1.0").await.unwrap();
    operator.follow(&first).await;
    let refused = dv_types::Finding::Refused("the policy lists no such unit".to_owned());
    world.find("unit web.service", vec![refused]);
    let looks = world.looks("unit web.service");
    let _new = Agent::join(&site, &world, "web2").await;
    eventually("the host is asked", async || {
        (world.looks("unit web.service") > looks).then_some(())
    })
    .await;
    assert_eq!(rollouts(&mut operator).await, 1);
    world.find("unit web.service", vec![dv_types::Finding::Allowed]);
    // Asked again later, it is ready: one rollout, and no failed one before it.
    let report = started(&mut operator, "r2").await;
    assert_eq!(report.kind, catch_up("r1"));
    let (_, report) = operator.follow("r2").await;
    assert_eq!(report.state, State::Ended(dv_types::record::Verdict::Succeeded));
    assert_eq!(world.versions(), ["1.0"; 2]);
}

#[tokio::test]
async fn a_host_that_is_back_is_held_by_the_same_gates_and_no_failed_rollout_tells_of_it() {
    let mut site = Site::new();
    let _running = site.start().await;
    let world = World::default();
    let _agents = fleet(&site, &world, 1).await;
    let (away, identity) = Agent::join(&site, &world, "web2").await;
    in_contact(&site, 2).await;
    let mut operator = site.operator();
    let gated = Manifest {
        gates: Some(Gates { clock_skew: Some(Span::from_secs(60)), ..Gates::default() }),
        ..careful()
    };
    drop(away);
    in_contact(&site, 1).await;
    let first = operator.begin(&gated, "1.0").await.unwrap();
    operator.follow(&first).await;

    world.clocks_ahead(Span::from_secs(6 * 3600));
    let _back = Agent::start(&site, &world, "web2", &identity);
    in_contact(&site, 2).await;
    // The clock is asked for, and what it says holds the host back.
    eventually("the gate is asked", async || (world.looks("clock") > 1).then_some(())).await;
    assert_eq!(rollouts(&mut operator).await, 1);
    world.clocks_ahead(Span::ZERO);
    assert_eq!(started(&mut operator, "r2").await.kind, catch_up("r1"));
    let (_, report) = operator.follow("r2").await;
    assert_eq!(report.gates.len(), 1, "its answer is on record");
    assert_eq!(world.versions(), ["1.0"; 2]);
}

/// `web2` and `web3` missed the first rollout, are back, and one of them is in the middle of it.
async fn following(site: &Site, world: &World) -> Vec<Agent> {
    let mut agents = fleet(site, world, 1).await;
    let mut away = Vec::new();
    for host in ["web2", "web3"] {
        away.push((host, Agent::join(site, world, host).await.1));
    }
    in_contact(site, 1).await;
    let mut operator = site.operator();
    let patient = manifest(|strategy| {
        strategy.max_unreachable = Quota::Hosts(2);
        strategy.lost_after = Span::from_secs(1);
    });
    let first = operator.begin(&patient, "1.0").await.unwrap();
    operator.follow(&first).await;
    for (host, identity) in away {
        world.close_gate(host);
        agents.push(Agent::start(site, world, host, &identity));
    }
    in_contact(site, 3).await;
    assert_eq!(started(&mut operator, "r2").await.kind, catch_up("r1"));
    eventually("one of them is under way", async || {
        (world.executions("web2").len() + world.executions("web3").len() > 1).then_some(())
    })
    .await;
    agents
}

/// Begins a rollout while hosts follow, and sees it to its end.
async fn in_between(site: &Site, world: &World, manifest: &Manifest) -> Vec<String> {
    let mut operator = site.operator();
    let mut other = site.operator();
    let open = async {
        eventually("what is under way is told to end", async || {
            matches!(other.look("r2").await.state, State::Ending(_) | State::Ended(_)).then_some(())
        })
        .await;
        world.open_gate("web2");
        world.open_gate("web3");
    };
    let (begun, ()) = tokio::join!(operator.begin(manifest, "2.0"), open);
    assert_eq!(begun.unwrap(), "r3");
    let (_, report) = operator.follow("r3").await;
    assert_eq!(report.state, State::Ended(dv_types::record::Verdict::Succeeded));
    report.hosts.into_iter().map(|host| host.name.to_string()).collect()
}

#[tokio::test]
async fn a_person_s_rollout_does_not_wait_for_late_hosts_and_takes_them_along() {
    let mut site = Site::new();
    let _running = site.start().await;
    let world = World::default();
    let _agents = following(&site, &world).await;
    let hosts = in_between(&site, &world, &careful()).await;
    assert_eq!(hosts.len(), 3, "{hosts:?}");
    assert_eq!(world.versions(), ["2.0"; 3]);
    world.nothing_ran_twice();
    let mut operator = site.operator();
    let next = operator.begin(&careful(), "3.0").await.unwrap();
    assert_eq!(next, "r4", "nobody follows any more");
}

#[tokio::test]
async fn late_hosts_that_a_rollout_does_not_take_along_follow_after_it() {
    let mut site = Site::new();
    let _running = site.start().await;
    let world = World::default();
    let _agents = following(&site, &world).await;
    let mut only = careful();
    only.hosts.labels.clear();
    only.hosts.names = vec!["web1".parse().unwrap()];
    let hosts = in_between(&site, &world, &only).await;
    assert_eq!(hosts, ["web1"]);
    let mut operator = site.operator();
    assert_eq!(started(&mut operator, "r4").await.kind, catch_up("r1"));
    let (_, report) = operator.follow("r4").await;
    assert_eq!(report.hosts.len(), 2, "also the one that it was in the middle of");
    assert_eq!(world.versions(), ["2.0", "1.0", "1.0"]);
}

//! The coordinator dies, and the rollout goes on.

use std::sync::Arc;

use dv_coordinator::{
    coordinator::Down,
    store::{DEFAULT_FLOOR, Journal, MemoryStore, SledStore},
};
use dv_proto::{
    to_json,
    v1::{CreateTokenRequest, OperateRolloutRequest},
};
use dv_types::{
    Fact, OpResult, Quota,
    record::{Verb, Verdict},
    report::{Phase, State},
};

use super::{
    rollout::{fleet, in_contact},
    support::{
        Agent, PATIENCE, Site, World, eventually, manifest, operator::Operator as _, started,
    },
};

/// web2 is in the middle of its restart when the coordinator is killed.
async fn killed_in_the_middle(mut site: Site, reopen: impl Fn(&mut Site)) {
    let running = site.start().await;
    let world = World::default();
    let _agents = fleet(&site, &world, 4).await;
    let mut operator = site.operator();
    world.close_gate("web2");
    let id = operator.begin(&manifest(|_| ()), "1.0").await.unwrap();
    eventually("web2 restarts", async || (world.executions("web2").len() == 2).then_some(())).await;

    running.kill();
    reopen(&mut site);
    let running = site.start().await;
    world.open_gate("web2");
    let (records, report) = site.operator().follow(&id).await;
    assert_eq!(report.state, State::Ended(Verdict::Succeeded), "{report:#?}");
    assert_eq!(world.versions(), ["1.0"; 4]);
    world.nothing_ran_twice();
    assert!(records.windows(2).all(|pair| pair[0].epoch <= pair[1].epoch));
    assert!(records.last().unwrap().epoch > records[0].epoch);

    // And once more, after its end: it is still known.
    running.stop().await;
    reopen(&mut site);
    let _running = site.start().await;
    let again = site.operator().look(&id).await;
    assert_eq!(again, report);
}

#[tokio::test]
async fn killed_in_the_middle_over_memory() {
    killed_in_the_middle(Site::new(), |_| ()).await;
}

#[tokio::test]
async fn killed_in_the_middle_over_sled() {
    let mut site = Site::new();
    site.store = Arc::new(SledStore::open(site.state_dir(), DEFAULT_FLOOR).unwrap());
    killed_in_the_middle(site, |site| {
        // The old handle must go before sled opens its directory again.
        site.store = Arc::new(MemoryStore::default());
        site.store = Arc::new(SledStore::open(site.state_dir(), DEFAULT_FLOOR).unwrap());
    })
    .await;
}

#[tokio::test]
async fn a_rollback_that_was_due_begins_after_the_start() {
    let mut site = Site::new();
    let running = site.start().await;
    let world = World::default();
    let _agents = fleet(&site, &world, 3).await;
    let mut operator = site.operator();
    let first = operator.begin(&manifest(|_| ()), "1.0").await.unwrap();
    operator.follow(&first).await;
    world.break_version("2.0");
    world.close_gate("web1");
    let id = operator.begin(&manifest(|s| s.max_failures = Quota::Hosts(0)), "2.0").await.unwrap();
    eventually("web1 restarts", async || (world.executions("web1").len() == 5).then_some(())).await;
    running.kill();
    world.open_gate("web1");
    let running = site.start().await;
    let (_, report) = site.operator().follow(&id).await;
    assert_eq!(report.state, State::Ended(Verdict::Failed));
    running.kill();
    let _running = site.start().await;
    let mut operator = site.operator();
    started(&mut operator, "r3").await;
    let (_, back) = operator.follow("r3").await;
    assert_eq!(back.state, State::Ended(Verdict::Succeeded));
    assert_eq!(world.versions(), ["1.0"; 3]);
    world.nothing_ran_twice();
}

#[tokio::test]
async fn nothing_is_commanded_while_the_store_fails() {
    let store = MemoryStore::default();
    let mut site =
        Site::with(Arc::new(store.clone()), Arc::new(dv_coordinator::clock::SystemClock));
    let _running = site.start().await;
    let world = World::default();
    let agents = fleet(&site, &world, 2).await;
    let mut operator = site.operator();
    world.close_gate("web1");
    let id = operator.begin(&manifest(|_| ()), "1.0").await.unwrap();
    eventually("web1 restarts", async || (world.executions("web1").len() == 2).then_some(())).await;

    store.fail_writes(true);
    world.open_gate("web1");
    eventually("the outcome waits", async || (agents[0].unacknowledged() == 1).then_some(())).await;
    // The host did its part; without a record of it, nothing follows.
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    assert_eq!(agents[0].unacknowledged(), 1);
    assert_eq!(world.executions("web1").len(), 2);
    assert_eq!(world.executions("web2").len(), 0);

    store.fail_writes(false);
    let (_, report) = operator.follow(&id).await;
    assert_eq!(report.state, State::Ended(Verdict::Succeeded));
    world.nothing_ran_twice();
}

#[tokio::test]
async fn an_outcome_that_comes_too_late_is_kept_and_acknowledged() {
    let mut site = Site::new();
    let _running = site.start().await;
    let world = World::default();
    let mut agents = fleet(&site, &world, 2).await;
    let (slow, identity) = Agent::join(&site, &world, "web3").await;
    in_contact(&site, 3).await;
    let mut operator = site.operator();
    world.close_gate("web3");
    let parallel = manifest(|strategy| {
        strategy.max_parallel = Some(Quota::Hosts(3));
        strategy.lost_after = dv_types::Span::from_secs(2);
        strategy.max_unreachable = Quota::Hosts(1);
    });
    let id = operator.begin(&parallel, "1.0").await.unwrap();
    eventually("web3 restarts", async || (world.executions("web3").len() == 2).then_some(())).await;
    let late = world.last_command("web3");
    let slow = slow.cut_off();
    let (_, report) = operator.follow(&id).await;
    let host = report.hosts.iter().find(|host| host.name.as_str() == "web3").unwrap();
    assert_eq!(host.phase, Phase::Unreachable);

    world.open_gate("web3");
    eventually("web3 is done", async || (slow.unacknowledged() == 1).then_some(())).await;
    let slow = slow.reconnect(&site, &identity);
    eventually("the late outcome is acknowledged", async || {
        (slow.unacknowledged() == 0).then_some(())
    })
    .await;
    agents.push(slow);
    let journal = Journal::open(Arc::clone(&site.store), site.clock.now()).await.unwrap();
    let kept = journal.late(&"web3".parse().unwrap(), late).await.unwrap();
    assert_eq!(kept.map(|outcome| outcome.command), Some(late));
}

#[tokio::test]
async fn what_a_host_still_does_for_a_rollout_that_ended_is_called_off() {
    let mut site = Site::new();
    let _running = site.start().await;
    let world = World::default();
    let (agent, identity) = Agent::join(&site, &world, "web1").await;
    in_contact(&site, 1).await;
    let mut operator = site.operator();
    world.close_gate("web1");
    let id = operator.begin(&manifest(|_| ()), "1.0").await.unwrap();
    eventually("web1 restarts", async || (world.executions("web1").len() == 2).then_some(())).await;
    let command = world.last_command("web1");
    let agent = agent.cut_off();
    in_contact(&site, 0).await;
    let abort = OperateRolloutRequest {
        rollout: id.clone(),
        verb_json: to_json(&Verb::Abort),
        reason: String::new(),
    };
    operator.operate_rollout(abort).await.unwrap();
    let (_, report) = operator.follow(&id).await;
    assert_eq!(report.hosts[0].phase, Phase::Unreachable);

    // The gate stays closed: nothing but the coordinator ends the restart.
    let agent = agent.reconnect(&site, &identity);
    let result = eventually("it is called off", async || agent.acknowledged(command)).await;
    assert_eq!(result, OpResult::Cancelled);
    let journal = Journal::open(Arc::clone(&site.store), site.clock.now()).await.unwrap();
    let kept = journal.late(&"web1".parse().unwrap(), command).await.unwrap();
    assert_eq!(kept.map(|outcome| outcome.result), Some(OpResult::Cancelled));
}

#[tokio::test]
async fn an_outcome_that_is_too_large_for_a_record_is_cut_short_and_taken() {
    let mut site = Site::new();
    let _running = site.start().await;
    let world = World::default();
    // In JSON, each of these bytes becomes six.
    world.print("\u{1}".repeat(4096));
    let agents = fleet(&site, &world, 1).await;
    let mut operator = site.operator();
    let id = operator.begin(&manifest(|_| ()), "1.0").await.unwrap();
    let (records, report) = operator.follow(&id).await;
    assert_eq!(report.state, State::Ended(Verdict::Succeeded));
    for outcome in records.iter().filter_map(|record| match &record.fact {
        Fact::Reported { outcome, .. } => Some(outcome),
        _ => None,
    }) {
        assert_eq!(outcome.output.tail.len() as u64 + outcome.output.dropped, 4096);
        assert!(!outcome.output.tail.is_empty() && outcome.output.dropped > 0);
    }
    eventually("all is acknowledged", async || (agents[0].unacknowledged() == 0).then_some(()))
        .await;
}

#[tokio::test]
async fn a_write_that_fails_takes_the_coordinator_down_and_a_conflict_does_not() {
    let store = MemoryStore::default();
    let mut site =
        Site::with(Arc::new(store.clone()), Arc::new(dv_coordinator::clock::SystemClock));
    let running = site.start().await;
    let mut down = std::pin::pin!(running.down());
    // A token's answer comes after its write, and here another reign has begun meanwhile.
    let reign = Journal::open(Arc::clone(&site.store), site.clock.now()).await.unwrap();
    let request = || CreateTokenRequest { host: "web1".to_owned(), ..Default::default() };
    let refused = site.operator().create_token(request()).await.unwrap_err();
    assert!(refused.message().contains("changed by somebody else"), "{refused:?}");
    assert!(futures_util::poll!(&mut down).is_pending(), "after epoch {}", reign.epoch());

    store.fail_writes(true);
    site.operator().create_token(request()).await.unwrap_err();
    let why = tokio::time::timeout(PATIENCE, down).await.unwrap();
    assert!(matches!(why, Down::Store(_)), "{why:?}");
    assert!(why.to_string().starts_with("the store failed: "), "{why}");
}

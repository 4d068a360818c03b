//! Rollouts through the real server, with scripted agents.

use dv_proto::{
    from_json, to_json,
    v1::{
        ListHostsRequest, ListRolloutsRequest, OperateRolloutRequest, PlanRolloutRequest,
        RollBackRequest, StartRolloutRequest,
    },
};
use dv_types::{
    Fact, Plan, Quota, Report,
    plan::Kind,
    record::{Verb, Verdict},
    report::{Phase, State},
};
use tonic::Code;

use super::support::{
    Agent, PATIENCE, Site, World, eventually, manifest, operator::Operator as _, started,
};

/// A site with agents `web1` to `webN` in contact.
pub(crate) async fn fleet(site: &Site, world: &World, hosts: usize) -> Vec<Agent> {
    let mut agents = Vec::new();
    for n in 1..=hosts {
        agents.push(Agent::join(site, world, &format!("web{n}")).await.0);
    }
    in_contact(site, hosts).await;
    agents
}

pub(crate) async fn in_contact(site: &Site, hosts: usize) {
    let mut operator = site.operator();
    eventually("all hosts are in contact", async || {
        let reply = operator.list_hosts(ListHostsRequest {}).await.ok()?.into_inner();
        (reply.hosts.iter().filter(|host| host.connected).count() == hosts).then_some(())
    })
    .await;
}

fn ended(report: &Report) -> Option<Verdict> {
    match report.state {
        State::Ended(verdict) => Some(verdict),
        _ => None,
    }
}

#[tokio::test]
async fn a_version_goes_through_the_fleet() {
    let mut site = Site::new();
    let _running = site.start().await;
    let world = World::default();
    let agents = fleet(&site, &world, 3).await;
    let mut operator = site.operator();

    let id = operator.begin(&manifest(|_| ()), "1.0").await.unwrap();
    let (records, report) = operator.follow(&id).await;
    assert_eq!(ended(&report), Some(Verdict::Succeeded));
    assert_eq!(report.totals.healthy, 3);
    assert!(matches!(records.last().unwrap().fact, Fact::Ended { .. }));
    assert_eq!(world.versions(), ["1.0", "1.0", "1.0"]);
    world.nothing_ran_twice();
    eventually("every outcome is acknowledged", async || {
        agents.iter().all(|agent| agent.unacknowledged() == 0).then_some(())
    })
    .await;

    // The same is told afterwards.
    assert_eq!(operator.look(&id).await, report);
    let list = operator.list_rollouts(ListRolloutsRequest::default()).await.unwrap();
    let [listed] = list.into_inner().report_json.try_into().unwrap();
    let listed: Report = from_json("report_json", &listed).unwrap();
    assert_eq!(listed, Report { hosts: Vec::new(), ..report });
    let hosts = operator.list_hosts(ListHostsRequest {}).await.unwrap().into_inner().hosts;
    for host in hosts {
        assert_eq!(host.services.len(), 1);
        assert_eq!((host.services[0].version.as_str(), &host.services[0].rollout), ("1.0", &id));
    }
}

#[tokio::test]
async fn a_bad_version_is_taken_back_by_itself_and_marked() {
    let mut site = Site::new();
    let _running = site.start().await;
    let world = World::default();
    let _agents = fleet(&site, &world, 4).await;
    let mut operator = site.operator();
    let first = operator.begin(&manifest(|_| ()), "1.0").await.unwrap();
    operator.follow(&first).await;

    world.break_version("2.0");
    let bad = manifest(|strategy| strategy.max_failures = Quota::Hosts(1));
    let id = operator.begin(&bad, "2.0").await.unwrap();
    let (_, report) = operator.follow(&id).await;
    assert_eq!(ended(&report), Some(Verdict::Failed));
    assert!(report.rollback);
    assert_eq!(report.totals.touched, 2, "the budget is spent by the second failure");

    let back = started(&mut operator, "r3").await;
    assert_eq!(back.kind, Kind::Reversal { of: id.parse().unwrap() });
    let (_, back) = operator.follow("r3").await;
    assert_eq!(ended(&back), Some(Verdict::Succeeded));
    assert_eq!(back.hosts.len(), 2, "untouched hosts stay untouched");
    assert_eq!(world.versions(), ["1.0"; 4]);
    assert_eq!(operator.look(&id).await.reversed_by, Some("r3".parse().unwrap()));
    world.nothing_ran_twice();

    // It goes out again only by force.
    let refused = operator.begin(&bad, "2.0").await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("--force"), "{}", refused.message());
    let force = |reason: &str| StartRolloutRequest {
        manifest_json: to_json(&bad),
        version: "2.0".to_owned(),
        force: true,
        reason: reason.to_owned(),
        ..StartRolloutRequest::default()
    };
    let refused = operator.start_rollout(force("")).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    operator.start_rollout(force("the database is up again")).await.unwrap();
}

#[tokio::test]
async fn a_first_rollout_that_fails_says_that_its_hosts_stay_as_they_are() {
    let mut site = Site::new();
    let _running = site.start().await;
    let world = World::default();
    let _agents = fleet(&site, &world, 2).await;
    let mut operator = site.operator();
    world.break_version("1.0");
    // Nothing that dv knows ran there before, and `undo` needs it.
    let id = operator.begin(&manifest(|s| s.max_failures = Quota::Hosts(0)), "1.0").await.unwrap();
    let (_, report) = operator.follow(&id).await;
    assert_eq!((ended(&report), report.rollback), (Some(Verdict::Failed), true));

    started(&mut operator, "r2").await;
    let (_, back) = operator.follow("r2").await;
    assert_eq!((ended(&back), back.hosts.len()), (Some(Verdict::Failed), 0));
    let request = dv_proto::v1::GetRolloutRequest { rollout: "r2".to_owned() };
    let reply = operator.get_rollout(request).await.unwrap().into_inner();
    let plan: Plan = from_json("plan_json", &reply.plan_json).unwrap();
    let left: Vec<_> = plan.left_as_they_are().collect();
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(left[0].0.as_str(), "web1");
    assert!(left[0].1.contains("needs the version before"), "{left:?}");
    assert_eq!(operator.look(&id).await.reversed_by, Some("r2".parse().unwrap()));
    // It was not taken back, and nothing but a person does anything about it.
    let again = operator.begin(&manifest(|_| ()), "1.1").await.unwrap();
    let (_, report) = operator.follow(&again).await;
    assert_eq!((again.as_str(), ended(&report)), ("r3", Some(Verdict::Succeeded)));
}

#[tokio::test]
async fn an_operator_takes_the_last_rollout_back_and_no_rollback() {
    let mut site = Site::new();
    let _running = site.start().await;
    let world = World::default();
    let _agents = fleet(&site, &world, 3).await;
    let mut operator = site.operator();
    for version in ["1.0", "2.0"] {
        let id = operator.begin(&manifest(|_| ()), version).await.unwrap();
        operator.follow(&id).await;
    }
    let last = || RollBackRequest {
        service: "web".to_owned(),
        reason: "slow".to_owned(),
        all_at_once: true,
        ..RollBackRequest::default()
    };
    let reply = operator.roll_back(last()).await.unwrap().into_inner();
    assert_eq!((reply.rollout.as_str(), reply.of.as_str()), ("r3", "r2"));
    let (_, report) = operator.follow("r3").await;
    assert_eq!(ended(&report), Some(Verdict::Succeeded));
    assert_eq!(report.wave.1, 1, "all at once");
    assert_eq!(world.versions(), ["1.0"; 3]);

    let this = |id: &str| RollBackRequest { rollout: id.to_owned(), ..RollBackRequest::default() };
    for (id, part) in [("r3", "never rolled back"), ("r2", "by r3 already"), ("r9", "no rollout")] {
        let refused = operator.roll_back(this(id)).await.unwrap_err();
        assert!(refused.message().contains(part), "{id}: {}", refused.message());
    }

    // Typed twice, it does not reach for the version before.
    let refused = operator.roll_back(last()).await.unwrap_err();
    let said = refused.message();
    assert!(said.contains("r2, the last rollout of web, was taken back by r3 already"), "{said}");
    assert!(said.contains("dvctl rollback r1"), "{said}");
    assert_eq!(world.versions(), ["1.0"; 3]);
}

#[tokio::test]
async fn a_rollback_that_was_aborted_can_be_begun_again() {
    let mut site = Site::new();
    let _running = site.start().await;
    let world = World::default();
    let _agents = fleet(&site, &world, 3).await;
    let mut operator = site.operator();
    for version in ["1.0", "2.0"] {
        let id = operator.begin(&manifest(|_| ()), version).await.unwrap();
        operator.follow(&id).await;
    }
    let request = || RollBackRequest { service: "web".to_owned(), ..RollBackRequest::default() };
    world.close_gate("web3");
    let reply = operator.roll_back(request()).await.unwrap().into_inner();
    assert_eq!((reply.rollout.as_str(), reply.of.as_str()), ("r3", "r2"));
    let abort = OperateRolloutRequest {
        rollout: "r3".to_owned(),
        verb_json: to_json(&Verb::Abort),
        reason: String::new(),
    };
    operator.operate_rollout(abort).await.unwrap();
    world.open_gate("web3");
    let (_, report) = operator.follow("r3").await;
    assert_eq!(ended(&report), Some(Verdict::Aborted));

    // The same rollout is taken back, not the one before it.
    let reply = operator.roll_back(request()).await.unwrap().into_inner();
    assert_eq!((reply.rollout.as_str(), reply.of.as_str()), ("r4", "r2"));
    let (_, report) = operator.follow("r4").await;
    assert_eq!(ended(&report), Some(Verdict::Succeeded));
    assert_eq!(world.versions(), ["1.0"; 3]);
}

#[tokio::test]
async fn a_rollout_under_way_is_ended_and_taken_back() {
    let mut site = Site::new();
    let _running = site.start().await;
    let world = World::default();
    let _agents = fleet(&site, &world, 3).await;
    let mut operator = site.operator();
    let first = operator.begin(&manifest(|_| ()), "1.0").await.unwrap();
    operator.follow(&first).await;

    let wait = manifest(|strategy| strategy.canary = Quota::Hosts(1));
    let id = operator.begin(&wait, "2.0").await.unwrap();
    eventually("the canary is healthy", async || {
        (operator.look(&id).await.state == State::AwaitingPromotion).then_some(())
    })
    .await;
    let request = RollBackRequest { rollout: id.clone(), ..RollBackRequest::default() };
    let reply = operator.roll_back(request).await.unwrap().into_inner();
    assert_eq!((reply.rollout.as_str(), &reply.of), ("r3", &id));
    operator.follow("r3").await;
    assert_eq!(world.versions(), ["1.0"; 3]);
    let hosts = operator.look("r3").await.hosts;
    assert_eq!(hosts.len(), 1, "only the canary was touched");
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_in_words() {
    let mut site = Site::new();
    let _running = site.start().await;
    let world = World::default();
    let _agents = fleet(&site, &world, 2).await;
    let mut operator = site.operator();

    let mut nowhere = manifest(|_| ());
    nowhere.hosts.labels.insert("role".to_owned(), "mail".to_owned());
    let mut bad = manifest(|_| ());
    bad.steps.clear();
    for (manifest, version, part) in [
        (&nowhere, "1.0", "no host of the fleet"),
        (&bad, "1.0", "steps"),
        (&manifest(|_| ()), "..", "version"),
        (
            &manifest(|strategy| strategy.min_available = Quota::Percent(100)),
            "1.0",
            "min_available",
        ),
    ] {
        let refused = operator.begin(manifest, version).await.unwrap_err();
        assert!(refused.message().contains(part), "{part}: {}", refused.message());
        assert!([Code::InvalidArgument, Code::FailedPrecondition].contains(&refused.code()));
    }
    let verb = |id: &str, verb: &Verb| OperateRolloutRequest {
        rollout: id.to_owned(),
        verb_json: to_json(verb),
        reason: String::new(),
    };
    let refused = operator.operate_rollout(verb("r1", &Verb::Pause)).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);

    // Two at once.
    let canary = manifest(|strategy| strategy.canary = Quota::Hosts(1));
    let id = operator.begin(&canary, "1.0").await.unwrap();
    let refused = operator.begin(&canary, "2.0").await.unwrap_err();
    assert!(refused.message().contains(&id), "{}", refused.message());
    let refused = operator.operate_rollout(verb(&id, &Verb::Resume)).await.unwrap_err();
    assert!(refused.message().contains("not paused"), "{}", refused.message());

    // A plan that was agreed on and has changed since.
    operator.operate_rollout(verb(&id, &Verb::Abort)).await.unwrap();
    operator.follow(&id).await;
    let request = StartRolloutRequest {
        manifest_json: to_json(&canary),
        version: "3.0".to_owned(),
        plan_hash: "0".repeat(64),
        ..StartRolloutRequest::default()
    };
    let refused = operator.start_rollout(request).await.unwrap_err();
    assert!(refused.message().contains("another hash"), "{}", refused.message());
}

#[tokio::test]
async fn the_plan_that_was_shown_is_the_one_that_starts() {
    let mut site = Site::new();
    let _running = site.start().await;
    let world = World::default();
    let _agents = fleet(&site, &world, 2).await;
    let mut operator = site.operator();
    let manifest_json = to_json(&manifest(|_| ()));
    let request =
        PlanRolloutRequest { manifest_json: manifest_json.clone(), version: "1.0".to_owned() };
    let planned = operator.plan_rollout(request).await.unwrap().into_inner();
    let plan: Plan = from_json("plan_json", &planned.plan_json).unwrap();
    assert_eq!(plan.hash(), planned.hash);
    assert_eq!(plan.hosts.len(), 2);
    let request = StartRolloutRequest {
        manifest_json,
        version: "1.0".to_owned(),
        plan_hash: planned.hash.clone(),
        ..StartRolloutRequest::default()
    };
    let id = operator.start_rollout(request).await.unwrap().into_inner().rollout;
    assert_eq!(operator.look(&id).await.plan, planned.hash);
}

#[tokio::test]
async fn a_host_that_was_away_is_caught_up() {
    let mut site = Site::new();
    let _running = site.start().await;
    let world = World::default();
    let mut agents = fleet(&site, &world, 3).await;
    let (away, identity) = Agent::join(&site, &world, "web4").await;
    in_contact(&site, 4).await;
    let mut operator = site.operator();
    let careful = manifest(|strategy| {
        strategy.max_unreachable = Quota::Hosts(1);
        strategy.lost_after = dv_types::Span::from_secs(2);
    });
    let first = operator.begin(&careful, "1.0").await.unwrap();
    operator.follow(&first).await;

    drop(away);
    in_contact(&site, 3).await;
    let id = operator.begin(&careful, "2.0").await.unwrap();
    let (_, report) = operator.follow(&id).await;
    assert_eq!(ended(&report), Some(Verdict::Succeeded));
    let host = report.hosts.iter().find(|host| host.name.as_str() == "web4").unwrap();
    assert_eq!(host.phase, Phase::Unreachable);
    assert_eq!(world.version("web4").as_deref(), Some("1.0"));

    agents.push(Agent::start(&site, &world, "web4", &identity));
    let follow = started(&mut operator, "r3").await;
    assert_eq!(follow.kind, Kind::CatchUp { of: id.parse().unwrap() });
    operator.follow("r3").await;
    assert_eq!(world.versions(), ["2.0"; 4]);

    // The rollback takes the latecomer along.
    let request = RollBackRequest { service: "web".to_owned(), ..RollBackRequest::default() };
    let reply = operator.roll_back(request).await.unwrap().into_inner();
    assert_eq!((reply.rollout.as_str(), &reply.of), ("r4", &id));
    operator.follow("r4").await;
    assert_eq!(world.versions(), ["1.0"; 4]);
    world.nothing_ran_twice();
}

#[tokio::test]
async fn a_catch_up_that_a_person_aborts_is_not_begun_again() {
    let mut site = Site::new();
    let _running = site.start().await;
    let world = World::default();
    let _agents = fleet(&site, &world, 2).await;
    let (away, identity) = Agent::join(&site, &world, "web3").await;
    in_contact(&site, 3).await;
    drop(away);
    in_contact(&site, 2).await;
    let mut operator = site.operator();
    let patient = manifest(|strategy| {
        strategy.max_unreachable = Quota::Hosts(1);
        strategy.lost_after = dv_types::Span::from_secs(2);
    });
    let id = operator.begin(&patient, "1.0").await.unwrap();
    operator.follow(&id).await;

    world.close_gate("web3");
    let _back = Agent::start(&site, &world, "web3", &identity);
    started(&mut operator, "r2").await;
    eventually("web3 restarts", async || (world.executions("web3").len() == 2).then_some(())).await;
    let request = OperateRolloutRequest {
        rollout: "r2".to_owned(),
        verb_json: to_json(&Verb::Abort),
        reason: String::new(),
    };
    operator.operate_rollout(request).await.unwrap();
    world.open_gate("web3");
    let (_, report) = operator.follow("r2").await;
    assert_eq!(ended(&report), Some(Verdict::Aborted));
    // Whatever dv would begin by itself, it would begin before this.
    let id = operator.begin(&patient, "2.0").await.unwrap();
    assert_eq!(id, "r3");
}

#[tokio::test]
async fn a_host_that_falls_silent_is_out_of_contact() {
    let mut site = Site::new();
    site.beat_every(dv_types::Span::from_millis(200));
    let _running = site.start().await;
    let identity = site.enrol("web1", &[]).await;
    let hello = dv_proto::v1::from_agent::Message::Hello(dv_proto::v1::Hello::default());
    let hello = dv_proto::v1::FromAgent { message: Some(hello) };
    // It says hello and keeps the stream open, but no heartbeat comes.
    let words = futures_util::StreamExt::chain(
        tokio_stream::iter([hello]),
        futures_util::stream::pending(),
    );
    let mut orders = site.link(&identity).link(words).await.unwrap().into_inner();
    assert!(orders.message().await.unwrap().is_some(), "Welcome");
    let end = tokio::time::timeout(PATIENCE, orders.message()).await.unwrap().unwrap_err();
    assert_eq!(end.code(), Code::DeadlineExceeded, "{end:?}");
    assert!(end.message().contains("three heartbeats"), "{}", end.message());
    let hosts = site.operator().list_hosts(ListHostsRequest {}).await.unwrap().into_inner().hosts;
    assert!(!hosts[0].connected);
}

#[tokio::test]
async fn a_watcher_that_does_not_read_holds_nothing_up() {
    let mut site = Site::new();
    let _running = site.start().await;
    let world = World::default();
    let _agents = fleet(&site, &world, 20).await;
    let mut operator = site.operator();
    let id = operator.begin(&manifest(|_| ()), "1.0").await.unwrap();
    let request =
        || dv_proto::v1::WatchRolloutRequest { rollout: id.clone(), ..Default::default() };
    // Connections of their own, whose flow control fills up.
    let mut stuck = Vec::new();
    for _ in 0..5 {
        stuck.push(site.operator().watch_rollout(request()).await.unwrap().into_inner());
    }
    let (records, report) = operator.follow(&id).await;
    assert_eq!(ended(&report), Some(Verdict::Succeeded));
    // And they may still read all of it.
    for mut stream in stuck {
        let mut seen = 0;
        while let Some(reply) = stream.message().await.unwrap() {
            let message = reply.message.unwrap();
            seen += usize::from(matches!(
                message,
                dv_proto::v1::watch_rollout_reply::Message::RecordJson(_)
            ));
        }
        assert_eq!(seen, records.len());
    }
}

//! Signed plans, as the coordinator handles them: what it takes, and what it hands out. It holds no key to verify with.

use dv_proto::{
    from_json, to_json,
    v1::{PlanRolloutRequest, RollBackRequest, StartRolloutRequest, control_client::ControlClient},
};
use dv_rollout::planning::{agrees, leaf, signed_hosts};
use dv_types::{
    Manifest, Plan, Span, Timestamp, Warrant,
    plan::Kind,
    report::State,
    warrant::{Back, SignedWarrant, Tree},
};
use tonic::{Status, transport::Channel};

use crate::{
    rollout::{fleet, in_contact},
    support::{Agent, Site, World, eventually, manifest, operator::Operator as _, started},
};

fn signed() -> Manifest {
    Manifest { signed: true, ..manifest(|_| {}) }
}

async fn plan(operator: &mut ControlClient<Channel>, version: &str) -> Plan {
    let (manifest_json, version) = (to_json(&signed()), version.to_owned());
    let reply = operator.plan_rollout(PlanRolloutRequest { manifest_json, version }).await;
    from_json("plan_json", &reply.unwrap().into_inner().plan_json).unwrap()
}

/// As an operator signs it, changed by `change`.
fn sign(plan: &Plan, change: impl FnOnce(&mut Warrant)) -> SignedWarrant {
    let tree = Tree::new(signed_hosts(plan).iter().map(|host| leaf(plan, host).text()));
    let made = Timestamp::now();
    let hour = Span::from_secs(3600);
    let mut warrant = Warrant {
        format: Warrant::FORMAT,
        service: plan.service.clone(),
        version: plan.version.clone(),
        kind: plan.kind.clone(),
        plan: plan.hash(),
        made,
        not_before: made,
        not_after: hour.after(made),
        back_until: hour.after(made),
        hosts: tree.count(),
        root: tree.root(),
    };
    change(&mut warrant);
    SignedWarrant { text: warrant.text(), signature: "a signature".to_owned() }
}

async fn start(
    operator: &mut ControlClient<Channel>,
    version: &str,
    signed_by: &SignedWarrant,
) -> Result<String, Status> {
    let request = StartRolloutRequest {
        manifest_json: to_json(&signed()),
        version: version.to_owned(),
        warrant_json: to_json(signed_by),
        ..StartRolloutRequest::default()
    };
    Ok(operator.start_rollout(request).await?.into_inner().rollout)
}

#[tokio::test]
async fn what_is_not_signed_or_not_for_this_plan_is_refused_before_anything_is_written() {
    let mut site = Site::new();
    let _running = site.start().await;
    let world = World::default();
    let _agents = fleet(&site, &world, 2).await;
    let mut operator = site.operator();
    let why = operator.begin(&signed(), "1.0").await.unwrap_err();
    assert!(why.message().contains("web must be signed"), "{why}");
    let plan = plan(&mut operator, "1.0").await;
    agrees(&plan, &signed(), &plan.version).unwrap();
    type Change = fn(&mut Warrant);
    let changes: [(&str, Change); 5] = [
        ("another hash", |w| w.plan = "00".repeat(32)),
        ("another service", |w| w.version = "2.0".parse().unwrap()),
        ("another service", |w| w.kind = Kind::CatchUp { of: "r1".parse().unwrap() }),
        ("expired", |w| w.not_after = Timestamp::UNIX_EPOCH),
        ("another version", |w| w.root = Tree::new(["x"]).root()),
    ];
    for (why, change) in changes {
        let refused = start(&mut operator, "1.0", &sign(&plan, change)).await.unwrap_err();
        assert!(refused.message().contains(why), "{refused}");
    }
    assert_eq!(world.signed().1.len(), 0);
    start(&mut operator, "1.0", &sign(&plan, |_| {})).await.unwrap();
}

#[tokio::test]
async fn each_host_is_handed_its_leaf_and_the_way_back_needs_no_other_signature() {
    let mut site = Site::new();
    let _running = site.start().await;
    let world = World::default();
    let _agents = fleet(&site, &world, 2).await;
    let mut operator = site.operator();
    let one = sign(&plan(&mut operator, "1.0").await, |_| {});
    let id = start(&mut operator, "1.0", &one).await.unwrap();
    operator.follow(&id).await;
    world.break_version("2.0");
    let two = sign(&plan(&mut operator, "2.0").await, |_| {});
    let id = start(&mut operator, "2.0", &two).await.unwrap();
    let (_, report) = operator.follow(&id).await;
    assert!(matches!(report.state, State::Ended(_)));
    started(&mut operator, "r3").await;
    operator.follow("r3").await;
    assert_eq!(world.versions(), ["1.0"; 2]);

    let (handed, told) = world.signed();
    assert!(told.iter().any(|one| one.back) && told.iter().any(|one| !one.back), "{told:?}");
    for one in &told {
        let of_host = |host: &str| host == one.host;
        let found = handed.iter().filter(|(host, _)| of_host(host)).find_map(|(_, warrant)| {
            (warrant.signed.id().as_str() == one.warrant).then(|| warrant.open().unwrap())
        });
        let (_, leaf) = found.expect("it was handed over before");
        assert_eq!(leaf.host.as_str(), one.host);
        let operation = &one.command.operation;
        assert_eq!(one.back, one.command.id.rollout.0 == 3, "{one:?}");
        match one.back {
            false => assert!(leaf.forward.contains(operation), "{one:?}"),
            true => assert!(leaf.back.contains(&Back::Do(operation.clone())), "{one:?}"),
        }
    }
    // Once for each host and rollout, as long as it stays connected.
    let of = |warrant: &SignedWarrant| {
        handed.iter().filter(|(_, handed)| handed.signed == *warrant).count()
    };
    assert_eq!((of(&one), of(&two)), (2, 2 * told.iter().filter(|t| t.back).count().min(1)));
}

#[tokio::test]
async fn a_new_host_is_not_led_where_nothing_was_signed_for_it() {
    let mut site = Site::new();
    let _running = site.start().await;
    let world = World::default();
    let _agents = fleet(&site, &world, 2).await;
    let mut operator = site.operator();
    let one = sign(&plan(&mut operator, "1.0").await, |_| {});
    let id = start(&mut operator, "1.0", &one).await.unwrap();
    operator.follow(&id).await;
    let (_new, _) = Agent::join(&site, &world, "web3").await;
    in_contact(&site, 3).await;
    // The next one has it.
    let next = eventually("web3 is in the plan", async || {
        let plan = plan(&mut site.operator(), "2.0").await;
        (plan.hosts.len() == 3).then_some(plan)
    });
    let next = sign(&next.await, |_| {});
    let id = start(&mut operator, "2.0", &next).await.unwrap();
    assert_eq!(id, "r2", "nothing has begun by itself");
    operator.follow(&id).await;
    assert_eq!(world.versions(), ["2.0"; 3]);

    // A way back that is signed for itself is carried out in the name of that.
    let back = RollBackRequest { rollout: id.clone(), ..RollBackRequest::default() };
    let reply = operator.plan_roll_back(back.clone()).await.unwrap().into_inner();
    let reversal: Plan = from_json("plan_json", &reply.plan_json).unwrap();
    let signed_back = sign(&reversal, |_| {});
    let back = RollBackRequest { warrant_json: to_json(&signed_back), ..back };
    operator.roll_back(back).await.unwrap();
    operator.follow("r3").await;
    let (_, told) = world.signed();
    let last = told.last().unwrap();
    assert_eq!((last.warrant.as_str(), last.back), (signed_back.id().as_str(), false));
}

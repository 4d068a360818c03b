//! A record has a limit, whatever the fleet's size, and whatever manifests, hosts and databases say.

use dv_rollout::Event;
use dv_types::{
    MigrationKind::{Expand, Irreversible},
    OpResult, Operation, Sample, Span,
    gate::Answer,
    monitor::Seen,
    plan::{Way, Wish},
    record::{PauseWhy, Verdict},
    report::State,
};
use serde_json::{Value, json};

use crate::{
    playbook::{HELPER, answer, backup, done, image, migrate, migrations, plan_of, steps},
    world::{World, host},
};

/// Each byte of it becomes six in JSON.
fn loud(size: usize) -> String {
    "\u{1}".repeat(size)
}

/// Steps with command lines of 20,000 bytes.
fn wordy() -> Value {
    let mut migrate = migrate(json!({ "host": "h90" }));
    migrate["migrate"]["upgrade"] = json!(["/bin/db", loud(20_000)]);
    let run = json!({ "run": { "argv": ["/bin/switch", loud(20_000)] } });
    json!([backup(json!({ "host": "h90" })), image(), migrate, run])
}

#[test]
fn reasons_are_cut_to_what_a_record_holds() {
    // `World::check` weighs each record.
    let failing = |operation: &Operation| match operation {
        Operation::Run { .. } => OpResult::Failed(loud(2_000)),
        _ => OpResult::Done,
    };
    let mut world = World::new(plan_of(&json!({ "max_parallel": 3 }), wordy(), Value::Null, 3));
    world.run(|_, operation| failing(operation));
    assert!(matches!(world.report().state, State::Ended(Verdict::Failed)), "{:#?}", world.report());

    // One is lost in the middle of what has so long a name.
    let mut world = World::new(plan_of(&json!({ "max_parallel": 3 }), wordy(), Value::Null, 3));
    world.up_to("migrate");
    world.disconnect(HELPER);
    world.pass(Span::from_secs(60));
    assert!(matches!(world.paused(), PauseWhy::OnceUnknown { .. }));
    world.resolve("migrate", true).unwrap();
    for n in 1..=3 {
        world.disconnect(n);
    }
    world.pass(Span::from_secs(60));
    assert!(matches!(world.paused(), PauseWhy::Unreachable { .. }), "{:?}", world.paused());
}

#[test]
fn what_gates_probes_and_monitors_say_is_cut_to_what_a_record_holds() {
    let more = json!({
        "gates": { "agent_version": "0.1.0" },
        "monitor": { "duration": "60s", "min_requests": 9 },
    });
    let mut world = World::unstarted(plan_of(&json!({}), json!([image()]), more, 2));
    world.start();
    let mut says = answer("agent_version", Answer::Pass);
    let Event::Gate { answer } = &mut says else { panic!() };
    (answer.why, answer.evidence) = (loud(9_000), vec![loud(900); 900]);
    world.turn(vec![says]);
    world.run(done);
    world.turn(vec![Event::Health { host: host(1), good: false, why: Some(loud(9_000)) }]);
    world.turn(vec![Event::Health { host: host(1), good: true, why: None }]);
    let trouble = Some(loud(9_000));
    world
        .turn(vec![Event::Sampled { sample: Sample { new: Seen::default(), old: None, trouble } }]);
    world.pass(Span::from_secs(120));
    assert!(matches!(world.paused(), PauseWhy::Inconclusive { .. }), "{:?}", world.paused());
}

#[test]
fn a_thousand_migrations_are_applied_known_and_taken_back() {
    let kinds: Vec<_> = (0..1000).map(|n| if n == 777 { Irreversible } else { Expand }).collect();
    let plan = || plan_of(&json!({}), steps(&json!({ "host": "h90" })), Value::Null, 2);
    let mut world = World::pending(plan(), &kinds);
    world.run(done);
    assert_eq!(world.report().state, State::Ended(Verdict::Succeeded));
    // The outcome names the first hundred, and the plan the others.
    assert_eq!(world.report().migrations, migrations(&kinds));
    let wish = Wish { by_person: true, accept_data_loss: true, ..Wish::default() };
    let way = dv_rollout::planning::way_back(&world.rollout, wish).unwrap().way;
    assert!(matches!(way, Way::Downgrade { migrations } if migrations.len() == 1000));

    // The one that forbids the way back is not among those that the outcome names.
    let mut world = World::pending(plan(), &kinds);
    world.run(|_, operation| match operation {
        Operation::Verify { .. } => OpResult::Failed("not well".to_owned()),
        _ => OpResult::Done,
    });
    let PauseWhy::Migrated { migrations, .. } = world.paused() else { panic!() };
    assert_eq!(migrations, ["m777 (irreversible)"]);

    // Where all of them forbid it, not all are named again.
    let mut world = World::pending(plan(), &[Irreversible; 1000]);
    world.run(|_, operation| match operation {
        Operation::Verify { .. } => OpResult::Failed("not well".to_owned()),
        _ => OpResult::Done,
    });
    let PauseWhy::Migrated { migrations, .. } = world.paused() else { panic!() };
    assert_eq!(migrations.last().unwrap(), "980 more");

    // Where the plan does not explain what was not named, nobody knows.
    let mut world = World::pending_unplanned(plan(), &kinds);
    world.run(done);
    assert!(dv_rollout::planning::way_back(&world.rollout, wish).is_err());
}

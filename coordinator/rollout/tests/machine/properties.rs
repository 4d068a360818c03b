//! Any order of events: the promises in `World::check` hold after each, and once the faults stop, the rollout ends.

use dv_rollout::Event;
use dv_types::{
    MigrationKind, OpResult, Operation, Plan, Sample, Span,
    gate::Answer,
    record::Verb,
    report::{OnceState, State},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    playbook::{self, HELPER, answer, plan_of},
    world::{World, host, number, plan},
};

const HOSTS: usize = 6;

#[derive(Debug, Clone)]
enum Action {
    CarryOut(usize, bool),
    Repeat(usize),
    Disconnect(usize),
    Connect(usize),
    Health(usize, bool),
    Pass(u64),
    Crash,
    Operator(Verb),
    /// Which agent, and what becomes of it: done, failed, unknown, refused.
    CarryOutOnce(usize, u8),
    /// It is carried out, and the connection is gone before that is heard.
    LoseOutcome(usize),
    Gate(usize, Answer),
    Sample,
    Resolve(usize, bool),
    Override(usize),
}

fn action() -> impl Strategy<Value = Action> {
    let n = 1..=HOSTS;
    prop_oneof![
        12 => (n.clone(), prop::bool::weighted(0.85)).prop_map(|(n, ok)| Action::CarryOut(n, ok)),
        2 => n.clone().prop_map(Action::Repeat),
        2 => n.clone().prop_map(Action::Disconnect),
        3 => n.clone().prop_map(Action::Connect),
        2 => (n.clone(), any::<bool>()).prop_map(|(n, good)| Action::Health(n, good)),
        2 => (0u64..120).prop_map(Action::Pass),
        1 => Just(Action::Crash),
        1 => n.clone().prop_map(|n| Action::Operator(Verb::Retry { host: host(n) })),
        1 => n.prop_map(|n| Action::Operator(Verb::Skip { host: host(n) })),
        3 => prop::sample::select(vec![Verb::Pause, Verb::Resume, Verb::Promote]).prop_map(Action::Operator),
    ]
}

fn strategy() -> impl Strategy<Value = String> {
    let on_failure = prop::sample::select(vec!["rollback", "pause", "continue"]);
    (0u32..3, 1u32..4, 0u32..3, 0u32..6, on_failure, any::<bool>()).prop_map(
        |(canary, parallel, failures, available, on_failure, batches)| {
            let pace = match batches {
                true => r#""batches": [1, "50%", "100%"]"#.to_owned(),
                false => format!(r#""max_parallel": {parallel}"#),
            };
            format!(
                r#"{{ "canary": {canary}, {pace}, "max_failures": {failures},
                      "min_available": {available}, "on_failure": "{on_failure}" }}"#
            )
        },
    )
}

fn act(world: &mut World, action: &Action) {
    match action {
        Action::CarryOut(n, ok) => {
            world.carry_out(*n, |_: &Operation| match ok {
                true => OpResult::Done,
                false => OpResult::Failed("it broke".to_owned()),
            });
        }
        Action::Repeat(n) => {
            let known = world.agents[&host(*n)].outcomes.values().next().cloned();
            if let Some(outcome) = known {
                world.turn(vec![Event::Outcome { host: host(*n), outcome }]);
            }
        }
        Action::Disconnect(n) => world.disconnect(*n),
        Action::Connect(n) => world.connect(*n),
        // A service without probes is neither good nor bad.
        Action::Health(..) if world.rollout.plan().watch.is_none() => {}
        Action::Health(n, good) => {
            world.turn(vec![Event::Health { host: host(*n), good: *good, why: None }]);
        }
        Action::Pass(seconds) => world.pass(Span::from_secs(*seconds)),
        Action::Crash => world.crash(),
        Action::Operator(verb) => drop(world.operator(verb.clone())),
        Action::CarryOutOnce(n, what) => {
            world.carry_out(agent(*n), |_: &Operation| match what {
                0 => OpResult::Failed("it broke".to_owned()),
                1 => OpResult::Unknown("the agent died".to_owned()),
                2 => OpResult::Refused("policy".to_owned()),
                _ => OpResult::Done,
            });
        }
        Action::LoseOutcome(n) => {
            let n = agent(*n);
            world.agents.get_mut(&host(n)).unwrap().connected = false;
            world.carry_out(n, |_| OpResult::Done);
            world.disconnect(n);
        }
        Action::Gate(i, says) => {
            let gate = world.rollout.plan().gates.get(*i).cloned();
            let event = gate.map(|gate| answer(&gate, *says));
            world.turn(event.into_iter().collect());
        }
        Action::Sample => {
            let sample =
                Sample { new: dv_types::monitor::Seen::default(), old: None, trouble: None };
            world.turn(vec![Event::Sampled { sample }]);
        }
        Action::Resolve(k, done) => {
            let once = world.rollout.plan().once.get(*k).map(|once| once.name.clone());
            drop(once.map(|once| world.resolve(&once, *done)));
        }
        Action::Override(i) => {
            let gate = world.rollout.plan().gates.get(*i).cloned();
            drop(gate.map(|gate| world.operator(Verb::Override { gate })));
        }
    }
}

/// A host of the rollout, or the helper.
fn agent(n: usize) -> usize {
    if n > HOSTS { HELPER } else { n }
}

/// The faults stop, and a person is there: the rollout must end.
fn heal(world: &mut World) {
    for _ in 0..120 {
        if matches!(world.report().state, State::Ended(_)) {
            return;
        }
        let agents: Vec<_> = world.agents.keys().map(number).collect();
        for &n in &agents {
            if !world.agents[&host(n)].connected {
                world.connect(n);
            }
        }
        for gate in world.rollout.plan().gates.clone() {
            world.turn(vec![answer(&gate, Answer::Pass)]);
        }
        for n in 1..=HOSTS {
            world.turn(vec![Event::Health { host: host(n), good: true, why: None }]);
        }
        world.run(|_, _| OpResult::Done);
        for n in agents {
            world.report_outcomes(n);
        }
        for once in world.report().once {
            if matches!(once.state, OnceState::Unknown | OnceState::Failed) {
                drop(world.resolve(&once.name, true));
            }
        }
        drop(world.operator(Verb::Resume));
        drop(world.operator(Verb::Promote));
        world.pass(Span::from_secs(30));
    }
    panic!("the rollout never ended: {:#?}", world.report());
}

/// Where something happens once: anywhere, on a host of the rollout, on one of two, outside.
fn place() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!({}),
        json!({ "host": "h3" }),
        json!({ "labels": { "role": "old" } }),
        json!({ "host": "h90" }),
    ])
}

/// Steps in any order, at most one backup and one set of migrations; then gates, smoke test, monitor, probes.
fn playbook_plan() -> impl Strategy<Value = Plan> {
    let places = prop::collection::vec(place(), 4);
    let order = Just(vec![0, 1, 2, 3, 4, 5]).prop_shuffle();
    let size = 1usize..=6;
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (strategy(), places, order, size, flags).prop_map(
        |(strategy, places, order, size, (gates, smoke, monitor, health))| {
            let all = [
                playbook::backup(places[0].clone()),
                playbook::image(),
                playbook::migrate(places[1].clone()),
                playbook::run_once(places[2].clone()),
                playbook::compose(),
                playbook::run_once(places[3].clone()),
            ];
            let steps = order.into_iter().take(size).map(|i: usize| all[i].clone()).collect();
            let mut more = json!({});
            if gates {
                more["gates"] = json!({ "agent_version": "0.1.0", "clock_skew": "2s" });
            }
            if smoke {
                more["smoke"] = json!({ "command": ["/bin/smoke"] });
            }
            if monitor {
                more["monitor"] = json!({ "duration": "90s", "canary": "30s", "min_requests": 0 });
            }
            if !health {
                more["health"] = Value::Null;
            }
            let mut strategy: Value = serde_json::from_str(&strategy).unwrap();
            strategy["min_available"] = json!(0);
            plan_of(&strategy, steps, more, HOSTS)
        },
    )
}

fn playbook_action() -> impl Strategy<Value = Action> {
    let n = 1..=HOSTS + 1;
    let gate =
        prop::sample::select(vec![Answer::Pass, Answer::Pass, Answer::CannotTell, Answer::Fail]);
    prop_oneof![
        16 => (n.clone(), 0u8..24).prop_map(|(n, what)| Action::CarryOutOnce(n, what)),
        3 => n.clone().prop_map(Action::LoseOutcome),
        2 => n.clone().prop_map(|n| Action::Disconnect(agent(n))),
        5 => n.prop_map(|n| Action::Connect(agent(n))),
        4 => (0usize..2, gate).prop_map(|(i, says)| Action::Gate(i, says)),
        1 => Just(Action::Sample),
        3 => (0usize..6, any::<bool>()).prop_map(|(k, done)| Action::Resolve(k, done)),
        1 => (0usize..2).prop_map(Action::Override),
        6 => action(),
    ]
}

fn kinds() -> impl Strategy<Value = Vec<MigrationKind>> {
    use MigrationKind::{Expand, Irreversible, Reversible};
    let kind = prop::sample::select(vec![Expand, Expand, Reversible, Irreversible]);
    prop::collection::vec(kind, 0..3)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, max_shrink_iters: 500, ..ProptestConfig::default() })]

    #[test]
    fn promises_hold_in_any_order_of_events(
        strategy in strategy(),
        actions in prop::collection::vec(action(), 0..120),
    ) {
        let mut world = World::new(plan(&strategy, HOSTS));
        for action in &actions {
            act(&mut world, action);
        }
        heal(&mut world);
    }

    #[test]
    fn promises_of_the_playbook_hold_in_any_order_of_events(
        plan in playbook_plan(),
        kinds in kinds(),
        fails_after in 0usize..3,
        actions in prop::collection::vec(playbook_action(), 0..100),
    ) {
        let mut world = World::pending(plan, &kinds);
        world.database.fails_after = fails_after;
        // It is in the fleet, whether or not anything happens there.
        world.agents.entry(host(HELPER)).or_default();
        for action in &actions {
            act(&mut world, action);
        }
        heal(&mut world);
        for once in world.report().once {
            let told = world.told(&once.name).len();
            let not_done = actions.iter().filter(|a| matches!(a, Action::Resolve(_, false))).count();
            prop_assert!(told <= 1 + not_done, "{} was begun {told} times", once.name);
        }
    }
}

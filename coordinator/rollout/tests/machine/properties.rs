//! Any order of events: the promises in `World::check` hold after each, and once the faults stop, the rollout ends.

use dv_rollout::Event;
use dv_types::{OpResult, Operation, Span, record::Verb, report::State};
use proptest::prelude::*;

use crate::world::{World, host, plan};

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
        Action::Health(n, good) => {
            world.turn(vec![Event::Health { host: host(*n), good: *good, why: None }]);
        }
        Action::Pass(seconds) => world.pass(Span::from_secs(*seconds)),
        Action::Crash => world.crash(),
        Action::Operator(verb) => drop(world.operator(verb.clone())),
    }
}

/// The faults stop, and a person is there: the rollout must end.
fn heal(world: &mut World) {
    for _ in 0..120 {
        if matches!(world.report().state, State::Ended(_)) {
            return;
        }
        for n in 1..=HOSTS {
            if !world.agents[&host(n)].connected {
                world.connect(n);
            }
            world.turn(vec![Event::Health { host: host(n), good: true, why: None }]);
        }
        world.run(|_, _| OpResult::Done);
        for n in 1..=HOSTS {
            world.report_outcomes(n);
        }
        drop(world.operator(Verb::Resume));
        drop(world.operator(Verb::Promote));
        world.pass(Span::from_secs(30));
    }
    panic!("the rollout never ended: {:#?}", world.report());
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
}

//! The store has gone back in time: numbers of commands are given a second time.

use dv_rollout::Event;
use dv_types::{OpResult, Outcome, Span, Timestamp, outcome::Output, report::Phase};

use crate::world::{World, host, plan};

#[test]
fn the_outcome_of_another_command_of_this_number_is_not_taken() {
    let mut world = World::new(plan("{}", 1));
    let command = world.agents[&host(1)].inbox.values().next().unwrap().clone();
    let given = command.given.expect("it says when it was given");
    let outcome = |given| Outcome {
        command: command.id,
        given: Some(given),
        result: OpResult::Done,
        began: Timestamp::UNIX_EPOCH,
        took: Span::ZERO,
        output: Output::default(),
        evidence: None,
    };
    let records = world.journal.len();
    let before = Event::Outcome { host: host(1), outcome: outcome(Timestamp::MIN) };
    let rejected = world.turn(vec![before]);
    assert!(rejected[0].why.contains("is of another"), "{rejected:?}");
    assert_eq!(world.journal.len(), records);
    assert_eq!(world.report().hosts[0].phase, Phase::Working);
    assert!(world.turn(vec![Event::Outcome { host: host(1), outcome: outcome(given) }]).is_empty());
    assert!(world.journal.len() > records);
}

#[test]
fn a_command_that_is_sent_again_is_the_same() {
    let mut world = World::new(plan("{}", 1));
    let first = world.agents[&host(1)].inbox.values().next().unwrap().clone();
    world.disconnect(1);
    world.pass(Span::from_secs(5));
    world.connect(1);
    let again = world.agents[&host(1)].inbox.values().next().unwrap();
    assert_eq!((again.id, again.given), (first.id, first.given));
}

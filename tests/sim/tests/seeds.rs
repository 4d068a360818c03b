//! A few seeds with every build; `cargo ci` plays ten thousand.

use dv_sim::Simulator;

/// What is told of a failing seed is worth nothing unless it is told again the same.
#[test]
fn the_same_seed_is_the_same_story_byte_for_byte() {
    let simulator = Simulator::new();
    for seed in 0..12 {
        let (once, again) = (simulator.play(seed, true), simulator.play(seed, true));
        let differs = once.story.iter().zip(&again.story).find(|(one, other)| one != other);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(once, again, "seed {seed}");
        assert!(once.story.len() > 100, "seed {seed} is no story: {:?}", once.story);
    }
}

#[test]
fn every_invariant_holds() {
    let simulator = Simulator::new();
    let mut effects = 0;
    for seed in 100..120 {
        let outcome = simulator.play(seed, false);
        assert_eq!(outcome.violation, None, "cargo run -p dv-sim -- replay {seed}");
        effects += outcome.reach.effects;
    }
    assert!(effects > 100, "hosts did {effects} things only");
}

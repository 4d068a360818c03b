//! Rollouts under faults that a seed draws, each checked from outside: by what the hosts themselves say, and never by dv's
//! word alone.
//!
//! ```text
//! draw ── what happens in a round, from the seed
//! fault ── one fault, and how it is healed
//! round ── one rollout under its faults, brought to its end as a person would
//! truth ── what the hosts say, against what was reported
//! ```

mod draw;
mod fault;
mod round;
mod truth;

use std::time::{Duration, Instant};

pub use draw::{ALL, Draw, Plan};
pub use fault::Fault;

use crate::scenario::Scenario;

/// Plays so many rollouts of the seed. The error names the round, its faults, and what was wrong.
pub fn play(scenario: &Scenario, seed: u64, rollouts: u32) -> Result<(), String> {
    round::baseline(scenario);
    let (mut draw, began) = (Draw::new(seed), Instant::now());
    for number in 1..=rollouts {
        let plan = draw.plan(number);
        println!("{:5.0} s  {plan}", began.elapsed().as_secs_f32());
        let played = round::play(scenario, &plan).and_then(|played| {
            println!("         {}", played.story());
            truth::check(scenario, &plan, &played)
        });
        played.map_err(|why| format!("seed {seed}, {plan}\n{why}"))?;
        scenario.heal();
    }
    println!("{rollouts} rollouts in {:.0?}, seed {seed}", began.elapsed());
    Ok(())
}

/// A little after the last fault has ended, all must be over.
const END_BY: Duration = Duration::from_secs(180);

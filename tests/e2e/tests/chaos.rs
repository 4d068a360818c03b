//! Rollouts under faults that a seed draws. What is checked, and by whose word, says [`dv_e2e::chaos`].
//!
//! `DV_CHAOS_ROLLOUTS=50 DV_CHAOS_SEED=7 cargo nextest run -p dv-e2e --profile e2e --no-capture -E 'test(/^chaos::/)'`

use std::env;

use dv_e2e::{chaos, scenario::Scenario};

/// CI's story.
const SEED: u64 = 20;

#[test]
fn rollouts_under_faults_end_as_the_hosts_themselves_say() {
    let number = |name, otherwise| match env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text}")),
        Err(_) => otherwise,
    };
    let (seed, rollouts) =
        (number("DV_CHAOS_SEED", SEED), number("DV_CHAOS_ROLLOUTS", chaos::ALL.into()));
    let scenario = Scenario::begin("chaos");
    if let Err(why) = chaos::play(&scenario, seed, rollouts as u32) {
        panic!(
            "{why}\n\nagain: DV_CHAOS_SEED={seed} DV_CHAOS_ROLLOUTS={rollouts} cargo nextest run -p dv-e2e \
             --profile e2e --no-capture -E 'test(/^chaos::/)'"
        );
    }
}

//! What happens in a round. All of it comes from the seed.

use std::{fmt, time::Duration};

use super::fault::Fault;
use crate::manifest::Shape;

/// Numbers from a seed (SplitMix64).
#[derive(Debug, Clone)]
pub struct Draw(u64);

impl Draw {
    /// The numbers of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn pick<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize].clone()
    }

    fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }

    /// The next round.
    pub fn plan(&mut self, number: u32) -> Plan {
        let shape = if self.below(4) == 0 { Shape::Image } else { Shape::Unit };
        let bad = self.below(5) == 0;
        let version = match (bad, shape) {
            // Of the images, one starts and never becomes ready.
            (true, Shape::Image) => "v3",
            (true, _) => "v3-crash",
            (false, Shape::Image) => self.pick(&["v1", "v2"]),
            (false, _) => self.pick(&["v1", "v2", "v3-errors"]),
        };
        let max_parallel = 1 + self.below(2) as usize;
        let mut faults = Vec::new();
        for _ in 0..=self.below(3) {
            let (host, kind) = (self.below(5) as usize, self.below(Fault::KINDS as u64) as usize);
            let fault = Fault::of(kind, host);
            let (after, lasts) = (self.millis(0, 8000), self.millis(1000, 9000));
            // One at a time on a machine: a paused one can't be given power.
            if faults.iter().all(|other: &Timed| other.fault.machine() != fault.machine()) {
                faults.push(Timed { fault, after, lasts });
            }
        }
        Plan { number, shape, version, bad, max_parallel, faults }
    }
}

/// One rollout and its faults.
#[derive(Debug, Clone)]
pub struct Plan {
    pub(super) number: u32,
    pub(super) shape: Shape,
    pub(super) version: &'static str,
    /// The version never becomes healthy.
    pub(super) bad: bool,
    pub(super) max_parallel: usize,
    pub(super) faults: Vec<Timed>,
}

/// A fault, when it strikes after the rollout's start, and how long it lasts.
#[derive(Debug, Clone)]
pub(super) struct Timed {
    pub(super) fault: Fault,
    pub(super) after: Duration,
    pub(super) lasts: Duration,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, shape, version, max_parallel, faults, .. } = self;
        write!(f, "round {number}: {version} as {shape:?}, {max_parallel} at a time;")?;
        for Timed { fault, after, lasts } in faults {
            write!(f, " {fault} at {after:.1?} for {lasts:.1?},")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_seed_is_one_story_and_many_have_every_fault() {
        let story = |seed| {
            let mut draw = Draw::new(seed);
            (1..=20).map(|n| draw.plan(n).to_string()).collect::<Vec<_>>()
        };
        assert_eq!(story(7), story(7));
        assert_ne!(story(7), story(8));
        let mut draw = Draw::new(1);
        let faults = (1..=200).flat_map(|n| draw.plan(n).faults);
        let kinds: BTreeSet<_> = faults.map(|timed| timed.fault.kind()).collect();
        assert_eq!(kinds.len(), Fault::KINDS);
    }
}

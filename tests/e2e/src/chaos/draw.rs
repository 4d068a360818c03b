//! What happens in a round. All of it comes from the seed.

use std::{collections::VecDeque, fmt, time::Duration};

use super::fault::Fault;
use crate::manifest::Shape;

/// So many rounds have every kind of fault, a version that is bad, and both shapes.
pub const ALL: u32 = 6;

/// Numbers from a seed (SplitMix64), and the faults that are still to come: like cards that are dealt, so that none is left out
/// for long.
#[derive(Debug, Clone)]
pub struct Draw {
    state: u64,
    /// Kinds of faults, shuffled.
    deck: VecDeque<usize>,
    /// Which rounds have a bad version, and which the image.
    turns: (u32, u32),
}

impl Draw {
    /// The numbers of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut draw = Self { state: seed, deck: VecDeque::new(), turns: (0, 0) };
        draw.turns = (draw.below(5) as u32, draw.below(4) as u32);
        draw
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
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
        let bad = (number + self.turns.0).is_multiple_of(5);
        let image = (number + self.turns.1).is_multiple_of(4);
        let shape = if image { Shape::Image } else { Shape::Unit };
        let version = match (bad, shape) {
            // Of the images, one starts and never becomes ready.
            (true, Shape::Image) => "v3",
            (true, _) => "v3-crash",
            (false, Shape::Image) => self.pick(&["v1", "v2"]),
            (false, _) => self.pick(&["v1", "v2", "v3-errors"]),
        };
        let care = Care {
            max_parallel: 1 + self.below(2) as usize,
            canary: self.below(2) == 0,
            min_available: if self.below(2) == 0 { 4 } else { 0 },
        };
        // What the deck has left at its end has a machine of its own each.
        let faults = self.faults(if (1..=4).contains(&(number % ALL)) { 3 } else { 2 });
        Plan { number, shape, version, bad, care, faults }
    }

    fn faults(&mut self, many: usize) -> Vec<Timed> {
        let (mut faults, mut later) = (Vec::<Timed>::new(), Vec::new());
        while faults.len() < many && later.len() < Fault::KINDS {
            let kind = self.kind();
            let first = self.below(5) as usize;
            // One at a time on a machine: a paused one can't be given power.
            let free =
                |fault: &Fault| faults.iter().all(|other| other.fault.machine() != fault.machine());
            match (0..5).map(|n| Fault::of(kind, (first + n) % 5)).find(free) {
                Some(fault) => {
                    let (after, lasts) = (self.millis(0, 8000), self.millis(1000, 9000));
                    faults.push(Timed { fault, after, lasts });
                }
                None => later.push(kind),
            }
        }
        // Whatever had no place is the first of the next round.
        later.into_iter().rev().for_each(|kind| self.deck.push_front(kind));
        faults
    }

    fn kind(&mut self) -> usize {
        if self.deck.is_empty() {
            let mut kinds: Vec<_> = (0..Fault::KINDS).collect();
            while !kinds.is_empty() {
                let at = self.below(kinds.len() as u64) as usize;
                self.deck.push_back(kinds.swap_remove(at));
            }
        }
        self.deck.pop_front().expect("it was filled")
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
    pub(super) care: Care,
    pub(super) faults: Vec<Timed>,
}

/// How careful the manifest is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Care {
    pub(super) max_parallel: usize,
    /// One host goes first, and is promoted by itself.
    pub(super) canary: bool,
    /// Of five hosts.
    pub(super) min_available: usize,
}

impl Care {
    /// How many of five hosts may be out by dv's doing.
    pub(super) fn most_out(self) -> usize {
        self.max_parallel.min(5 - self.min_available)
    }

    /// How many hosts may have been given a version before it is known to be bad.
    pub(super) fn first(self) -> usize {
        if self.canary { 1 } else { self.most_out() }
    }
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
        let Self { number, shape, version, care, faults, .. } = self;
        let Care { max_parallel, canary, min_available } = care;
        write!(f, "round {number}: {version} as {shape:?}, {max_parallel} at a time")?;
        if *canary {
            f.write_str(", a canary first")?;
        }
        if *min_available > 0 {
            write!(f, ", {min_available} stay")?;
        }
        f.write_str(";")?;
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
    fn a_seed_is_one_story() {
        let story = |seed| {
            let mut draw = Draw::new(seed);
            (1..=20).map(|n| draw.plan(n).to_string()).collect::<Vec<_>>()
        };
        assert_eq!(story(7), story(7));
        assert_ne!(story(7), story(8));
    }

    #[test]
    fn the_few_rounds_of_any_seed_have_everything() {
        for seed in 0..500 {
            let mut draw = Draw::new(seed);
            let plans: Vec<_> = (1..=ALL).map(|n| draw.plan(n)).collect();
            let faults = plans.iter().flat_map(|plan| &plan.faults);
            let kinds: BTreeSet<_> = faults.map(|timed| timed.fault.kind()).collect();
            assert_eq!(kinds.len(), Fault::KINDS, "seed {seed}: {kinds:?}");
            assert!(plans.iter().any(|plan| plan.bad), "seed {seed}");
            assert!(plans.iter().any(|plan| plan.shape == Shape::Image), "seed {seed}");
            for plan in plans {
                let machines: BTreeSet<_> = plan.faults.iter().map(|f| f.fault.machine()).collect();
                assert_eq!(machines.len(), plan.faults.len(), "seed {seed}, {plan}");
            }
        }
    }
}

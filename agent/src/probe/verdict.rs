//! When a service counts as healthy: `successes` good rounds in a row, over at least `min_healthy_time`.
//! Pure.

use std::time::Duration;

/// The rounds so far. Times are counted from the beginning of the verification.
#[derive(Debug)]
pub(crate) struct Verdict {
    successes: u32,
    min_healthy_time: Duration,
    rounds: u32,
    in_a_row: u32,
    since: Option<Duration>,
    was_good: bool,
}

impl Verdict {
    pub(crate) fn new(successes: u32, min_healthy_time: Duration) -> Self {
        Self {
            successes: successes.max(1),
            min_healthy_time,
            rounds: 0,
            in_a_row: 0,
            since: None,
            was_good: false,
        }
    }

    /// Takes in a round that ended at `at`. Whether the service is healthy now.
    pub(crate) fn round(&mut self, at: Duration, good: bool) -> bool {
        self.rounds = self.rounds.saturating_add(1);
        if !good {
            self.in_a_row = 0;
            self.since = None;
            return false;
        }
        self.was_good = true;
        self.in_a_row = self.in_a_row.saturating_add(1);
        let since = *self.since.get_or_insert(at);
        self.in_a_row >= self.successes && at.saturating_sub(since) >= self.min_healthy_time
    }

    /// Whether the last round was good.
    pub(crate) fn is_good(&self) -> bool {
        self.since.is_some()
    }

    /// Whether any round was good.
    pub(crate) fn was_good(&self) -> bool {
        self.was_good
    }

    /// The time that is left of `min_healthy_time`, if that is all that is missing.
    pub(crate) fn remaining(&self, at: Duration) -> Option<Duration> {
        let since = self.since?;
        let enough = self.in_a_row.saturating_add(1) >= self.successes;
        enough.then(|| (since + self.min_healthy_time).saturating_sub(at))
    }

    pub(crate) fn rounds(&self) -> u32 {
        self.rounds
    }

    /// When the present run of good rounds began.
    pub(crate) fn first_good(&self) -> Option<Duration> {
        self.since
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn one_good_round_is_enough_where_nothing_more_is_asked() {
        let mut verdict = Verdict::new(1, ms(0));
        assert!(!verdict.round(ms(1), false));
        assert!(verdict.round(ms(2), true));
        assert_eq!((verdict.rounds(), verdict.first_good()), (2, Some(ms(2))));
    }

    #[test]
    fn a_bad_round_begins_it_all_again() {
        let mut verdict = Verdict::new(2, ms(100));
        assert!(!verdict.round(ms(0), true));
        assert!(!verdict.round(ms(99), true));
        assert!(!verdict.round(ms(100), false));
        assert!(!verdict.round(ms(200), true));
        assert!(!verdict.round(ms(299), true));
        assert!(verdict.round(ms(300), true));
        assert_eq!(verdict.first_good(), Some(ms(200)));
    }

    proptest! {
        /// Healthy is said exactly when the last `successes` rounds were good and the unbroken good run
        /// that they end is at least `min_healthy_time` long.
        #[test]
        fn healthy_means_what_it_says(
            rounds in prop::collection::vec((1_u64..50, any::<bool>()), 1..60),
            successes in 0_u32..5,
            min in 0_u64..200,
        ) {
            let mut verdict = Verdict::new(successes, ms(min));
            let mut history = Vec::new();
            let mut at = 0;
            for (step, good) in rounds {
                at += step;
                history.push((at, good));
                let run: Vec<_> = history.iter().rev().take_while(|(_, good)| *good).collect();
                let length = run.last().map_or(0, |(first, _)| at - first);
                let healthy =
                    !run.is_empty() && run.len() >= successes as usize && length >= min;
                prop_assert_eq!(verdict.round(ms(at), good), healthy);
                prop_assert_eq!(verdict.is_good(), good);
            }
        }

        /// Whoever waits for no more than `remaining` is never late by more than the wait itself.
        #[test]
        fn waiting_for_the_remaining_time_ends_it(min in 1_u64..1000, rounds in 1_u32..4) {
            let mut verdict = Verdict::new(rounds, ms(min));
            let mut at = ms(0);
            let mut healthy = verdict.round(at, true);
            for _ in 0..rounds {
                if let Some(rest) = verdict.remaining(at) {
                    at += rest;
                } else {
                    at += ms(1);
                }
                healthy = healthy || verdict.round(at, true);
            }
            prop_assert!(healthy);
            prop_assert!(at <= ms(min.max(rounds.into())));
        }
    }
}

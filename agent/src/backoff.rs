//! When to dial again: for ever, ever less often, and never all hosts at once.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);
/// The coordinator says how far its fleet is spread, but not beyond this.
const WIDEST: Duration = Duration::from_secs(300);

/// Full jitter, from the first attempt on: any time from none to a ceiling that doubles with each attempt, and that is
/// never below what the coordinator last asked for.
#[derive(Debug)]
pub struct Backoff {
    ceiling: Duration,
    spread: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { ceiling: FIRST, spread: Duration::ZERO }
    }
}

impl Backoff {
    /// How long to wait; `chance` is from 0 to 1.
    pub fn next(&mut self, chance: f64) -> Duration {
        let wait = self.ceiling.max(self.spread).mul_f64(chance);
        self.ceiling = (self.ceiling * 2).min(LONGEST);
        wait
    }

    /// The link was held for `time`. One that was cut soon is no reason to hurry.
    pub fn held(&mut self, time: Duration) {
        if time >= self.ceiling {
            self.ceiling = FIRST;
        }
    }

    /// The coordinator needs so long to take all its hosts back.
    pub fn spread_over(&mut self, spread: Duration) {
        self.spread = spread.min(WIDEST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_to_its_limit_and_begins_anew_after_a_link_that_held() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..8).map(|_| backoff.next(1.0).as_millis()).collect();
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
        backoff.held(Duration::from_secs(1));
        assert_eq!(backoff.next(0.5), Duration::from_secs(15));
        backoff.held(Duration::from_secs(60));
        assert_eq!(backoff.next(0.0), Duration::ZERO);
        assert_eq!(backoff.next(1.0), Duration::from_secs(1));
    }

    #[test]
    fn a_large_fleet_is_spread_from_the_first_attempt_on() {
        let mut backoff = Backoff::default();
        backoff.spread_over(Duration::from_secs(10));
        let waits: Vec<_> = (0..7).map(|_| backoff.next(1.0).as_secs()).collect();
        assert_eq!(waits, [10, 10, 10, 10, 10, 16, 30]);
        backoff.held(Duration::from_secs(60));
        assert_eq!(backoff.next(0.5), Duration::from_secs(5));
        backoff.spread_over(Duration::from_secs(86_400));
        assert_eq!(backoff.next(1.0), WIDEST);
    }
}

//! The new hosts against the old ones, over the same intervals. Whatever else happens to the service (a busy hour, a
//! slow database) happens to both.

use dv_types::monitor::Seen;

use super::{
    Case,
    figures::{self, Figures, median, time},
    tail::MannWhitney,
};

/// With fewer intervals even the plainest difference is not significant.
pub(super) const FEWEST: usize = 8;
/// Cliff's delta from which a difference is not small (Romano et al. 2006).
const DELTA: f64 = 0.33;

impl Case<'_> {
    /// More requests fail on the new hosts.
    pub(super) fn more_errors_than_old(&self) -> Option<String> {
        let (new, old) = self.both(figures::rate);
        let (busy_new, busy_old): (Vec<_>, Vec<_>) = self
            .pairs()
            .filter(|(new, old)| figures::rate(new).and(figures::rate(old)).is_some())
            .unzip();
        let rate = |group: Vec<&Seen>| Figures::of(group.into_iter()).error_rate();
        let points = 100.0 * (rate(busy_new) - rate(busy_old));
        let least = self.monitor.compare.error_points;
        if points < least {
            return None;
        }
        self.worse(&new, &old)?;
        Some(format!(
            "{}: {points:.1} percentage points more than the old hosts at the same time ({least} are allowed)",
            self.errors()
        ))
    }

    /// The new hosts are slower.
    pub(super) fn slower_than_old(&self) -> Option<String> {
        let (new, old) = self.both(|seen| seen.latency_p99.filter(|p99| *p99 > 0.0));
        let times = median(new.iter().zip(&old).map(|(new, old)| new / old).collect())?;
        let least = self.monitor.compare.latency_ratio;
        if times < least {
            return None;
        }
        self.worse(&new, &old)?;
        let (new, old) = (median(new)?, median(old)?);
        Some(format!(
            "p99 latency {}, old hosts {}: {times:.1} times slower than they at the same time ({least} times is allowed); {}",
            time(new),
            time(old),
            self.errors()
        ))
    }

    /// Intervals in which both groups had requests.
    pub(super) fn intervals_of_both(&self) -> usize {
        self.both(figures::rate).0.len()
    }

    fn pairs(&self) -> impl Iterator<Item = (&Seen, &Seen)> {
        let compared = self.samples.iter().filter(|_| self.compared);
        compared.filter_map(|sample| Some((&sample.new, sample.old.as_ref()?)))
    }

    /// A value of both groups, from the intervals in which it is known of both.
    fn both(&self, value: impl Fn(&Seen) -> Option<f64>) -> (Vec<f64>, Vec<f64>) {
        self.pairs().filter_map(|(new, old)| Some((value(new)?, value(old)?))).unzip()
    }

    /// Significantly greater, and not just a little.
    fn worse(&self, new: &[f64], old: &[f64]) -> Option<()> {
        if new.len() < FEWEST.min(self.looks) {
            return None;
        }
        let test = MannWhitney::of(new, old)?;
        (test.cliffs_delta() >= DELTA && test.p_greater() <= self.share).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::{DELTA, FEWEST};
    use crate::judge::tail::MannWhitney;

    #[test]
    fn the_fewest_intervals_that_can_tell() {
        let new: Vec<_> = (0..FEWEST).map(|n| 1.0 + n as f64).collect();
        let test = MannWhitney::of(&new, &[0.0; FEWEST]).unwrap();
        assert!(test.cliffs_delta() > DELTA);
        // Of a significance of 1 %, for two questions at so many looks.
        assert!(test.p_greater() < 0.01 / (2 * FEWEST) as f64);
    }
}

//! Absolute limits.

use super::{Case, figures, tail::binomial_tail};

/// Intervals with requests before the errors speak: how uneven they are can't be seen in fewer.
const INTERVALS: usize = 3;
/// So many intervals above the limit, one after the other, are no hiccup.
const RUN: usize = 5;

impl Case<'_> {
    /// More requests fail than the threshold allows, and it is not chance.
    pub(super) fn errors_exceed(&self) -> Option<String> {
        let limit = self.monitor.thresholds.error_percent? / 100.0;
        let (requests, errors) = (self.new.requests, self.new.errors);
        let intervals: Vec<_> = self
            .samples
            .iter()
            .map(|sample| (figures::requests(&sample.new), figures::errors(&sample.new)))
            .filter(|(requests, _)| *requests > 0.0)
            .collect();
        if intervals.len() < INTERVALS.min(self.looks) || errors <= limit * requests {
            return None;
        }
        // Errors that come in bursts say less than their number.
        let uneven = unevenness(&intervals, errors / requests);
        let chance = binomial_tail(errors / uneven, requests / uneven, limit);
        (chance <= self.share).then(|| self.errors())
    }

    /// The latency is above the threshold and stays there, or was so most of the time.
    pub(super) fn latency_exceeds(&self, over: bool) -> Option<String> {
        let limit = self.monitor.thresholds.latency_p99?;
        let above: Vec<_> = self
            .samples
            .iter()
            .filter_map(|sample| sample.new.latency_p99)
            .map(|p99| p99 > limit.get().as_secs_f64())
            .collect();
        let all = above.iter().filter(|above| **above).count();
        let enough = self.new.requests >= self.monitor.min_requests as f64;
        // A few cold requests are slow in every release: what too few say is for a person.
        let stays =
            enough && above.len() >= RUN && above[above.len() - RUN..].iter().all(|above| *above);
        let mostly = over && enough && 2 * all > above.len();
        if !(stays || mostly) {
            return None;
        }
        let times = format!("above the threshold in {all} of {} intervals", above.len());
        Some(format!("{}: {times}", self.latency()?))
    }
}

/// How much more the errors vary from one interval to the next than those of independent requests would: 1 if not
/// more (Pearson's chi-square over its degrees of freedom).
fn unevenness(intervals: &[(f64, f64)], rate: f64) -> f64 {
    if intervals.len() < 2 || rate >= 1.0 {
        return 1.0;
    }
    let term = |(requests, errors): &(f64, f64)| {
        (errors - requests * rate).powi(2) / (requests * rate * (1.0 - rate))
    };
    (intervals.iter().map(term).sum::<f64>() / (intervals.len() - 1) as f64).max(1.0)
}

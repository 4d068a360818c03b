//! A quantile from a histogram, as Prometheus' `histogram_quantile` finds it.

/// A histogram over some time: upper bounds, and how many were at most so large.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Histogram(Vec<(f64, f64)>);

impl Histogram {
    /// What came to it from `before` to `now`, where the counters went on.
    pub(super) fn between(before: &[(f64, f64)], now: &[(f64, f64)]) -> Self {
        let counted = |bound: f64| before.iter().find(|(b, _)| *b == bound).map_or(0.0, |b| b.1);
        Self(
            now.iter().map(|(bound, count)| (*bound, (count - counted(*bound)).max(0.0))).collect(),
        )
    }

    /// Adds another host's. One with other bounds can't be added, and is left out.
    pub(super) fn add(&mut self, other: &Self) -> bool {
        if self.0.is_empty() {
            self.0.clone_from(&other.0);
            return true;
        }
        let same =
            self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(|(a, b)| a.0 == b.0);
        if same {
            self.0.iter_mut().zip(&other.0).for_each(|(mine, theirs)| mine.1 += theirs.1);
        }
        same
    }

    /// The value below which a share of `q` lies: within its bucket by linear interpolation. Above the last finite
    /// bound nothing is known but that bound. Nothing where nothing was counted, or the last bound is not infinite.
    pub(super) fn quantile(&self, q: f64) -> Option<f64> {
        let mut buckets = self.0.clone();
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (bound, all) = *buckets.last()?;
        if buckets.len() < 2 || bound != f64::INFINITY || all <= 0.0 {
            return None;
        }
        let rank = q * all;
        let at = buckets[..buckets.len() - 1].partition_point(|(_, count)| *count < rank);
        if at == buckets.len() - 1 {
            return Some(buckets[at - 1].0);
        }
        let (upper, count) = buckets[at];
        let (lower, below) = match at {
            0 if upper <= 0.0 => return Some(upper),
            0 => (0.0, 0.0),
            _ => buckets[at - 1],
        };
        Some(lower + (upper - lower) * (rank - below) / (count - below))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INF: f64 = f64::INFINITY;

    fn quantile(q: f64, buckets: &[(f64, f64)]) -> Option<f64> {
        Histogram(buckets.to_vec()).quantile(q)
    }

    fn near(found: Option<f64>, expected: f64) {
        assert!(found.is_some_and(|f| (f - expected).abs() < 1e-12), "{found:?}, not {expected}");
    }

    #[test]
    fn it_lies_where_prometheus_puts_it() {
        let buckets = [(0.1, 60.0), (0.5, 90.0), (1.0, 100.0), (INF, 100.0)];
        near(quantile(0.5, &buckets), 0.1 * 50.0 / 60.0);
        near(quantile(0.75, &buckets), 0.1 + 0.4 * 15.0 / 30.0);
        near(quantile(0.99, &buckets), 0.5 + 0.5 * 9.0 / 10.0);
        // Beyond the last bound that is one.
        near(quantile(0.99, &[(0.1, 50.0), (INF, 100.0)]), 0.1);
        near(quantile(0.6, &buckets), 0.1);
    }

    #[test]
    fn what_says_nothing_has_none() {
        assert_eq!(quantile(0.99, &[]), None);
        assert_eq!(quantile(0.99, &[(0.1, 0.0), (INF, 0.0)]), None);
        assert_eq!(quantile(0.99, &[(0.1, 5.0), (0.5, 5.0)]), None, "its end is missing");
    }

    #[test]
    fn only_the_same_bounds_add_up() {
        let mut all = Histogram::default();
        assert!(
            all.add(&Histogram::between(&[(0.1, 5.0), (INF, 9.0)], &[(0.1, 7.0), (INF, 12.0)]))
        );
        assert!(all.add(&Histogram(vec![(0.1, 1.0), (INF, 1.0)])));
        assert!(!all.add(&Histogram(vec![(0.2, 1.0), (INF, 1.0)])));
        assert_eq!(all, Histogram(vec![(0.1, 3.0), (INF, 4.0)]));
    }
}

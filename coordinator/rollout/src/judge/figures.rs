//! What was seen, summed up.

use dv_types::monitor::Seen;

/// Of one group of hosts over all intervals.
#[derive(Debug, Default)]
pub(super) struct Figures {
    pub(super) requests: f64,
    pub(super) errors: f64,
    /// Intervals in which a host answered.
    pub(super) answered: usize,
    /// The median over the intervals.
    pub(super) p99: Option<f64>,
}

impl Figures {
    pub(super) fn of<'s>(seen: impl Iterator<Item = &'s Seen>) -> Self {
        let (mut all, mut latencies) = (Self::default(), Vec::new());
        for seen in seen {
            all.requests += requests(seen);
            all.errors += errors(seen);
            all.answered += usize::from(seen.hosts > 0);
            latencies.extend(seen.latency_p99.filter(|p99| p99.is_finite()));
        }
        all.p99 = median(latencies);
        all
    }

    /// The share of requests that failed.
    pub(super) fn error_rate(&self) -> f64 {
        if self.requests > 0.0 { self.errors / self.requests } else { 0.0 }
    }
}

/// A rate that was extrapolated may be a little less than nothing.
pub(super) fn requests(seen: &Seen) -> f64 {
    if seen.requests.is_finite() { seen.requests.max(0.0) } else { 0.0 }
}

/// At most as many as there were requests.
pub(super) fn errors(seen: &Seen) -> f64 {
    if seen.errors.is_finite() { seen.errors.clamp(0.0, requests(seen)) } else { 0.0 }
}

/// The share of requests that failed in one interval; unknown where there were none.
pub(super) fn rate(seen: &Seen) -> Option<f64> {
    let requests = requests(seen);
    (requests > 0.0).then(|| errors(seen) / requests)
}

pub(super) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = values.get(middle)?;
    Some(match values.len() % 2 {
        0 => f64::midpoint(values[middle - 1], *upper),
        _ => *upper,
    })
}

/// A share in words.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent > 0.0 && percent < 1.0 {
        format!("{percent:.2} %")
    } else {
        format!("{percent:.1} %")
    }
}

/// Seconds in words.
pub(super) fn time(seconds: f64) -> String {
    match seconds * 1000.0 {
        millis if millis < 10.0 => format!("{millis:.1} ms"),
        millis if millis < 1000.0 => format!("{millis:.0} ms"),
        _ => format!("{seconds:.2} s"),
    }
}

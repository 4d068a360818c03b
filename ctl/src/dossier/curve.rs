//! What the monitor saw, as curves: one value for each sample, none where nothing is known.

use dv_types::{Timestamp, monitor::Seen};

use super::Watch;
use crate::display::words;

/// Something measured over time, at the new hosts beside the old ones.
pub(super) struct Curves {
    /// What: `failed requests`.
    pub(super) title: &'static str,
    /// When each sample was taken.
    pub(super) times: Vec<Timestamp>,
    /// Of the hosts with the new version.
    pub(super) new: Vec<Option<f64>>,
    /// Of the hosts with the old one.
    pub(super) old: Vec<Option<f64>>,
    /// A value in words.
    pub(super) say: fn(f64) -> String,
}

impl Curves {
    /// The highest value of all.
    pub(super) fn highest(&self) -> f64 {
        self.new.iter().chain(&self.old).flatten().copied().fold(0.0, f64::max)
    }

    /// Whether there is anything to draw.
    pub(super) fn is_empty(&self) -> bool {
        self.new.iter().chain(&self.old).flatten().next().is_none()
    }
}

/// Error rate and latency of one time of watching, without those that were never known.
pub(super) fn curves(watch: &Watch) -> Vec<Curves> {
    let curve = |title, say: fn(f64) -> String, value: fn(&Seen) -> Option<f64>| Curves {
        title,
        times: watch.samples.iter().map(|seen| seen.at).collect(),
        new: watch.samples.iter().map(|seen| value(&seen.sample.new)).collect(),
        old: watch.samples.iter().map(|seen| seen.sample.old.as_ref().and_then(value)).collect(),
        say,
    };
    let all = [
        curve("failed requests", words::percent, error_rate),
        curve("latency, 99th percentile", words::seconds, |seen| seen.latency_p99),
    ];
    all.into_iter().filter(|curves| !curves.is_empty()).collect()
}

/// Requests that failed, and all of them.
pub(super) fn requests(watch: &Watch, group: fn(&dv_types::Sample) -> Option<&Seen>) -> (f64, f64) {
    let seen = watch.samples.iter().filter_map(|seen| group(&seen.sample));
    seen.fold((0.0, 0.0), |(errors, all), seen| (errors + seen.errors, all + seen.requests))
}

/// Without requests there is no rate.
fn error_rate(seen: &Seen) -> Option<f64> {
    (seen.requests > 0.0).then(|| seen.errors / seen.requests).filter(|rate| rate.is_finite())
}

//! How the service is watched.

use super::Problems;
use crate::{
    Span,
    manifest::{Manifest, Monitor},
};

/// With fewer intervals a rank test can't be significant.
const COMPARABLE: u128 = 8;

pub(super) fn check(monitor: &Monitor, manifest: &Manifest, problems: &mut Problems) {
    for (key, span) in [("duration", monitor.duration), ("interval", monitor.interval)] {
        if span == Span::ZERO {
            problems.error(format!("monitor.{key}"), "no time at all: give a time above zero");
        }
    }
    for (key, span) in [("duration", monitor.duration), ("canary", monitor.canary)] {
        let intervals = span.get().as_nanos() / monitor.interval.get().as_nanos().max(1);
        if monitor.compare.enabled && key == "canary" && (1..COMPARABLE).contains(&intervals) {
            let text = format!(
                "{intervals} intervals of {} are too few to compare the new hosts with the old ones: {COMPARABLE} are \
                 needed",
                monitor.interval
            );
            problems.warning("monitor.canary", text);
        }
        if span > Span::ZERO && span < monitor.interval {
            problems.error(
                format!("monitor.{key}"),
                "it is shorter than one `interval`, so nothing would be seen",
            );
        }
    }
    let limits = &monitor.thresholds;
    if limits.error_percent.is_none() && limits.latency_p99.is_none() {
        problems.warning(
            "monitor.thresholds",
            "after the last host there are no old hosts to compare with, so without a limit nothing is judged, and the \
             rollout pauses: give `error_percent` or `latency_p99`",
        );
    }
    if monitor.metrics.is_some() && monitor.prometheus.is_some() {
        problems.error("monitor", "give `metrics` or `prometheus`, not both");
    }
    if monitor.metrics.is_none() && monitor.prometheus.is_none() && manifest.health.is_none() {
        problems.error(
            "monitor",
            "there is nothing to watch: give `metrics`, `prometheus` or `health`",
        );
    }
    if let Some(metrics) = &monitor.metrics
        && !metrics.url.starts_with("http://")
    {
        let text = format!("{:?} is not a http:// URL", metrics.url);
        problems.error("monitor.metrics.url", text);
    }
    if monitor.canary > Span::ZERO && manifest.strategy.canary == crate::Quota::Hosts(0) {
        problems.error("monitor.canary", "there is no canary: give `strategy.canary`");
    }
    let percent = monitor.thresholds.error_percent;
    if percent.is_some_and(|percent| !(0.0..=100.0).contains(&percent)) {
        problems.error("monitor.thresholds.error_percent", "a percentage is from 0 to 100");
    }
    let compare = &monitor.compare;
    if !(compare.significance > 0.0 && compare.significance < 0.5) {
        problems
            .error("monitor.compare.significance", "it must lie between 0 and 0.5: 0.01 is usual");
    }
    if compare.latency_ratio < 1.0 {
        problems.error(
            "monitor.compare.latency_ratio",
            "below 1 even faster hosts would fail: 1.5 is usual",
        );
    }
    if compare.error_points < 0.0 {
        problems.error(
            "monitor.compare.error_points",
            "below 0 even better hosts would fail: 1 is usual",
        );
    }
}

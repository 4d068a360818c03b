//! How the rollout goes through the fleet.

use super::Problems;
use crate::{
    Quota, Span,
    manifest::{Hosts, Strategy},
};

pub(super) fn check(strategy: &Strategy, hosts: &Hosts, problems: &mut Problems) {
    // Named hosts are the most that there can be; how many carry a label is known to the coordinator only.
    let fleet = u32::try_from(hosts.names.len()).ok().filter(|n| *n > 0);
    canary(strategy.canary, fleet, problems);
    if let Some(batches) = &strategy.batches {
        self::batches(batches, problems);
    }
    if strategy.max_parallel.is_some_and(is_none) {
        problems
            .error("strategy.max_parallel", "with no host at once nothing happens: give 1 or more");
    }
    times(strategy, problems);
    if let Some(within) = strategy.confirm_within {
        confirm_within(within, strategy, problems);
    }
    min_available(strategy, fleet, problems);
}

fn confirm_within(within: Span, strategy: &Strategy, problems: &mut Problems) {
    let path = "strategy.confirm_within";
    if within <= strategy.min_healthy_time {
        problems.error(
            path,
            format!(
                "{within} is over before a host has been healthy for min_healthy_time ({}), so every host would go back",
                strategy.min_healthy_time
            ),
        );
    } else if within < strategy.healthy_deadline {
        problems.warning(
            path,
            format!(
                "a host that needs more than {within} to become healthy goes back by itself, although healthy_deadline gives it {}",
                strategy.healthy_deadline
            ),
        );
    }
}

fn canary(canary: Quota, fleet: Option<u32>, problems: &mut Problems) {
    let whole = match canary {
        Quota::Percent(share) => share == 100,
        Quota::Hosts(n) => fleet.is_some_and(|fleet| n >= fleet),
    };
    if whole && !is_none(canary) {
        problems.warning(
            "strategy.canary",
            format!("a canary of {canary} is every host: none is left to be held back"),
        );
    }
}

fn batches(batches: &[Quota], problems: &mut Problems) {
    let at = |index: usize| format!("strategy.batches[{index}]");
    match batches.last() {
        None => problems.error("strategy.batches", "there are no batches: write [100%] for one"),
        Some(Quota::Percent(100)) => {}
        Some(last) => problems.error(
            at(batches.len() - 1),
            format!(
                "the last batch must be 100%, and is {last}: some hosts would never be updated"
            ),
        ),
    }
    for (index, batch) in batches.iter().enumerate() {
        if is_none(*batch) {
            problems.error(at(index), "a batch must hold hosts: give 1 or more, or 1% or more");
        }
    }
    for (index, pair) in batches.windows(2).enumerate() {
        let falls = match (pair[0], pair[1]) {
            (Quota::Hosts(a), Quota::Hosts(b)) => a >= b,
            (Quota::Percent(a), Quota::Percent(b)) => a >= b,
            // A number against a share can't be told before the fleet is known.
            (Quota::Percent(a), Quota::Hosts(_)) => a == 100,
            (Quota::Hosts(_), Quota::Percent(_)) => false,
        };
        if falls {
            problems.error(
                at(index + 1),
                format!(
                    "{} does not lie above {}: each batch says how much of the fleet is updated by its end",
                    pair[1], pair[0]
                ),
            );
        }
    }
}

fn times(strategy: &Strategy, problems: &mut Problems) {
    for (name, span) in [
        ("healthy_deadline", strategy.healthy_deadline),
        ("progress_deadline", strategy.progress_deadline),
        ("lost_after", strategy.lost_after),
    ] {
        if span == Span::ZERO {
            problems.error(format!("strategy.{name}"), "no time at all: give a time above zero");
        }
    }
    if strategy.progress_deadline <= strategy.healthy_deadline {
        // Named is the one that was written, not the one that stands at its default.
        let written = if strategy.progress_deadline == Strategy::default().progress_deadline {
            "healthy_deadline"
        } else {
            "progress_deadline"
        };
        problems.error(
            format!("strategy.{written}"),
            format!(
                "progress_deadline ({}) must exceed healthy_deadline ({}): else the rollout pauses before a host can fail",
                strategy.progress_deadline, strategy.healthy_deadline
            ),
        );
    }
}

fn min_available(strategy: &Strategy, fleet: Option<u32>, problems: &mut Problems) {
    let path = "strategy.min_available";
    let min = strategy.min_available;
    let impossible = match min {
        Quota::Percent(share) => {
            share == 100 || fleet.is_some_and(|f| min.round_up(f) >= f && share > 0)
        }
        Quota::Hosts(n) => fleet.is_some_and(|fleet| n >= fleet),
    };
    if impossible {
        problems.error(
            path,
            format!("with min_available {min} no host may ever be taken out, so nothing could be updated"),
        );
        return;
    }
    let capped = match (min, strategy.max_parallel) {
        (Quota::Percent(min), Some(Quota::Percent(max))) => u16::from(min) + u16::from(max) > 100,
        (min, Some(max)) => fleet.is_some_and(|f| min.round_up(f) + max.round_up(f).max(1) > f),
        (_, None) => false,
    };
    if let (true, Some(max)) = (capped, strategy.max_parallel) {
        problems.warning(
            path,
            format!("max_parallel {max} is never reached: min_available {min} allows fewer hosts at once"),
        );
    }
}

/// Whether it is no host, however large the fleet.
fn is_none(quota: Quota) -> bool {
    matches!(quota, Quota::Hosts(0) | Quota::Percent(0))
}

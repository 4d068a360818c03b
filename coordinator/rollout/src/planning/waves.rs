//! Which hosts go before which, and how many at once.

use std::collections::{BTreeMap, VecDeque};

use dv_types::{
    HostName, Labels,
    manifest::Strategy,
    plan::{Limits, Wave, WaveKind},
};

/// What the order depends on.
#[derive(Debug, Clone)]
pub(super) struct Candidate<'a> {
    pub(super) name: &'a HostName,
    pub(super) labels: &'a Labels,
    pub(super) connected: bool,
    pub(super) healthy: Option<bool>,
}

/// The waves of a rollout over these hosts.
pub(super) fn waves(
    strategy: &Strategy,
    spread: Option<&str>,
    hosts: &[Candidate<'_>],
) -> Vec<Wave> {
    let fleet = hosts.len() as u32;
    let canaries = strategy.canary.round_up(fleet).min(fleet) as usize;
    // A canary must be able to prove something: it is taken from the hosts that are well.
    let (well, rest): (Vec<_>, Vec<_>) =
        hosts.iter().partition(|h| h.connected && h.healthy != Some(false));
    let mut by_fitness: VecDeque<_> = spread_out(&well, spread).into();
    by_fitness.extend(spread_out(&rest, spread));
    let canary: Vec<_> = by_fitness.drain(..canaries).collect();

    // Of the others, hosts that are not well go first: they have nothing to lose.
    let (sick, others): (Vec<_>, Vec<_>) =
        by_fitness.into_iter().partition(|h| h.connected && h.healthy == Some(false));
    let mut order = spread_out(&sick, spread);
    order.extend(spread_out(&others, spread));

    let mut waves = Vec::new();
    if !canary.is_empty() {
        waves.push(wave(WaveKind::Canary, &canary, strategy, fleet));
    }
    let mut taken = canary.len();
    for size in batch_ends(strategy, fleet) {
        let batch: Vec<_> = order.drain(..size.saturating_sub(taken).min(order.len())).collect();
        taken += batch.len();
        if !batch.is_empty() {
            waves.push(wave(WaveKind::Batch, &batch, strategy, fleet));
        }
    }
    waves
}

/// How many hosts are updated by the end of each batch; the last takes all.
fn batch_ends(strategy: &Strategy, fleet: u32) -> Vec<usize> {
    let batches = strategy.batches.iter().flatten();
    batches.map(|q| q.round_up(fleet) as usize).chain([fleet as usize]).collect()
}

fn wave(kind: WaveKind, hosts: &[&Candidate<'_>], strategy: &Strategy, fleet: u32) -> Wave {
    let size = hosts.len() as u32;
    let max_parallel = match strategy.max_parallel {
        Some(quota) => quota.round_down(fleet).max(1),
        None if strategy.batches.is_some() => size,
        None => 1,
    };
    Wave {
        kind,
        hosts: hosts.iter().map(|h| h.name.clone()).collect(),
        max_parallel: max_parallel.min(size.max(1)),
    }
}

/// The hosts with those of one label value as far apart as can be.
fn spread_out<'a, 'c>(hosts: &[&'a Candidate<'c>], label: Option<&str>) -> Vec<&'a Candidate<'c>> {
    let Some(label) = label else {
        return hosts.to_vec();
    };
    let mut groups: BTreeMap<Option<&String>, VecDeque<&'a Candidate<'c>>> = BTreeMap::new();
    for host in hosts {
        groups.entry(host.labels.get(label)).or_default().push_back(host);
    }
    let mut order = Vec::with_capacity(hosts.len());
    while order.len() < hosts.len() {
        order.extend(groups.values_mut().filter_map(VecDeque::pop_front));
    }
    order
}

/// The strategy's limits in whole hosts.
pub(super) fn limits(strategy: &Strategy, fleet: u32) -> Limits {
    Limits {
        max_failures: strategy.max_failures.round_down(fleet),
        max_unreachable: strategy.max_unreachable.round_up(fleet),
        min_available: strategy.min_available.round_up(fleet),
        progress_deadline: strategy.progress_deadline,
        lost_after: strategy.lost_after,
        on_failure: strategy.on_failure,
        auto_promote: strategy.auto_promote,
    }
}

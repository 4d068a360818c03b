//! Hosts that were out of reach, or are new, follow to where a rollout ended.

use dv_types::{
    HostName, Operation, Plan, Quota,
    manifest::{OnFailure, Strategy},
    plan::{Kind, PlannedHost, PlannedOnce, Program, Turn},
};

use super::{
    switch::is_of_switch,
    waves::{Candidate, limits, waves},
};
use crate::Rollout;

/// The plan that does on `hosts` what `of` would have done on them, as many at once as it had. Hosts that `of` never had
/// join it, if it brought a version out.
#[must_use]
pub fn catch_up(of: &Rollout, hosts: &[HostName]) -> Plan {
    let plan = &of.plan;
    let late = |name: &HostName| plan.hosts.iter().find(|host| host.name == *name).cloned();
    let new = |name: &HostName| (plan.kind == Kind::Forward).then(|| newcomer(plan, name));
    let hosts: Vec<_> = hosts.iter().filter_map(|name| late(name).or_else(|| new(name))).collect();
    let labels = std::collections::BTreeMap::new();
    let candidates: Vec<_> = hosts
        .iter()
        .map(|h| Candidate { name: &h.name, labels: &labels, connected: true, healthy: None })
        .collect();
    let strategy = Strategy {
        canary: Quota::Hosts(0),
        batches: None,
        max_parallel: Some(Quota::Hosts(at_once(plan, hosts.len() as u32))),
        max_unreachable: Quota::Percent(100),
        min_available: Quota::Hosts(0),
        on_failure: match plan.kind {
            Kind::Reversal { .. } => OnFailure::Continue,
            // The host would go back by itself to code that can't run on the schema.
            Kind::Forward if !of.forbids_way_back().is_empty() => OnFailure::Pause,
            Kind::Forward => OnFailure::Rollback,
            Kind::CatchUp { .. } => plan.limits.on_failure,
        },
        ..plan.manifest.strategy.clone()
    };
    Plan {
        kind: Kind::CatchUp { of: of.id() },
        waves: waves(&strategy, None, &candidates),
        limits: limits(&strategy, hosts.len() as u32),
        hosts,
        gates: gates(of),
        once: smoke(plan),
        // It watches a fleet. These are a few of it, and each shows by its probes that it is well.
        monitor: None,
        programs: programs(of),
        notes: Vec::new(),
        ..Plan::clone(plan)
    }
}

/// As many as the plan took at once, of its own hosts or of these if they are more. The others are taken to serve, and as
/// many of them are left as the service needs.
fn at_once(plan: &Plan, hosts: u32) -> u32 {
    let fleet = hosts.max(plan.hosts.len() as u32);
    let strategy = &plan.manifest.strategy;
    let widest = plan.waves.iter().map(|wave| wave.max_parallel).max().unwrap_or(1);
    let parallel = strategy.max_parallel.map_or(widest, |quota| quota.round_down(fleet));
    let spare = fleet.saturating_sub(strategy.min_available.round_up(fleet));
    parallel.min(spare).max(1)
}

/// A host of which nothing is known to go back to.
fn newcomer(plan: &Plan, name: &HostName) -> PlannedHost {
    PlannedHost {
        name: name.clone(),
        program: 0,
        from: None,
        before: Vec::new(),
        to: Some(plan.version.clone()),
        healthy: None,
    }
}

/// The same gates, but for those that a person went on in spite of.
fn gates(of: &Rollout) -> Vec<String> {
    let gates = of.plan.gates.iter().zip(&of.gates);
    gates.filter(|(_, gate)| gate.overridden.is_none()).map(|(name, _)| name.clone()).collect()
}

/// Of what happens once, the smoke test at the end: backups and migrations have happened.
fn smoke(plan: &Plan) -> Vec<PlannedOnce> {
    let smoke = |once: &&PlannedOnce| {
        once.turn == Turn::End && matches!(once.operation, Operation::Smoke { .. })
    };
    plan.once.iter().filter(smoke).cloned().collect()
}

/// Without barriers; and without the dead-man's switch where it would bring back code that can't run on the schema.
fn programs(of: &Rollout) -> Vec<Program> {
    let may_arm = of.forbids_way_back().is_empty();
    let stays = |o: &&Operation| may_arm || !is_of_switch(o);
    let program = |p: &Program| Program {
        operations: p.operations.iter().filter(stays).cloned().collect(),
        barriers: Vec::new(),
    };
    of.plan.programs.iter().map(program).collect()
}

//! Hosts that were out of reach follow to where their rollout ended.

use dv_types::{
    HostName, Operation, Plan, Quota,
    manifest::{OnFailure, Strategy},
    plan::{Kind, Program},
};

use super::{
    switch::is_of_switch,
    waves::{Candidate, limits, waves},
};
use crate::Rollout;

/// The plan that does on `hosts` what `of` would have done on them, one at a time.
#[must_use]
pub fn catch_up(of: &Rollout, hosts: &[HostName]) -> Plan {
    let plan = &of.plan;
    let hosts: Vec<_> = plan.hosts.iter().filter(|h| hosts.contains(&h.name)).cloned().collect();
    let labels = std::collections::BTreeMap::new();
    let candidates: Vec<_> = hosts
        .iter()
        .map(|h| Candidate { name: &h.name, labels: &labels, connected: true, healthy: None })
        .collect();
    let strategy = Strategy {
        canary: Quota::Hosts(0),
        batches: None,
        max_parallel: Some(Quota::Hosts(1)),
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
        // What happens once has happened, and what was to be shown was shown.
        gates: Vec::new(),
        once: Vec::new(),
        monitor: None,
        programs: programs(of),
        notes: Vec::new(),
        ..Plan::clone(plan)
    }
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

//! A new version goes out.

use dv_types::{
    Finding, HostFacts, Manifest, Plan, Subject, Version,
    plan::{Kind, PlannedHost},
};

use super::{
    check::check,
    program::{self, Meaning},
    select::probing,
    waves::{Candidate, limits, waves},
};

/// The plan that brings `version` to the hosts of `facts`. Whether it may run, its notes say.
#[must_use]
pub fn forward(manifest: &Manifest, version: &Version, facts: &[HostFacts]) -> Plan {
    let meaning = Meaning::of(facts);
    let candidates: Vec<_> = facts
        .iter()
        .map(|h| Candidate {
            name: &h.name,
            labels: &h.labels,
            connected: h.connected,
            healthy: h.healthy,
        })
        .collect();
    let mut plan = Plan {
        format: Plan::FORMAT,
        service: manifest.service.clone(),
        version: version.clone(),
        kind: Kind::Forward,
        manifest: manifest.clone(),
        programs: vec![program::forward(manifest, version, &meaning)],
        hosts: facts.iter().map(|h| planned(h, version)).collect(),
        waves: waves(&manifest.strategy, manifest.hosts.spread.as_deref(), &candidates),
        limits: limits(&manifest.strategy, facts.len() as u32),
        watch: manifest.health.as_ref().and_then(probing),
        notes: Vec::new(),
    };
    plan.notes = check(&plan, facts, &meaning);
    plan
}

fn planned(facts: &HostFacts, version: &Version) -> PlannedHost {
    let before = facts.findings.iter().filter_map(|(subject, finding)| match (subject, finding) {
        (Subject::Image { repository, .. }, Finding::Image { tags, .. }) => Some((
            Subject::Image { repository: repository.clone(), resolve: None },
            Finding::Image { tags: tags.clone(), resolved: None },
        )),
        (Subject::Tree { tree, .. }, Finding::Tree { commit, .. }) => Some((
            Subject::Tree { tree: tree.clone(), resolve: None },
            Finding::Tree { commit: commit.clone(), resolved: None },
        )),
        _ => None,
    });
    PlannedHost {
        name: facts.name.clone(),
        program: 0,
        from: facts.version.clone(),
        before: before.collect(),
        to: Some(version.clone()),
        healthy: facts.healthy,
    }
}

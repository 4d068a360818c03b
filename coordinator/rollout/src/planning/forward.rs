//! A new version goes out.

use dv_types::{
    Finding, HostFacts, Manifest, Plan, Schema, Subject, Version,
    manifest::Step,
    plan::{Kind, PlannedHost, PlannedOnce, Turn, WaveKind},
};

use super::{
    check::check,
    once,
    program::{self, Meaning},
    select::probing,
    switch,
    waves::{Candidate, limits, waves},
};

/// What was found out besides the hosts of the rollout.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// Every host that may carry something out once, where the manifest says which.
    pub helpers: Vec<HostFacts>,
    /// Where the database's schema stands, if that was asked.
    pub schema: Option<Finding>,
}

/// The plan that brings `version` to the hosts of `facts`. Whether it may run, its notes say.
#[must_use]
pub fn forward(manifest: &Manifest, version: &Version, facts: &[HostFacts], asked: &Asked) -> Plan {
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
        gates: gates(manifest),
        once: Vec::new(),
        monitor: manifest.monitor.clone(),
        schema: schema(manifest, asked),
        database: None,
        notes: Vec::new(),
    };
    plan.once = once(&mut plan, asked);
    switch::arm(&mut plan);
    plan.notes = check(&plan, facts, asked, &meaning);
    plan
}

/// The gates by name, those first that cost least to ask.
fn gates(manifest: &Manifest) -> Vec<String> {
    let Some(gates) = &manifest.gates else { return Vec::new() };
    let named = [
        ("freeze", !gates.freeze.is_empty()),
        ("reachable", gates.reachable),
        ("agent_version", gates.agent_version.is_some()),
        ("clock_skew", gates.clock_skew.is_some()),
        ("disk", gates.disk.is_some()),
        ("image", gates.image),
        ("reviewed", gates.reviewed.is_some()),
        ("tests", gates.tests.is_some()),
    ];
    named.into_iter().filter(|(_, given)| *given).map(|(name, _)| name.to_owned()).collect()
}

/// What happens once. A barrier that no operation stands behind becomes something that happens at the end.
pub(super) fn once(plan: &mut Plan, asked: &Asked) -> Vec<PlannedOnce> {
    let program = &mut plan.programs[0];
    let last = program.operations.len() as u32;
    let behind: Vec<_> =
        program.barriers.extract_if(.., |barrier| barrier.before >= last).collect();
    let fleet = || asked.helpers.iter().map(|host| (&host.name, &host.labels));
    let steps = once::steps(&plan.manifest, &plan.version).enumerate();
    let mut all: Vec<_> = steps
        .map(|(k, (name, on, operation))| PlannedOnce {
            name,
            turn: match behind.iter().any(|barrier| barrier.once == k as u32) {
                true => Turn::End,
                false => Turn::Steps,
            },
            hosts: once::hosts(on, fleet()),
            operation,
        })
        .collect();
    if let Some(smoke) = &plan.manifest.smoke {
        let canary = plan.waves.first().is_some_and(|wave| wave.kind == WaveKind::Canary);
        all.extend(once::smoke(smoke, Some(&plan.version), canary));
    }
    all
}

/// Where the schema stands, by what the manifest says of migrations and else by what the command printed.
fn schema(manifest: &Manifest, asked: &Asked) -> Option<Schema> {
    let Some(Finding::Schema(schema)) = &asked.schema else { return None };
    let mut schema = schema.clone();
    let kinds = manifest.steps.iter().find_map(|step| match step {
        Step::Migrate(step) => Some(&step.kinds),
        _ => None,
    });
    for migration in &mut schema.pending {
        if let Some(kind) = kinds.and_then(|kinds| kinds.get(&migration.name)) {
            migration.kind = *kind;
        }
    }
    Some(schema)
}

fn planned(facts: &HostFacts, version: &Version) -> PlannedHost {
    let seen = facts.findings.iter().filter_map(|(subject, finding)| match (subject, finding) {
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
    let mut before: Vec<(Subject, Finding)> = Vec::new();
    for (subject, finding) in seen {
        if !before.iter().any(|(known, _)| *known == subject) {
            before.push((subject, finding));
        }
    }
    PlannedHost {
        name: facts.name.clone(),
        program: 0,
        from: facts.version.clone(),
        before,
        to: Some(version.clone()),
        healthy: facts.healthy,
    }
}

//! What happens once: which steps, on which hosts, in front of which operations.

use dv_types::{
    HostName, Labels, Manifest, Operation, Subject, Version,
    manifest::{Once, Smoke, Step},
    plan::{PlannedOnce, Turn},
};

use super::program::fill;

/// A host and its labels.
pub(super) type Known<'f> = (&'f HostName, &'f Labels);

/// The step as something that happens once, with where it runs; nothing if it happens on every host.
pub(super) fn of_step<'m>(
    step: &'m Step,
    number: usize,
    version: &Version,
) -> Option<(String, &'m Once, Operation)> {
    let all = |argv: &[String]| argv.iter().map(|a| fill(a, Some(version))).collect::<Vec<_>>();
    Some(match step {
        Step::Backup(s) => {
            let mut proof = s.proof.clone();
            proof.file = proof.file.map(|file| fill(&file, Some(version)));
            proof.command = proof.command.as_deref().map(all);
            let operation = Operation::Backup { create: all(&s.create), proof, timeout: s.timeout };
            ("backup".to_owned(), &s.on, operation)
        }
        Step::Migrate(s) => {
            let operation = Operation::Migrate {
                check: all(&s.check),
                upgrade: all(&s.upgrade),
                kinds: s.kinds.clone(),
                timeout: s.timeout,
            };
            ("migrate".to_owned(), &s.on, operation)
        }
        Step::Run(s) => {
            let operation =
                Operation::Run { argv: all(&s.argv), timeout: s.timeout, repeatable: s.repeatable };
            (run_name(number), s.once.as_ref()?, operation)
        }
        _ => return None,
    })
}

/// What a command is called that runs once: by its place among the steps, from 1.
pub(super) fn run_name(number: usize) -> String {
    format!("run-{number}")
}

/// Where it may run, of these hosts; nothing listed where it is the first host that comes to it.
pub(super) fn hosts<'f>(on: &Once, fleet: impl IntoIterator<Item = Known<'f>>) -> Vec<HostName> {
    let wanted = |(name, labels): &Known<'f>| match &on.host {
        Some(host) => *name == host,
        None => !on.labels.is_empty() && on.labels.iter().all(|(k, v)| labels.get(k) == Some(v)),
    };
    let mut hosts: Vec<_> =
        fleet.into_iter().filter(wanted).map(|(name, _)| name.clone()).collect();
    hosts.sort();
    hosts
}

/// Whether it is said where it runs.
pub(super) fn is_placed(on: &Once) -> bool {
    on.host.is_some() || !on.labels.is_empty()
}

/// Every step that happens once, with where it runs.
pub(super) fn steps<'m>(
    manifest: &'m Manifest,
    version: &'m Version,
) -> impl Iterator<Item = (String, &'m Once, Operation)> {
    let steps = manifest.steps.iter().enumerate();
    steps.filter_map(|(i, step)| of_step(step, i + 1, version))
}

/// The hosts, beside those of the rollout, that may carry something out once, and what they are asked.
#[must_use]
pub fn helpers<'f>(
    manifest: &Manifest,
    version: &Version,
    fleet: impl IntoIterator<Item = Known<'f>> + Clone,
) -> (Vec<HostName>, Vec<Subject>) {
    let (mut names, mut subjects) = (Vec::new(), Vec::new());
    for (_, on, operation) in steps(manifest, version).filter(|(_, on, _)| is_placed(on)) {
        names.extend(hosts(on, fleet.clone()));
        subjects.extend(operation.subjects());
    }
    names.sort();
    names.dedup();
    (names, subjects)
}

/// The question where the database's schema stands, and where it is asked (nowhere listed: on any host of the rollout).
#[must_use]
pub fn schema_question<'f>(
    manifest: &Manifest,
    version: &Version,
    fleet: impl IntoIterator<Item = Known<'f>>,
) -> Option<(Vec<HostName>, Subject)> {
    let (_, on, operation) = steps(manifest, version)
        .find(|(_, _, operation)| matches!(operation, Operation::Migrate { .. }))?;
    let Operation::Migrate { check, .. } = operation else { return None };
    Some((hosts(on, fleet), Subject::Schema { check }))
}

/// The smoke test, after the canary where there is one, and at the end.
pub(super) fn smoke(smoke: &Smoke, version: Option<&Version>, canary: bool) -> Vec<PlannedOnce> {
    let mut smoke = smoke.clone();
    smoke.command = smoke.command.map(|argv| argv.iter().map(|a| fill(a, version)).collect());
    let one = |name: &str, turn, base: Option<String>| PlannedOnce {
        name: name.to_owned(),
        turn,
        hosts: Vec::new(),
        operation: Operation::Smoke { smoke: smoke.clone(), base },
    };
    let base = smoke.base.clone();
    let fleet = smoke.fleet.clone().or_else(|| base.clone());
    let first = canary.then(|| one("smoke-canary", Turn::Canary, base));
    first.into_iter().chain([one("smoke", Turn::End, fleet)]).collect()
}

//! A manifest's steps as operations, with nothing left to choose.

use std::collections::HashMap;

use dv_types::{
    Commit, Digest, Finding, HostFacts, Manifest, Operation, Subject, Version,
    manifest::{Step, UnitStep},
    operation::UnitVerb,
    plan::{Barrier, Program},
};

use super::{once, select::probing};

/// What a version means, found out once for the whole fleet.
#[derive(Debug, Default)]
pub(super) struct Meaning {
    pub(super) images: HashMap<Subject, Digest>,
    pub(super) commits: HashMap<Subject, Commit>,
}

impl Meaning {
    /// What the first host that knows says.
    pub(super) fn of(facts: &[HostFacts]) -> Self {
        let mut meaning = Self::default();
        for (subject, finding) in facts.iter().flat_map(|h| &h.findings) {
            match finding {
                Finding::Image { resolved: Some(digest), .. } => {
                    meaning.images.entry(subject.clone()).or_insert_with(|| digest.clone());
                }
                Finding::Tree { resolved: Some(commit), .. } => {
                    meaning.commits.entry(subject.clone()).or_insert_with(|| commit.clone());
                }
                _ => {}
            }
        }
        meaning
    }
}

/// The operations that bring `version` to a host; steps whose version has no known meaning are left out.
pub(super) fn forward(manifest: &Manifest, version: &Version, meaning: &Meaning) -> Program {
    let mut operations = Vec::new();
    let mut barriers = Vec::new();
    for (i, step) in manifest.steps.iter().enumerate() {
        if once::of_step(step, i + 1, version).is_some() {
            let (before, once) = (operations.len() as u32, barriers.len() as u32);
            barriers.push(Barrier { before, once });
            continue;
        }
        match step {
            Step::Image(s) => {
                let tag = fill(&s.tag, Some(version));
                let repository = s.repository.clone();
                let subject =
                    Subject::Image { repository: repository.clone(), resolve: Some(tag.clone()) };
                if let Some(digest) = meaning.images.get(&subject) {
                    operations.push(Operation::PullImage {
                        repository: repository.clone(),
                        tag,
                        digest: digest.clone(),
                        timeout: s.timeout,
                    });
                    operations.push(Operation::TagImage { repository, digest: digest.clone() });
                }
            }
            Step::Checkout(s) => {
                let tree = s.tree.clone();
                let resolve = Some(fill(&s.reference, Some(version)));
                let subject = Subject::Tree { tree: tree.clone(), resolve };
                if let Some(commit) = meaning.commits.get(&subject) {
                    let (commit, timeout) = (commit.clone(), s.timeout);
                    operations.push(Operation::Checkout { tree, commit, timeout });
                }
            }
            Step::Run(s) => operations.push(Operation::Run {
                argv: s.argv.iter().map(|a| fill(a, Some(version))).collect(),
                timeout: s.timeout,
                repeatable: s.repeatable,
            }),
            _ => operations.extend(activation(step)),
        }
    }
    operations.extend(verification(manifest));
    Program { operations, barriers }
}

/// The operation of a step that makes a host run what is there: the same forward and back.
pub(super) fn activation(step: &Step) -> Option<Operation> {
    let unit =
        |s: &UnitStep, verb| Operation::Unit { unit: s.unit.clone(), verb, timeout: s.timeout };
    match step {
        Step::Compose(s) => {
            Some(Operation::ComposeUp { project: s.project.clone(), timeout: s.timeout })
        }
        Step::Restart(s) => Some(unit(s, UnitVerb::Restart)),
        Step::Start(s) => Some(unit(s, UnitVerb::Start)),
        Step::Stop(s) => Some(unit(s, UnitVerb::Stop)),
        Step::Image(_) | Step::Checkout(_) | Step::Run(_) | Step::Backup(_) | Step::Migrate(_) => {
            None
        }
    }
}

/// The last operation of every program: the host shows that it is well.
pub(super) fn verification(manifest: &Manifest) -> Option<Operation> {
    let probing = manifest.health.as_ref().and_then(probing)?;
    Some(Operation::Verify {
        probing,
        min_healthy_time: manifest.strategy.min_healthy_time,
        healthy_deadline: manifest.strategy.healthy_deadline,
    })
}

/// `text` with `${version}` filled in.
pub(super) fn fill(text: &str, version: Option<&Version>) -> String {
    text.replace("${version}", version.map_or("", Version::as_str))
}

/// Whether `text` needs a version.
pub(super) fn needs_version(text: &str) -> bool {
    text.contains("${version}")
}

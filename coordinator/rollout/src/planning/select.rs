//! Which hosts a manifest means, and what they are asked before a plan is made.

use dv_types::{
    HostName, Labels, Manifest, Probe, Subject, Version,
    manifest::{Gates, Health, Hosts, Smoke, Step},
    probe::Probing,
};

use super::{once, program::fill};

/// The hosts of the fleet that the manifest means, by name.
pub fn select<'f>(
    manifest: &Manifest,
    fleet: impl IntoIterator<Item = (&'f HostName, &'f Labels)>,
) -> Vec<HostName> {
    select_of(&manifest.hosts, fleet)
}

/// The hosts of the fleet that `wanted` means, by name.
pub fn select_of<'f>(
    wanted: &Hosts,
    fleet: impl IntoIterator<Item = (&'f HostName, &'f Labels)>,
) -> Vec<HostName> {
    if wanted.labels.is_empty() && wanted.names.is_empty() {
        return Vec::new();
    }
    let mut hosts: Vec<_> = fleet
        .into_iter()
        .filter(|(name, labels)| {
            (wanted.names.is_empty() || wanted.names.contains(name))
                && wanted.labels.iter().all(|(k, v)| labels.get(k) == Some(v))
        })
        .map(|(name, _)| name.clone())
        .collect();
    hosts.sort();
    hosts
}

/// What each host is asked about: whether its policy allows it, what is there, what the version means.
///
/// Of an `undo` as if this version were the one before. It runs with what each host ran before, but a policy's
/// patterns take an argument whole: one that allows every version (`"*"`) answers the same, and one that lists
/// versions one by one lacks this one, to which the next rollout may have to go back.
#[must_use]
pub fn subjects(manifest: &Manifest, version: &Version) -> Vec<Subject> {
    let mut subjects = Vec::new();
    let all = there(manifest, version).chain(back(manifest, version)).chain(local(manifest));
    for subject in all {
        if !subjects.contains(&subject) {
            subjects.push(subject);
        }
    }
    subjects
}

/// What is acted on, or asked, on the way there. Of what happens once on a host that the manifest names only that
/// host is asked.
pub(super) fn there(manifest: &Manifest, version: &Version) -> impl Iterator<Item = Subject> {
    let steps = manifest.steps.iter().enumerate().flat_map(|(i, step)| {
        match once::of_step(step, i + 1, version) {
            Some((_, on, _)) if once::is_placed(on) => Vec::new(),
            Some((_, _, operation)) => operation.subjects(),
            None => on_every_host(step, version).into_iter().collect(),
        }
    });
    let smoke = manifest.smoke.iter().flat_map(Smoke::subjects);
    let probes = manifest.health.iter().flat_map(|h| [&h.live, &h.ready]).flatten();
    let probes = probes.filter_map(|p| p.command.clone()).map(|argv| Subject::Command { argv });
    steps.chain(smoke).chain(probes)
}

fn on_every_host(step: &Step, version: &Version) -> Option<Subject> {
    Some(match step {
        Step::Image(s) => Subject::Image {
            repository: s.repository.clone(),
            resolve: Some(fill(&s.tag, Some(version))),
        },
        Step::Compose(s) => Subject::Compose { project: s.project.clone() },
        Step::Checkout(s) => {
            Subject::Tree { tree: s.tree.clone(), resolve: Some(fill(&s.reference, Some(version))) }
        }
        Step::Run(s) => command(&s.argv, version),
        Step::Restart(s) | Step::Start(s) | Step::Stop(s) => Subject::Unit { unit: s.unit.clone() },
        Step::Backup(_) | Step::Migrate(_) => return None,
    })
}

/// Whether a gate decides it, when the rollout begins.
pub(super) fn gated(manifest: &Manifest, which: impl Fn(&Gates) -> bool) -> bool {
    manifest.gates.as_ref().is_some_and(which)
}

/// Where a host that does not find an image is for a gate to judge: what it has, which no registry need say.
fn local(manifest: &Manifest) -> impl Iterator<Item = Subject> {
    let asked_again = gated(manifest, |gates| gates.image);
    manifest.steps.iter().filter(move |_| asked_again).filter_map(|step| match step {
        Step::Image(s) => Some(Subject::Image { repository: s.repository.clone(), resolve: None }),
        _ => None,
    })
}

/// What is run on the way back only.
fn back(manifest: &Manifest, version: &Version) -> impl Iterator<Item = Subject> {
    undos(manifest).map(|undo| command(undo, version))
}

/// Every `undo` of what happens on every host.
pub(super) fn undos(manifest: &Manifest) -> impl Iterator<Item = &[String]> {
    manifest.steps.iter().filter_map(|step| match step {
        Step::Run(s) if s.once.is_none() => s.undo.as_deref(),
        _ => None,
    })
}

/// A command with the version filled in.
pub(super) fn command(argv: &[String], version: &Version) -> Subject {
    Subject::Command { argv: argv.iter().map(|a| fill(a, Some(version))).collect() }
}

/// How a manifest's probes are asked; nothing where it has none.
#[must_use]
pub fn probing(health: &Health) -> Option<Probing> {
    let probes: Vec<_> = [("live", &health.live), ("ready", &health.ready)]
        .into_iter()
        .filter_map(|(name, spec)| Some((name.to_owned(), Probe::try_from(spec.as_ref()?).ok()?)))
        .collect();
    (!probes.is_empty()).then_some(Probing {
        probes,
        interval: health.interval,
        timeout: health.timeout,
        successes: health.successes.max(1),
    })
}

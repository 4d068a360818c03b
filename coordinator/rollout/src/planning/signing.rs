//! What of a plan is signed: a leaf for each host. And whether a plan is what its manifest says, for whoever signs it.

use std::collections::BTreeSet;

use dv_types::{
    Commit, HostName, Manifest, Operation, Plan, Subject, Version,
    manifest::Step,
    plan::{Kind, PlannedHost, PlannedOnce},
    warrant::{Back, Leaf, Undo},
};

use super::{
    forward::{self, Asked},
    once,
    program::{self, Meaning, activation, fill, needs_version, verification},
    switch,
};

/// The hosts that a plan's warrant has leaves for, in their order.
#[must_use]
pub fn signed_hosts(plan: &Plan) -> Vec<HostName> {
    let hosts = plan.hosts.iter().map(|host| &host.name);
    let all: BTreeSet<_> = hosts.chain(plan.once.iter().flat_map(|once| &once.hosts)).collect();
    all.into_iter().cloned().collect()
}

/// What `host` may do by this plan.
#[must_use]
pub fn leaf(plan: &Plan, host: &HostName) -> Leaf {
    let planned = plan.host(host);
    let once: Vec<_> = plan.once.iter().filter(|once| may_run(once, planned, host)).collect();
    let forward = planned.map(|planned| plan.operations(planned).to_vec()).unwrap_or_default();
    // A reversal is never taken back.
    let goes_back = plan.kind == Kind::Forward;
    Leaf {
        host: host.clone(),
        attempts: Leaf::ATTEMPTS,
        forward,
        back: planned.filter(|_| goes_back).map(|p| back(&plan.manifest, p)).unwrap_or_default(),
        undo: if goes_back { undo(plan, planned, &once) } else { Vec::new() },
        once: once.into_iter().map(|once| once.operation.clone()).collect(),
    }
}

/// Where nothing is listed it runs on the first host that comes to it.
fn may_run(once: &PlannedOnce, planned: Option<&PlannedHost>, host: &HostName) -> bool {
    once.hosts.contains(host) || once.hosts.is_empty() && planned.is_some()
}

/// As [`way_back`](super::way_back::way_back), before anything is known of what will be there.
fn back(manifest: &Manifest, host: &PlannedHost) -> Vec<Back> {
    let from = host.from.as_ref();
    let step = |step: &Step| match step {
        Step::Image(s) => Some(Back::Tags { repository: s.repository.clone() }),
        Step::Checkout(s) => Some(Back::Tree { tree: s.tree.clone(), timeout: s.timeout }),
        Step::Backup(_) | Step::Migrate(_) => None,
        Step::Run(s) if s.once.is_some() => None,
        Step::Run(s) => {
            let undo = s.undo.as_ref()?;
            let known = from.is_some() || !undo.iter().any(|a| needs_version(a));
            known.then(|| {
                Back::Do(Operation::Run {
                    argv: undo.iter().map(|a| fill(a, from)).collect(),
                    timeout: s.timeout,
                    repeatable: s.repeatable,
                })
            })
        }
        _ => activation(step).map(Back::Do),
    };
    let steps = manifest.steps.iter().filter_map(step);
    steps.chain(verification(manifest).map(Back::Do)).collect()
}

/// What is undone that happened once, the last first, and the smoke test of what the host goes back to.
fn undo(plan: &Plan, planned: Option<&PlannedHost>, once: &[&PlannedOnce]) -> Vec<Undo> {
    let before = planned.or_else(|| plan.hosts.first()).and_then(|host| host.from.as_ref());
    let steps = plan.manifest.steps.iter().enumerate().rev();
    let undo = steps.filter_map(|(i, step)| {
        let Step::Run(s) = step else { return None };
        let undo = s.once.as_ref().and(s.undo.as_ref())?;
        let name = once::run_name(i + 1);
        let of = once.iter().position(|once| once.name == name)? as u32;
        let known = before.is_some() || !undo.iter().any(|a| needs_version(a));
        let argv = undo.iter().map(|a| fill(a, before)).collect();
        let operation = Operation::Run { argv, timeout: s.timeout, repeatable: s.repeatable };
        known.then_some(Undo { operation, of: Some(of) })
    });
    let smoke = plan.manifest.smoke.iter().filter(|smoke| {
        let named = smoke.command.iter().flatten().any(|argument| needs_version(argument));
        planned.is_some() && (before.is_some() || !named)
    });
    let smoke = smoke.flat_map(|smoke| once::smoke(smoke, before, false));
    undo.chain(smoke.map(|once| Undo { operation: once.operation, of: None })).collect()
}

/// Whether `plan` is what comes of `manifest` and `version`, by the digests, commits and earlier states that it names: then
/// whoever made it has added nothing. Which hosts are meant by labels, and what a version means, is not known here.
///
/// # Errors
///
/// What differs.
pub fn agrees(plan: &Plan, manifest: &Manifest, version: &Version) -> Result<(), String> {
    if plan.manifest != *manifest || plan.version != *version || plan.service != manifest.service {
        return Err("it is of another manifest or version than was asked for".to_owned());
    }
    if plan.kind != Kind::Forward {
        return Err(format!("it is a {}", plan.kind));
    }
    let names = &manifest.hosts.names;
    if let Some(host) = plan.hosts.iter().find(|h| !names.is_empty() && !names.contains(&h.name)) {
        return Err(format!("{} is none of the hosts that the manifest names", host.name));
    }
    let meaning = meaning(plan)?;
    let mut again = plan.clone();
    again.programs = vec![program::forward(manifest, version, &meaning)];
    again.hosts.iter_mut().for_each(|host| host.program = 0);
    again.once = forward::once(&mut again, &Asked::default());
    switch::arm(&mut again);
    let pairs = plan.hosts.iter().zip(&again.hosts);
    for (host, other) in pairs {
        if plan.operations(host) != again.operations(other) {
            return Err(format!("it does something else on {} than the manifest says", host.name));
        }
    }
    let same = |(one, other): (&PlannedOnce, &PlannedOnce)| {
        (&one.name, one.turn, &one.operation) == (&other.name, other.turn, &other.operation)
    };
    if plan.once.len() != again.once.len() || !plan.once.iter().zip(&again.once).all(same) {
        return Err("what it does once is not what the manifest says".to_owned());
    }
    for (name, on, _) in once::steps(manifest, version) {
        let Some(once) = plan.once.iter().find(|once| once.name == name) else { continue };
        let listed = match &on.host {
            Some(host) => once.hosts.iter().all(|listed| listed == host),
            None => once::is_placed(on) || once.hosts.is_empty(),
        };
        if !listed {
            return Err(format!("it does {name} on other hosts than the manifest says"));
        }
    }
    Ok(())
}

/// What the version means, by the plan.
fn meaning(plan: &Plan) -> Result<Meaning, String> {
    let mut meaning = Meaning::default();
    let version = Some(&plan.version);
    let operations = || plan.programs.iter().flat_map(|program| &program.operations);
    for step in &plan.manifest.steps {
        match step {
            Step::Image(s) => {
                let tag = fill(&s.tag, version);
                let digest = operations().find_map(|operation| match operation {
                    Operation::PullImage { repository, tag: t, digest, .. }
                        if *repository == s.repository && *t == tag =>
                    {
                        Some(digest.clone())
                    }
                    _ => None,
                });
                let digest = digest
                    .ok_or_else(|| format!("it does not say what {}:{tag} is", s.repository))?;
                let subject =
                    Subject::Image { repository: s.repository.clone(), resolve: Some(tag) };
                meaning.images.insert(subject, digest);
            }
            Step::Checkout(s) => {
                let reference = fill(&s.reference, version);
                let commit = operations().find_map(|operation| match operation {
                    Operation::Checkout { tree, commit, .. } if *tree == s.tree => Some(commit),
                    _ => None,
                });
                let commit =
                    commit.ok_or_else(|| format!("it does not say what {reference} is"))?;
                if Commit::new(reference.clone()).is_ok_and(|named| named != *commit) {
                    return Err(format!("it takes {commit} for {reference}"));
                }
                let subject = Subject::Tree { tree: s.tree.clone(), resolve: Some(reference) };
                meaning.commits.insert(subject, commit.clone());
            }
            _ => {}
        }
    }
    Ok(meaning)
}

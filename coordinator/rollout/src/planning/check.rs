//! What is to be said against a plan, or of it. Every rule that a plan must obey is one function here.

use std::collections::BTreeMap;

use dv_types::{
    Finding, HostFacts, HostName, MigrationKind, Operation, Plan, Subject,
    manifest::OnFailure,
    plan::{Note, Severity},
};

use super::{
    forward::Asked,
    once,
    program::{Meaning, needs_version},
    select::{command, gated, there, undos},
    switch::{Unarmed, may_arm},
};

pub(super) fn check(
    plan: &Plan,
    facts: &[HostFacts],
    asked: &Asked,
    meaning: &Meaning,
) -> Vec<Note> {
    let mut notes = Notes(Vec::new());
    if facts.is_empty() {
        notes.error("no host of the fleet matches the manifest's `hosts`: see `dvctl hosts` for names and labels");
        return notes.0;
    }
    names(plan, facts, &mut notes);
    reachability(plan, facts, &mut notes);
    findings(plan, facts, meaning, &mut notes);
    findings(plan, &asked.helpers, meaning, &mut notes);
    places(plan, asked, &mut notes);
    migrations(plan, asked, &mut notes);
    versions(plan, facts, meaning, &mut notes);
    availability(plan, facts, &mut notes);
    ways_back(plan, facts, &mut notes);
    switch(plan, &mut notes);
    notes.0
}

/// Every host that is named is there: a name that means nobody is a slip of the pen.
fn names(plan: &Plan, facts: &[HostFacts], notes: &mut Notes) {
    let wanted = &plan.manifest.hosts;
    let missing = wanted.names.iter().filter(|name| !facts.iter().any(|h| h.name == **name));
    let missing: Vec<_> = missing.collect();
    if !missing.is_empty() {
        let labels = if wanted.labels.is_empty() { "" } else { " with these labels" };
        notes.error(format!(
            "the fleet has no host{labels} of a name in `hosts.names`: {}; see `dvctl hosts`",
            list(&missing)
        ));
    }
}

/// Enough hosts answer.
fn reachability(plan: &Plan, facts: &[HostFacts], notes: &mut Notes) {
    let away: Vec<_> = facts.iter().filter(|h| !h.connected).map(|h| &h.name).collect();
    if away.is_empty() {
        return;
    }
    let limit = plan.limits.max_unreachable;
    if away.len() == facts.len() {
        notes.error("none of the hosts is in contact: see `dvctl hosts`, and `systemctl status dv-agent` on them");
    } else if away.len() as u32 > limit {
        let text = format!(
            "{} of {} hosts are out of reach ({}), and max_unreachable allows {limit}",
            away.len(),
            facts.len(),
            list(&away)
        );
        match gated(&plan.manifest, |gates| gates.reachable) {
            true => notes.warning(format!("{text}: the gate `reachable` will not pass")),
            false => notes.error(format!(
                "{text}: bring them back, leave them out, or raise max_unreachable"
            )),
        }
    } else {
        notes.warning(format!("out of reach, to be caught up when they return: {}", list(&away)));
    }
}

/// No host refuses, and nothing is missing. Where a gate asks for an image again, what one host does not find and another
/// does is for the gate.
fn findings(plan: &Plan, facts: &[HostFacts], meaning: &Meaning, notes: &mut Notes) {
    let (manifest, version) = (&plan.manifest, &plan.version);
    let undo_by_version: Vec<_> = undos(manifest)
        .filter(|undo| undo.iter().any(|a| needs_version(a)))
        .map(|undo| command(undo, version))
        .filter(|subject| there(manifest, version).all(|other| other != *subject))
        .collect();
    // One line for hosts that say the same: a fleet without a policy is one mistake, not a thousand.
    let mut said: BTreeMap<(String, Severity), Vec<&HostName>> = BTreeMap::new();
    for host in facts {
        for (subject, finding) in &host.findings {
            // It is not run on a host that has no version before: a note on the way back says so.
            if host.version.is_none() && undo_by_version.contains(subject) {
                continue;
            }
            let text = match finding {
                Finding::Refused(why) => format!("refuses {subject}: {why}"),
                Finding::NotFound(why) => format!("has no {subject}: {why}"),
                Finding::Failed(why) => format!("can't tell about {subject}: {why}"),
                _ => continue,
            };
            let asked_again = matches!(finding, Finding::NotFound(_) | Finding::Failed(_))
                && meaning.images.contains_key(subject)
                && gated(&plan.manifest, |gates| gates.image);
            let severity = if asked_again { Severity::Warning } else { Severity::Error };
            said.entry((text, severity)).or_default().push(&host.name);
        }
    }
    for ((text, severity), hosts) in said {
        let (host, text) = match hosts.as_slice() {
            [host] => (Some((*host).clone()), text),
            hosts => (None, format!("{}: {text}", list(hosts))),
        };
        notes.0.push(Note { severity, host, text });
    }
}

/// Whatever happens once has a host for it.
fn places(plan: &Plan, asked: &Asked, notes: &mut Notes) {
    for (name, on, _) in once::steps(&plan.manifest, &plan.version) {
        if !once::is_placed(on) {
            continue;
        }
        let fleet = asked.helpers.iter().map(|host| (&host.name, &host.labels));
        let hosts = once::hosts(on, fleet);
        let there =
            |name: &HostName| asked.helpers.iter().any(|host| host.name == *name && host.connected);
        if hosts.is_empty() {
            notes.error(format!(
                "no host of the fleet is where `{name}` is to happen once: see `dvctl hosts` for names and labels"
            ));
        } else if !hosts.iter().any(there) {
            let hosts: Vec<_> = hosts.iter().collect();
            notes.error(format!(
                "`{name}` is to happen once on {}, which is not in contact: see `systemctl status dv-agent` on it",
                list(&hosts)
            ));
        }
    }
}

/// Which migrations are pending, and what they mean for the way back.
fn migrations(plan: &Plan, asked: &Asked, notes: &mut Notes) {
    let migrates = plan.once.iter().any(|once| matches!(once.operation, Operation::Migrate { .. }));
    if !migrates {
        return;
    }
    let Some(schema) = &plan.schema else {
        let why = match &asked.schema {
            Some(Finding::Refused(why) | Finding::NotFound(why) | Finding::Failed(why)) => {
                why.as_str()
            }
            _ => "no host that may ask is in contact",
        };
        notes.warning(format!(
            "which migrations are pending can't be told before the rollout: {why}"
        ));
        return;
    };
    let breaking: Vec<_> = schema
        .pending
        .iter()
        .filter(|migration| migration.kind != MigrationKind::Expand)
        .map(ToString::to_string)
        .collect();
    if !breaking.is_empty() && plan.limits.on_failure == OnFailure::Rollback {
        notes.warning(format!(
            "after {} the code before it can't run: a failure then pauses the rollout instead of rolling it back, and a person decides about the database",
            breaking.join(", ")
        ));
    }
}

/// The version means the same thing everywhere, and something.
fn versions(plan: &Plan, facts: &[HostFacts], meaning: &Meaning, notes: &mut Notes) {
    let mut unknown: Vec<&Subject> = Vec::new();
    for (subject, finding) in facts.iter().flat_map(|h| &h.findings) {
        let agrees = match (subject, finding) {
            (Subject::Image { resolve: Some(_), .. }, Finding::Image { resolved: Some(d), .. }) => {
                meaning.images.get(subject) == Some(d)
            }
            (Subject::Tree { resolve: Some(_), .. }, Finding::Tree { resolved: Some(c), .. }) => {
                meaning.commits.get(subject) == Some(c)
            }
            _ => continue,
        };
        if !agrees && !unknown.contains(&subject) {
            unknown.push(subject);
            notes.error(format!(
                "the hosts do not agree on what {subject} is: it moved while the plan was made, or they ask different sources; plan again"
            ));
        }
    }
    for subject in super::subjects(&plan.manifest, &plan.version) {
        let known = match &subject {
            Subject::Image { resolve: Some(_), .. } => meaning.images.contains_key(&subject),
            Subject::Tree { .. } => meaning.commits.contains_key(&subject),
            _ => continue,
        };
        let explained = facts.iter().flat_map(|h| &h.findings).any(|(s, f)| {
            *s == subject
                && matches!(f, Finding::Refused(_) | Finding::NotFound(_) | Finding::Failed(_))
        });
        if !known && !explained && facts.iter().any(|h| h.connected) {
            notes.error(format!("no host could say what {subject} is: plan again"));
        }
    }
    let same: Vec<_> = facts
        .iter()
        .filter(|h| h.version.as_ref() == Some(&plan.version))
        .map(|h| &h.name)
        .collect();
    if !same.is_empty() {
        notes.info(format!("already at {}: {}", plan.version, list(&same)));
    }
}

/// `min_available` leaves room to begin.
fn availability(plan: &Plan, facts: &[HostFacts], notes: &mut Notes) {
    let sick: Vec<_> = facts.iter().filter(|h| h.healthy == Some(false)).map(|h| &h.name).collect();
    if !sick.is_empty() {
        notes.warning(format!("not healthy before the rollout: {}", list(&sick)));
    }
    let (fleet, needed) = (facts.len() as u32, plan.limits.min_available);
    if needed >= fleet && sick.is_empty() {
        notes.error(format!(
            "min_available is {needed} of {fleet} hosts, so none could ever be taken out: lower it"
        ));
        return;
    }
    let available = facts.iter().filter(|h| h.connected && h.healthy != Some(false)).count() as u32;
    if needed > 0 && available.saturating_sub(1) < needed {
        notes.warning(format!(
            "{available} hosts are available and min_available is {needed}: healthy hosts will wait until more are available"
        ));
    }
}

/// Each host has something to go back to.
fn ways_back(plan: &Plan, facts: &[HostFacts], notes: &mut Notes) {
    let undo_needs_version = undos(&plan.manifest).flatten().any(|a| needs_version(a));
    let mut nowhere: Vec<&HostName> = Vec::new();
    for host in facts.iter().filter(|h| h.connected) {
        let no_latest = host.findings.iter().any(
            |(_, finding)| matches!(finding, Finding::Image { tags, .. } if tags.latest.is_none()),
        );
        if no_latest || (undo_needs_version && host.version.is_none()) {
            nowhere.push(&host.name);
        }
    }
    if nowhere.is_empty() {
        return;
    }
    let then = match plan.limits.on_failure {
        OnFailure::Rollback => ", and stay as they are in a rollback",
        _ => "",
    };
    notes.warning(format!("have no earlier release to go back to{then}: {}", list(&nowhere)));
}

/// The dead-man's switch that the manifest asks for.
fn switch(plan: &Plan, notes: &mut Notes) {
    if plan.manifest.strategy.confirm_within.is_none() {
        return;
    }
    let why = match may_arm(plan) {
        Ok(()) => return,
        Err(Unarmed::Migrations(breaking)) => {
            format!("the code before {} could not run on the schema after it", breaking.join(", "))
        }
        Err(Unarmed::UnknownSchema) => "which migrations are pending is not known".to_owned(),
    };
    notes.warning(format!("no dead-man's switch is armed (confirm_within): {why}"));
}

/// The first few names, and how many more there are.
fn list(hosts: &[&HostName]) -> String {
    const SHOWN: usize = 8;
    let mut text: Vec<_> = hosts.iter().take(SHOWN).map(ToString::to_string).collect();
    if hosts.len() > SHOWN {
        text.push(format!("and {} more", hosts.len() - SHOWN));
    }
    text.join(", ")
}

struct Notes(Vec<Note>);

impl Notes {
    fn error(&mut self, text: impl Into<String>) {
        self.0.push(Note { severity: Severity::Error, host: None, text: text.into() });
    }
    fn warning(&mut self, text: String) {
        self.0.push(Note { severity: Severity::Warning, host: None, text });
    }
    fn info(&mut self, text: String) {
        self.0.push(Note { severity: Severity::Info, host: None, text });
    }
}

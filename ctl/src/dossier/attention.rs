//! What a reader must not miss, before everything else.

use dv_types::{
    Evidence, MigrationKind,
    plan::Way,
    record::Verb,
    report::{OnceState, Phase},
};

use super::{Dossier, Gate};
use crate::display::{time::date, words};

/// In sentences, what puts the reader on guard.
pub(super) fn attention(dossier: &Dossier) -> Vec<String> {
    let mut all = Vec::new();
    if !dossier.finished {
        all.push(format!(
            "It is unfinished: this is what had happened by {} UTC, up to record {}.",
            date(dossier.as_of),
            dossier.records
        ));
    }
    all.extend(dossier.condemned.iter().map(|bad| format!("{} failed: {}", bad.by, bad.why)));
    all.extend(dossier.links().into_iter().map(|link| format!("It {link}.")));
    all.extend(dossier.gates.iter().flat_map(overridden));
    all.extend(dossier.once.iter().flat_map(|once| {
        once.resolved.iter().map(|said| {
            let done = matches!(said.verb, Some(Verb::Resolve { done: true, .. }));
            let as_what = if done { "done" } else { "not done" };
            let reason = said.reason.as_deref().unwrap_or("no reason is given");
            format!(
                "{} counts as {as_what} because {} said so, not because a host did: {reason}",
                once.name, said.by
            )
        })
    }));
    let unknown = dossier.once.iter().filter(|once| once.state == OnceState::Unknown);
    all.extend(unknown.map(|once| format!("Nobody knows whether {} was done.", once.name)));
    let accepted = dossier.once.iter().filter(|once| {
        let last = once.runs.last().and_then(|run| run.outcome.as_ref());
        let failed = last.is_some_and(|outcome| !outcome.result.is_done());
        once.state == OnceState::Done && failed && once.resolved.is_empty()
    });
    all.extend(
        accepted.map(|once| format!("{} failed, and a person went on in spite of it.", once.name)),
    );
    all.extend(database(dossier));
    for host in &dossier.hosts {
        let mut evidence =
            host.runs.iter().filter_map(|run| run.outcome.as_ref()?.evidence.as_ref());
        if evidence.any(|evidence| matches!(evidence, Evidence::Reverted { .. })) {
            all.push(format!("{} went back by itself: its dead-man's switch fired.", host.name));
        }
    }
    let in_phase = |phase| {
        let names: Vec<_> =
            dossier.hosts.iter().filter(|h| h.phase == phase).map(|h| &h.name).collect();
        (!names.is_empty()).then(|| words::names(&names, 8))
    };
    all.extend(in_phase(Phase::Failed).map(|names| format!("Failed: {names}.")));
    all.extend(in_phase(Phase::Unreachable).map(|names| format!("Out of reach: {names}.")));
    all.extend(in_phase(Phase::Stopped).map(|names| format!("Given up half-way: {names}.")));
    all.extend(in_phase(Phase::Skipped).map(|names| format!("Left out by a person: {names}.")));
    all
}

fn overridden(gate: &Gate) -> Vec<String> {
    let says = match gate.answers.last() {
        Some(last) => format!("it says {}: {}", last.answer.answer, last.answer.why),
        None => "it never answered".to_owned(),
    };
    let one = |said: &super::Override| {
        let reason = said.reason.as_deref().unwrap_or("no reason is given");
        format!(
            "OVERRIDDEN: {} went on in spite of the gate {} ({says}): {reason}",
            said.by, gate.gate
        )
    };
    gate.overrides.iter().map(one).collect()
}

/// Where data is, or may be, lost.
fn database(dossier: &Dossier) -> Option<String> {
    match &dossier.database.as_ref()?.way {
        Way::Code => None,
        Way::Restore => {
            Some("The backup is restored: what was written since it was made is lost.".to_owned())
        }
        Way::Downgrade { migrations } => {
            let lossy: Vec<_> = migrations
                .iter()
                .filter(|m| m.kind == MigrationKind::Irreversible)
                .map(|m| &m.name)
                .collect();
            (!lossy.is_empty()).then(|| {
                format!(
                    "Migrations are taken back although that loses data: {}.",
                    words::names(&lossy, 8)
                )
            })
        }
    }
}

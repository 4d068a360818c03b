//! Numbers with their nouns, and states with their colours.

use anstyle::Style;
use dv_types::{
    Evidence,
    plan::{Kind, WaveKind},
    record::Verdict,
    report::{Phase, Report, State, Totals},
};

use super::line::{bad, busy, faint, good, warning};

/// `1 host`, `3 hosts`
pub(crate) fn count(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

/// `1 host`, `3 hosts`
pub(crate) fn hosts(n: u32) -> String {
    count(n as usize, "host")
}

/// `web1, web2 and 3 more`
pub(crate) fn names<T: ToString>(all: &[T], most: usize) -> String {
    let shown: Vec<String> = all.iter().take(most).map(ToString::to_string).collect();
    let left = all.len().saturating_sub(most);
    if left == 0 { shown.join(", ") } else { format!("{} and {left} more", shown.join(", ")) }
}

/// `2 healthy, 1 working, 2 pending`: those that are not none.
pub(crate) fn totals(totals: &Totals) -> String {
    let all = [
        (totals.healthy, "healthy"),
        (totals.working, "working"),
        (totals.pending, "pending"),
        (totals.failed, "failed"),
        (totals.unreachable, "unreachable"),
        (totals.skipped, "skipped"),
        (totals.stopped, "stopped"),
    ];
    let shown: Vec<String> =
        all.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
    if shown.is_empty() { "no hosts".to_owned() } else { shown.join(", ") }
}

/// `app v2`, `app: rollback of r41 (v2)`
pub(crate) fn subject(report: &Report) -> String {
    match report.kind {
        Kind::Forward => format!("{} {}", report.service, report.version),
        Kind::Reversal { .. } | Kind::CatchUp { .. } => {
            format!("{}: {} ({})", report.service, report.kind, report.version)
        }
    }
}

/// What a wave is called: `canary`, `batch 2`.
pub(crate) fn wave(number: usize, kind: WaveKind) -> String {
    match kind {
        WaveKind::Canary => "canary".to_owned(),
        WaveKind::Batch => format!("batch {number}"),
    }
}

/// A rollout's state in words and colour.
pub(crate) fn state(state: &State) -> (Style, String) {
    match state {
        State::Running => (busy(), "running".to_owned()),
        State::AwaitingPromotion => (warning(), "the canary waits to be promoted".to_owned()),
        State::Paused(why) => (warning(), format!("paused: {why}")),
        State::Ending(verdict) => (warning(), format!("ending: {verdict}")),
        State::Ended(verdict) => (verdict_style(*verdict), verdict.to_string()),
    }
}

/// A verdict's colour.
pub(crate) const fn verdict_style(verdict: Verdict) -> Style {
    match verdict {
        Verdict::Succeeded => good(),
        Verdict::Failed => bad(),
        Verdict::Aborted => warning(),
    }
}

/// A phase's colour.
pub(crate) const fn phase(phase: Phase) -> Style {
    match phase {
        Phase::Pending | Phase::Skipped => faint(),
        Phase::Working => busy(),
        Phase::Healthy => good(),
        Phase::Failed => bad(),
        Phase::Unreachable | Phase::Stopped => warning(),
    }
}

/// What an operation found, in a few words, where that is worth some.
pub(crate) fn evidence(evidence: &Evidence) -> Option<String> {
    match evidence {
        Evidence::Backup { size, sha256, file, .. } => {
            let file = file.as_ref().map(|file| format!("{file}, ")).unwrap_or_default();
            let sum = sha256.as_ref().map(|sum| format!(", sha256 {}", &sum[..sum.len().min(12)]));
            Some(format!("{file}{size} bytes{}", sum.unwrap_or_default()))
        }
        Evidence::Schema { before, after, changed } => {
            let head = |head: &Option<String>| head.clone().unwrap_or_else(|| "empty".to_owned());
            let names: Vec<_> = changed.iter().map(ToString::to_string).collect();
            let names =
                if names.is_empty() { String::new() } else { format!(": {}", names.join(", ")) };
            Some(format!("schema {} to {}{names}", head(before), head(after)))
        }
        Evidence::Smoke { requests } => Some(requests.join(", ")).filter(|all| !all.is_empty()),
        _ => None,
    }
}

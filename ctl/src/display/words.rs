//! Numbers with their nouns, and states with their colours.

use anstyle::Style;
use dv_types::{
    Evidence,
    plan::{Kind, WaveKind},
    record::Verdict,
    report::{Phase, Report, State, Totals},
};

use super::{
    line::{bad, busy, faint, good, warning},
    time::clock,
};

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
            let sum = sha256.as_ref().map(|sum| format!(", sha256 {}", short(sum)));
            Some(format!("{file}{}{}", bytes(*size), sum.unwrap_or_default()))
        }
        Evidence::Schema { before, after, changed, omitted } => {
            let head = |head: &Option<String>| head.clone().unwrap_or_else(|| "empty".to_owned());
            let mut names: Vec<_> = changed.iter().map(ToString::to_string).collect();
            names.extend((*omitted > 0).then(|| format!("and {omitted} more")));
            if before == after && changed.is_empty() {
                return Some(format!("schema stays at {}", head(after)));
            }
            let names =
                if names.is_empty() { String::new() } else { format!(": {}", names.join(", ")) };
            Some(format!("schema {} to {}{names}", head(before), head(after)))
        }
        Evidence::Smoke { requests } => Some(requests.join(", ")).filter(|all| !all.is_empty()),
        Evidence::Armed { until } => {
            Some(format!("goes back by itself at {} UTC unless confirmed", clock(*until)))
        }
        Evidence::Reverted { at, complete: true } => {
            Some(format!("it went back by itself at {} UTC", clock(*at)))
        }
        Evidence::Reverted { at, complete: false } => Some(format!(
            "it began to go back by itself at {} UTC, and did not get through",
            clock(*at)
        )),
        _ => None,
    }
}

/// The beginning of a checksum, long enough to compare by eye.
fn short(sum: &str) -> String {
    match sum.char_indices().nth(12) {
        Some((end, _)) => format!("{}…", &sum[..end]),
        None => sum.to_owned(),
    }
}

/// `812 bytes`, `1.2 MiB`
pub(crate) fn bytes(size: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut value = size as f64 / 1024.0;
    let mut unit = 0;
    if size < 1024 {
        return count(size as usize, "byte");
    }
    // What would be printed as 1024.0 of a unit is one of the next.
    while value >= 1023.95 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", units[unit])
}

/// A share as percent: `0 %`, `0.04 %`, `5.2 %`, `100 %`
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        p if p <= 0.0 => "0 %".to_owned(),
        p if p < 0.01 => "<0.01 %".to_owned(),
        p if p < 0.995 => format!("{p:.2} %"),
        p if p < 99.95 => format!("{p:.1} %"),
        p => format!("{p:.0} %"),
    }
}

/// A latency: `0.4 ms`, `120 ms`, `2.5 s`
pub(crate) fn seconds(seconds: f64) -> String {
    let millis = seconds * 1000.0;
    match millis {
        m if m < 9.95 => format!("{m:.1} ms"),
        m if m < 999.5 => format!("{m:.0} ms"),
        _ => format!("{seconds:.1} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_short_at_every_size() {
        for (size, text) in [
            (0, "0 bytes"),
            (1, "1 byte"),
            (1_023, "1023 bytes"),
            (1_024, "1.0 KiB"),
            (1_048_575, "1.0 MiB"),
            (1_258_291, "1.2 MiB"),
            (u64::MAX, "16384.0 PiB"),
        ] {
            assert_eq!(bytes(size), text);
        }
        let shares = [0.0, 0.000_05, 0.0004, 0.052, 0.9999, 1.0].map(percent);
        assert_eq!(shares, ["0 %", "<0.01 %", "0.04 %", "5.2 %", "100 %", "100 %"]);
        assert_eq!(
            [0.0004, 0.12, 0.9999, 2.5].map(seconds),
            ["0.4 ms", "120 ms", "1.0 s", "2.5 s"]
        );
    }

    #[test]
    fn a_checksum_that_is_none_is_cut_between_characters() {
        let said = |sum: &str| {
            evidence(&Evidence::Backup {
                size: 812,
                created: None,
                sha256: Some(sum.to_owned()),
                file: None,
            })
        };
        assert_eq!(
            said(&"é".repeat(20)).unwrap(),
            format!("812 bytes, sha256 {}…", "é".repeat(12))
        );
        assert_eq!(said("abc").unwrap(), "812 bytes, sha256 abc");
    }
}

//! What happens beside the hosts' own steps: gates, what happens once, the database, the monitor.

use dv_types::{
    Evidence, Timestamp,
    gate::Answer,
    monitor::{MonitorVerdict, Seen},
    report::{GateReport, MonitorReport, OnceReport, OnceState, Report, State},
};

use super::{
    frame::Sayings,
    line::{Line, bad, faint, good, strong, warning},
    plan,
    time::{between, clock, length},
    words,
};

/// All of it, one line for each.
pub(crate) fn lines(report: &Report, now: Timestamp) -> Vec<Line> {
    let over = matches!(report.state, State::Ended(_));
    let mut lines = gates(report, over);
    lines.extend(report.database.as_ref().map(|database| {
        Line::of(strong(), "database").plain(": ").plain(plan::database(database))
    }));
    lines.extend(report.once.iter().map(|one| once(one, None, over, now)));
    // Where a host said what it migrated, its own line has the names.
    let told = report.once.iter().any(|o| matches!(o.evidence, Some(Evidence::Schema { .. })));
    if !told && !report.migrations.is_empty() {
        let names: Vec<_> = report.migrations.iter().map(ToString::to_string).collect();
        lines.push(Line::of(strong(), "migrations").plain(format!(": {}", names.join(", "))));
    }
    lines.extend(report.monitor.iter().map(|one| monitor(one, over)));
    lines
}

/// What of it is under way, or stopped the rollout: what passed is passed over.
pub(crate) fn under_way(report: &Report, sayings: &Sayings, now: Timestamp) -> Vec<Line> {
    let mut lines = Vec::new();
    // Once a wave has begun, the gates are behind it.
    if report.wave.0 == 0 {
        lines.extend(gates(report, false));
    }
    let matters = |once: &&OnceReport| !matches!(once.state, OnceState::Pending | OnceState::Done);
    let last = report.once.iter().rev().find(|once| once.state == OnceState::Done);
    let shown = report.once.iter().filter(|once| matters(once) || last == Some(*once));
    lines.extend(shown.map(|one| {
        let saying = one.host.as_ref().and_then(|host| sayings.get(host));
        once(one, saying, false, now)
    }));
    lines.extend(report.monitor.last().map(|one| monitor(one, false)));
    lines
}

/// Those that pass share a line; the others have one each.
fn gates(report: &Report, over: bool) -> Vec<Line> {
    let passes = |gate: &&GateReport| {
        gate.overridden.is_none()
            && gate.answer.as_ref().is_some_and(|answer| answer.answer == Answer::Pass)
    };
    let names: Vec<_> = report.gates.iter().filter(passes).map(|gate| &gate.gate).collect();
    let mut lines = Vec::new();
    if !names.is_empty() {
        lines.push(
            Line::of(strong(), "gates")
                .plain(": ")
                .add(good(), "pass")
                .plain(format!(": {}", words::names(&names, 20))),
        );
    }
    lines.extend(report.gates.iter().filter(|gate| !passes(gate)).map(|gate| one_gate(gate, over)));
    lines
}

fn one_gate(gate: &GateReport, over: bool) -> Line {
    let line = Line::of(strong(), format!("gate {}", gate.gate)).plain(": ");
    let line = match &gate.overridden {
        Some(by) => line.add(bad(), format!("OVERRIDDEN by {by}")).plain("; it says "),
        None => line,
    };
    match &gate.answer {
        None if gate.overridden.is_some() || over => line.add(faint(), "nothing"),
        None => line.add(faint(), "no answer yet"),
        Some(answer) => {
            let style = match answer.answer {
                Answer::Pass => good(),
                Answer::Fail => bad(),
                Answer::CannotTell => warning(),
            };
            line.add(style, answer.answer.to_string()).plain(format!(": {}", answer.why))
        }
    }
}

/// `backup: done on web1 in 2.0s; 1.2 MiB, sha256 9f86d081884c…`
fn once(once: &OnceReport, saying: Option<&String>, over: bool, now: Timestamp) -> Line {
    let line = Line::of(strong(), &once.name).plain(": ");
    let on = once.host.as_ref().map(|host| format!(" on {host}")).unwrap_or_default();
    let refused = once.result.as_ref().filter(|result| !result.is_done());
    let found = once.evidence.as_ref().and_then(words::evidence);
    let found = found.map(|found| format!("; {found}")).unwrap_or_default();
    match (once.state, &once.resolved_by) {
        (OnceState::Pending, Some(by)) => line.add(warning(), format!("not done, says {by}")),
        (OnceState::Pending, None) if over => line.add(faint(), "not done"),
        (OnceState::Pending, None) => line.add(faint(), "not yet"),
        (OnceState::Working, _) => {
            let since = once
                .since
                .map(|since| format!(" for {}, since {} UTC", between(since, now), clock(since)));
            let line =
                line.add(warning(), "working").plain(format!("{on}{}", since.unwrap_or_default()));
            match saying {
                Some(saying) => line.add(faint(), format!(": {saying}")),
                None => line,
            }
        }
        (OnceState::Done, Some(by)) => {
            let line = line.add(warning(), format!("counts as done, says {by}"));
            match refused {
                Some(result) => line.plain(format!("; {result}{on}")),
                None => line.plain(found),
            }
        }
        (OnceState::Done, None) => {
            let took = once.took.map(|took| format!(" in {}", length(took))).unwrap_or_default();
            line.add(good(), "done").plain(format!("{on}{took}{found}"))
        }
        (OnceState::Failed, _) => {
            let why = refused.map_or_else(|| "failed".to_owned(), ToString::to_string);
            let on = once.host.as_ref().map(|host| format!(" (on {host})")).unwrap_or_default();
            line.add(bad(), why).plain(format!("{on}{found}"))
        }
        (OnceState::Unknown, _) => {
            let line =
                line.add(bad(), "unknown").plain(format!(": nobody knows whether it was done{on}"));
            match once.since {
                Some(since) => line.plain(format!(", commanded at {} UTC", clock(since))),
                None => line,
            }
        }
    }
}

/// `monitor of the canary: until 12:03:10 UTC, 14 samples; last: 0.1 % of 1240 requests failed, 99 % within 120 ms`
fn monitor(monitor: &MonitorReport, over: bool) -> Line {
    let line = Line::of(strong(), format!("monitor of the {}", monitor.watching)).plain(": ");
    let samples = words::count(monitor.samples as usize, "sample");
    match &monitor.judgement {
        Some(judgement) => {
            let style = match judgement.verdict {
                MonitorVerdict::Pass => good(),
                MonitorVerdict::Fail => bad(),
                MonitorVerdict::Inconclusive => warning(),
            };
            line.add(style, judgement.verdict.to_string()).plain(format!(": {}", judgement.why))
        }
        None if over => line.plain(format!("no verdict; {samples}")),
        None => {
            let line = line.plain(format!("until {} UTC, {samples}", clock(monitor.until)));
            let Some(last) = &monitor.last else { return line };
            let line = line.plain(format!("; last: {}", seen(&last.new)));
            match &last.old {
                Some(old) => line.add(faint(), format!("; old: {}", seen(old))),
                None => line,
            }
        }
    }
}

/// `0.1 % of 1240 requests failed, 99 % within 120 ms`
fn seen(seen: &Seen) -> String {
    let rate = if seen.requests > 0.0 {
        let requests = words::count(seen.requests.round() as usize, "request");
        format!("{} of {requests} failed", words::percent(seen.errors / seen.requests))
    } else {
        "no requests".to_owned()
    };
    match seen.latency_p99 {
        Some(latency) => format!("{rate}, 99 % within {}", words::seconds(latency)),
        None => rate,
    }
}

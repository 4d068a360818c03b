//! Why nothing is happening, and what would end the wait.

use dv_types::{
    HostName, Timestamp, WaitingOn,
    plan::Kind,
    record::{Condemner, PauseWhy},
    report::{Phase, Report, State},
};

use super::{
    line::{Line, faint, strong},
    next,
    time::{between, clock},
    words,
};

/// The answer, as sentences.
pub(crate) fn explain(report: &Report, now: Timestamp) -> Vec<Line> {
    let (style, state) = words::state(&report.state);
    let mut lines = vec![
        Line::of(strong(), format!("{} {}: ", report.rollout, words::subject(report)))
            .add(style, state)
            .plain(format!("; {}", words::totals(&report.totals))),
    ];
    if let State::Ended(_) = report.state {
        lines.push("It is over: it waits for nothing.".into());
        lines.extend(next::lines(report));
        return lines;
    }
    lines.push(Line::default());
    lines.push(Line::of(strong(), "The rollout"));
    lines.extend(report.waiting.iter().map(|w| item(sentence(w, report, now))));
    let hosts = by_host(report, now);
    if !hosts.is_empty() {
        lines.push(Line::default());
        lines.push(Line::of(strong(), "The hosts"));
        for (names, text) in hosts {
            lines.push(item(format!("{}: {text}", words::names(&names, 8))));
        }
    }
    lines
}

/// What each unfinished host waits on; those with the same answer share it.
fn by_host(report: &Report, now: Timestamp) -> Vec<(Vec<&HostName>, String)> {
    let mut answers: Vec<(Vec<&HostName>, String)> = Vec::new();
    for host in &report.hosts {
        let open = matches!(host.phase, Phase::Pending | Phase::Working | Phase::Unreachable);
        let text = match (&host.waiting, &host.why) {
            _ if !open => continue,
            (Some(waiting), _) => sentence(waiting, report, now),
            (None, Some(why)) => format!("{}: {why}.", host.phase),
            (None, None) => continue,
        };
        match answers.iter_mut().find(|(_, known)| *known == text) {
            Some((names, _)) => names.push(&host.name),
            None => answers.push((vec![&host.name], text)),
        }
    }
    answers
}

/// What is waited on, and what ends the wait.
pub(crate) fn sentence(waiting: &WaitingOn, report: &Report, now: Timestamp) -> String {
    let id = report.rollout;
    match waiting {
        WaitingOn::Operation { host, operation, since, until } => format!(
            "{host} has been doing `{operation}` for {}; it ends when that is done, and at {} UTC at the latest.",
            between(*since, now),
            clock(*until)
        ),
        WaitingOn::Reconnect { host, since, until } => format!(
            "{host} has been out of contact for {}; the wait ends when its agent comes back, and at {} UTC \
             at the latest, when it counts as unreachable.",
            between(*since, now),
            clock(*until)
        ),
        WaitingOn::Wave { wave } => {
            format!("the turn comes when batch {wave} has passed.")
        }
        WaitingOn::Slot { under_way, max_parallel } => format!(
            "{} under way, and max_parallel is {max_parallel}; the next begins when one of them is done.",
            are(*under_way)
        ),
        WaitingOn::MinAvailable { available, min_available } => format!(
            "{} available, and min_available is {min_available}; the next begins when more are: \
             a host that comes back into contact, gets well or is done makes one more.",
            are(*available)
        ),
        WaitingOn::Recovery { hosts, since, until } => format!(
            "nothing further is begun: {} turned bad after the update, {} ago; the wait ends when {} probes have \
             been good again for min_healthy_time, and a host that is bad for healthy_deadline has failed. \
             The next decision falls at {} UTC.",
            words::names(hosts, 8),
            between(*since, now),
            if hosts.len() == 1 { "its" } else { "their" },
            clock(*until)
        ),
        WaitingOn::Promotion => format!(
            "the canary is healthy and a person decides: `dvctl rollout promote {id}` lets the others begin, \
             `dvctl rollback {id}` takes the canary back."
        ),
        WaitingOn::Resume { why: why @ PauseWhy::OnceUnknown { once, .. } } => format!(
            "{why}; it is never done again by itself. A person looks, and says so: \
             `dvctl rollout resolve {id} {once} --as done|not-done --reason WHY`."
        ),
        WaitingOn::Resume { why: why @ PauseWhy::Gate { gate, .. } } => format!(
            "{why}; `dvctl rollout resume {id}` asks again, `dvctl rollout override {id} {gate} --reason WHY` goes on \
             in spite of it, `dvctl rollout abort {id}` ends it."
        ),
        WaitingOn::Resume { why: why @ PauseWhy::Condemned { by: Condemner::Once { once }, .. } } => format!(
            "it is paused, because {why}; a person looks, and says so: \
             `dvctl rollout resolve {id} {once} --as done|not-done --reason WHY`; `dvctl rollout abort {id}` leaves \
             every host as it is, `dvctl rollback {id}` takes the touched ones back."
        ),
        WaitingOn::Resume { why: why @ PauseWhy::Migrated { .. } } => format!(
            "it is paused, because {why}; a person decides: `dvctl rollback {id} --plan` shows the ways back and what \
             becomes of the database, `dvctl rollout resume {id}` goes on, `dvctl rollout abort {id}` leaves every \
             host as it is."
        ),
        WaitingOn::Resume { why } => {
            // A rollback is not rolled back.
            let back = match report.kind {
                Kind::Reversal { .. } => String::new(),
                _ => format!(", `dvctl rollback {id}` takes the touched ones back"),
            };
            format!(
                "it is paused, because {why}; a person decides: `dvctl rollout resume {id}` goes on, \
                 `dvctl rollout abort {id}` leaves every host as it is{back}."
            )
        }
        WaitingOn::Gates { gates } => format!(
            "the gates answer first: {}; each has its answer within a minute, or says that it can't tell.",
            gates.join(", ")
        ),
        WaitingOn::Once { once, host: Some(host) } => {
            let known = report.once.iter().find(|known| known.name == *once);
            let time = known.and_then(|known| known.since).map(|since| between(since, now));
            format!(
                "{host} has been doing {once}, which happens once{}; it ends when that is done, or by its time limit, \
                 and if {host} is lost meanwhile, a person says whether it was done.",
                time.map(|time| format!(", for {time}")).unwrap_or_default()
            )
        }
        WaitingOn::Once { once, host: None } => format!(
            "{once} happens once, and no host that may do it is in contact: see `dvctl hosts`."
        ),
        WaitingOn::Monitor { until } => format!(
            "error rate and latency are watched until {} UTC; it ends earlier if the version is plainly bad.",
            clock(*until)
        ),
        WaitingOn::Journal { why } => format!(
            "the coordinator could not read or write the journal when it tried last, and nothing is commanded until it \
             can; it tries again every half minute: {why}."
        ),
        WaitingOn::Settling { hosts } => format!(
            "nothing more is begun; it ends when {} finished what {} under way: {}.",
            if hosts.len() == 1 { "1 host has".to_owned() } else { format!("{} hosts have", hosts.len()) },
            if hosts.len() == 1 { "it has" } else { "they have" },
            words::names(hosts, 8)
        ),
        WaitingOn::Coordinator => {
            "the coordinator decides next, at once; should this last, ask for the state of dv-coordinator.".to_owned()
        }
    }
}

fn are(n: u32) -> String {
    if n == 1 { "1 host is".to_owned() } else { format!("{n} hosts are") }
}

fn item(text: String) -> Line {
    Line::of(faint(), "- ").plain(text)
}

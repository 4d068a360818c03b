//! The live picture of a rollout: a header, and a line for each host.

use std::collections::BTreeMap;

use dv_types::{
    HostName, Timestamp, WaitingOn,
    report::{HostReport, Phase, Report},
};

use super::{
    around,
    line::{Line, bad, faint, strong, warning},
    time::between,
    words,
};

/// What a host said last of the operation that it carries out.
pub(crate) type Sayings = BTreeMap<HostName, String>;

/// The lines to draw, none wider than `width`, no more than `height`.
pub(crate) fn frame(
    report: &Report,
    sayings: &Sayings,
    now: Timestamp,
    (width, height): (usize, usize),
) -> Vec<Line> {
    let mut lines = vec![header(report, now)];
    let foot = foot(report);
    // Of a low terminal the hosts get half at least.
    let mut around = around::under_way(report, sayings, now);
    around.truncate(height.saturating_sub(lines.len() + foot.len() + 1) / 2);
    lines.extend(around);
    let room = height.saturating_sub(lines.len() + foot.len() + 1).max(1);
    lines.extend(hosts(report, sayings, now, room));
    lines.extend(foot);
    lines.into_iter().map(|line| line.cut(width)).collect()
}

/// `r42 app v2  batch 2 of 4  running for 41s  2 healthy, 1 working, 2 pending`
fn header(report: &Report, now: Timestamp) -> Line {
    let (style, state) = words::state(&report.state);
    let (wave, waves) = report.wave;
    let time = between(report.began, report.ended.unwrap_or(now));
    Line::of(strong(), format!("{} {}", report.rollout, words::subject(report)))
        .plain(match wave {
            0 => "  not begun  ".to_owned(),
            wave => format!("  batch {wave} of {waves}  "),
        })
        .add(style, state)
        .plain(format!("  {time}  {}", words::totals(&report.totals)))
}

fn hosts(report: &Report, sayings: &Sayings, now: Timestamp, room: usize) -> Vec<Line> {
    let width = report.hosts.iter().map(|h| h.name.as_str().len()).max().unwrap_or(0);
    let line = |host: &&HostReport| host_line(host, sayings.get(&host.name), now, width);
    if report.hosts.len() <= room {
        return report.hosts.iter().map(|host| line(&host)).collect();
    }
    // Too many to show them all: what is wrong, then what is under way.
    let rank = |host: &&HostReport| match host.phase {
        Phase::Failed => Some(0),
        Phase::Unreachable | Phase::Stopped => Some(1),
        Phase::Working => Some(2),
        Phase::Pending | Phase::Healthy | Phase::Skipped => None,
    };
    let mut shown: Vec<&HostReport> = report.hosts.iter().filter(|h| rank(h).is_some()).collect();
    shown.sort_by_key(rank);
    shown.truncate(room - 1);
    let left = report.hosts.len() - shown.len();
    let mut lines: Vec<Line> = shown.iter().map(line).collect();
    lines.push(Line::of(faint(), format!("and {}", words::count(left, "more host"))));
    lines
}

fn host_line(host: &HostReport, saying: Option<&String>, now: Timestamp, width: usize) -> Line {
    let line = Line::of(strong(), host.name.as_str())
        .pad(width + 2)
        .add(words::phase(host.phase), format!("{:<11} ", host.phase));
    let line = if host.connected || host.phase == Phase::Unreachable {
        line
    } else {
        line.add(warning(), "out of contact; ")
    };
    match host.phase {
        Phase::Working => line.append(work(host, saying, now)),
        Phase::Healthy => line.append(change(host)),
        Phase::Failed => line.add(bad(), host.why.as_deref().unwrap_or_default()),
        _ => match (&host.why, &host.waiting) {
            (Some(why), _) => line.plain(why),
            (None, Some(waiting)) => line.add(faint(), format!("waits for {waiting}")),
            (None, None) => line,
        },
    }
}

/// `3/4 restart app.service 12s: what it says`
fn work(host: &HostReport, saying: Option<&String>, now: Timestamp) -> Line {
    let Some(step) = &host.step else {
        return host.waiting.as_ref().map_or_else(Line::default, waits);
    };
    let again = if host.attempt > 1 { format!(" attempt {}", host.attempt) } else { String::new() };
    let line = Line::from(format!("{}/{} {}{again} ", step.number, step.of, step.operation));
    let own =
        matches!(&host.waiting, Some(WaitingOn::Operation { host: h, .. }) if *h == host.name);
    if step.outstanding {
        let line = line.add(faint(), between(step.since, now));
        match (&host.waiting, saying) {
            (Some(waiting), _) if !own => line.plain("; ").append(waits(waiting)),
            (_, Some(saying)) => line.add(faint(), format!(": {saying}")),
            _ => line,
        }
    } else {
        let line = line.plain("done");
        match &host.waiting {
            Some(waiting) if !own => line.plain("; ").append(waits(waiting)),
            _ => line,
        }
    }
}

fn waits(waiting: &WaitingOn) -> Line {
    Line::of(faint(), format!("waits for {waiting}"))
}

/// `v1 → v2 in 12s`
fn change(host: &HostReport) -> Line {
    let from = host.from.as_ref().map_or("?", |v| v.as_str());
    let to = host.to.as_ref().map_or("what it ran before", |v| v.as_str());
    let time = match (host.began, host.ended) {
        (Some(began), Some(ended)) => format!(" in {}", between(began, ended)),
        _ => String::new(),
    };
    Line::of(faint(), format!("{from} → {to}{time}"))
}

/// What the rollout as a whole waits on, where the lines above don't say it.
fn foot(report: &Report) -> Vec<Line> {
    let beyond = |w: &&WaitingOn| {
        !matches!(
            w,
            WaitingOn::Operation { .. }
                | WaitingOn::Reconnect { .. }
                | WaitingOn::Coordinator
                | WaitingOn::Gates { .. }
                | WaitingOn::Once { host: Some(_), .. }
                | WaitingOn::Monitor { .. }
        )
    };
    report.waiting.iter().filter(beyond).take(3).map(waits).collect()
}

//! A release of several services: its plans, where it stands, and what it waits on.

use dv_types::{
    Plan, Release, Timestamp,
    release::{Course, Ending, MemberReport, MemberState, ReleaseReport},
};

use super::{
    line::{Line, bad, busy, faint, good, strong, warning},
    plan as one,
    table::Table,
    time::{between, date},
    words,
};
use anstyle::Style;

/// The plans of its members, in their order, and the hash of all together.
pub(crate) fn plan(release: &Release, plans: &[Plan], hash: &str) -> Vec<Line> {
    let services = words::count(plans.len(), "service");
    let title = format!("Release {} of {services}, each after what it names", release.name);
    let mut lines = vec![Line::of(strong(), title)];
    for (n, member) in release.members.iter().enumerate() {
        let after: Vec<_> = member.after.iter().map(ToString::to_string).collect();
        let after = match after.is_empty() {
            true => String::new(),
            false => format!(", after {}", after.join(" and ")),
        };
        lines.push(Line::from(format!(
            "  {}. {} {}{after}",
            n + 1,
            member.service(),
            member.version
        )));
    }
    for plan in plans {
        lines.push(Line::default());
        lines.extend(one::plan(plan, &plan.hash()));
    }
    lines.push(Line::default());
    lines.push(Line::of(faint(), "Release plan ").plain(hash));
    lines
}

/// Where it and its members stand.
pub(crate) fn status(report: &ReleaseReport, now: Timestamp) -> Vec<Line> {
    let (style, state) = state(report);
    let time = between(report.began, report.ended.unwrap_or(now));
    let mut lines = vec![
        Line::of(strong(), format!("{} {}: ", report.release, report.name)).add(style, state),
        Line::of(faint(), format!("started {} UTC by {}, {time}", date(report.began), report.by)),
        Line::default(),
    ];
    let mut table = Table::new(["SERVICE", "VERSION", "AFTER", "ROLLOUT", "BACK", "STATE"]);
    for member in &report.members {
        let (style, state) = member_state(&member.state);
        let id = |id: Option<dv_types::RolloutId>| {
            id.map_or_else(Line::default, |id| id.to_string().into())
        };
        let after: Vec<_> = member.after.iter().map(ToString::to_string).collect();
        table.row([
            Line::of(strong(), member.service.as_str()),
            member.version.as_str().into(),
            after.join(", ").into(),
            id(member.rollout),
            id(member.back),
            Line::of(style, state),
        ]);
    }
    lines.extend(table.lines());
    let next = next(report);
    if !next.is_empty() {
        lines.push(Line::default());
    }
    for (n, text) in next.iter().enumerate() {
        let heading = if n == 0 { Line::of(strong(), "Next: ") } else { Line::from("      ") };
        lines.push(heading.plain(text));
    }
    lines
}

/// Why nothing is happening, and what would end the wait.
pub(crate) fn explain(report: &ReleaseReport) -> Vec<Line> {
    let (style, state) = state(report);
    let mut lines =
        vec![Line::of(strong(), format!("{} {}: ", report.release, report.name)).add(style, state)];
    lines.extend(waiting(report).into_iter().map(Line::from));
    lines.extend(next(report).into_iter().map(Line::from));
    lines
}

/// What each member waits on, in words.
pub(crate) fn waiting(report: &ReleaseReport) -> Vec<String> {
    if report.ending.is_some() {
        return Vec::new();
    }
    report.members.iter().filter_map(|member| waits(report, member)).collect()
}

fn waits(report: &ReleaseReport, member: &MemberReport) -> Option<String> {
    let service = &member.service;
    let more = |id: Option<dv_types::RolloutId>| {
        id.map_or_else(String::new, |id| format!(": see dvctl rollout explain {id}"))
    };
    match &member.state {
        MemberState::Pending if report.course == Course::Forward => {
            let open: Vec<_> = (report.members.iter())
                .filter(|m| member.after.contains(&m.service) && !m.state.has_succeeded())
                .map(|m| m.service.to_string())
                .collect();
            Some(match open.is_empty() {
                true => format!("{service} begins when its hosts are in contact, or are given up"),
                false => format!("{service} waits until {} has succeeded", open.join(" and ")),
            })
        }
        MemberState::UnderWay(_) => Some(format!("{service} is under way{}", more(member.rollout))),
        MemberState::GoingBack(_) => Some(format!("{service} is taken back{}", more(member.back))),
        MemberState::Succeeded if matches!(report.course, Course::Back { .. }) => {
            Some(format!("{service} is taken back when all that came after it has gone back"))
        }
        _ => None,
    }
}

/// Releases, the newest first; nothing where there are none.
pub(crate) fn history(releases: &[ReleaseReport], now: Timestamp) -> Vec<Line> {
    if releases.is_empty() {
        return Vec::new();
    }
    let mut table =
        Table::new(["ID", "RELEASE", "SERVICES", "STARTED (UTC)", "BY", "TIME", "STATE"]);
    for report in releases {
        let (style, state) = state(report);
        let services: Vec<_> = report.members.iter().map(|m| &m.service).collect();
        table.row([
            Line::of(strong(), report.release.to_string()),
            report.name.as_str().into(),
            words::names(&services, 4).into(),
            date(report.began).into(),
            report.by.as_str().into(),
            between(report.began, report.ended.unwrap_or(now)).into(),
            Line::of(style, state),
        ]);
    }
    let mut lines = table.lines();
    lines.push(Line::default());
    lines
}

/// In one word, and why it is so.
pub(crate) fn state(report: &ReleaseReport) -> (Style, String) {
    let why = report.why.as_ref().map_or_else(String::new, |why| format!(": {why}"));
    let waits =
        || report.held.is_some() || report.members.iter().any(|m| m.state.waits_for_a_person());
    match (report.ending, &report.course) {
        (Some(Ending::Succeeded), _) => (good(), "succeeded".to_owned()),
        (Some(Ending::TakenBack), _) => (warning(), format!("taken back{why}")),
        (Some(Ending::Stopped), _) => (bad(), format!("stopped{why}")),
        (None, _) if waits() => (warning(), format!("waits for a person{why}")),
        (None, Course::Forward) => (busy(), "running".to_owned()),
        (None, Course::Back { .. }) => (warning(), format!("going back{why}")),
        (None, Course::Stopped | Course::Aborted) => (warning(), format!("ending{why}")),
    }
}

fn member_state(state: &MemberState) -> (Style, String) {
    match state {
        MemberState::Pending => (faint(), "pending".to_owned()),
        MemberState::UnderWay(state) => words::state(state),
        MemberState::Succeeded => (good(), "succeeded".to_owned()),
        MemberState::Unchanged => (good(), "succeeded, nothing to take back".to_owned()),
        MemberState::Failed { aborted: true, .. } => (warning(), "aborted".to_owned()),
        MemberState::Failed { .. } => (bad(), "failed".to_owned()),
        MemberState::GoingBack(None) => (warning(), "about to be taken back".to_owned()),
        MemberState::GoingBack(Some(state)) => {
            let (style, state) = words::state(state);
            (style, format!("is taken back: {state}"))
        }
        MemberState::Back => (warning(), "taken back".to_owned()),
        MemberState::LeftBehind { by } => (bad(), format!("not taken back: {by} did not succeed")),
    }
}

/// What a person can do next.
pub(crate) fn next(report: &ReleaseReport) -> Vec<String> {
    let id = report.release;
    let mut all: Vec<String> = report.held.iter().cloned().collect();
    for member in report.members.iter().filter(|m| m.state.waits_for_a_person()) {
        let rollout = match member.state {
            MemberState::GoingBack(_) => member.back,
            _ => member.rollout,
        };
        if let Some(rollout) = rollout {
            all.push(format!(
                "{} waits for a person: dvctl rollout explain {rollout}",
                member.service
            ));
        }
    }
    let changed = report.members.iter().any(|m| m.touched && m.state != MemberState::Back);
    match report.ending {
        None => {
            all.push(format!("It ends, and every host stays as it is: dvctl rollout abort {id}"));
            if !matches!(report.course, Course::Back { .. }) {
                all.push(format!("All of it goes back: dvctl rollback {id}"));
            }
        }
        Some(Ending::TakenBack) => {}
        Some(_) if changed => all.push(format!("All of it goes back: dvctl rollback {id}")),
        Some(_) => {}
    }
    all
}

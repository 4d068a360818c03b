//! What happened, told at the end: per host what ran, how long, from what to what.

use dv_types::{
    HostName, Plan, Version,
    plan::Kind,
    record::Verdict,
    report::{HostReport, Phase, Report, State},
};

use super::{
    around,
    line::{Line, bad, faint, strong},
    next,
    story::{HostStory, Story},
    table::Table,
    time::{between, length},
    words,
};

/// More hosts than this, and those that went well are only counted.
const MANY: usize = 50;

/// Lines of output that are shown of a host that failed.
const TAIL: usize = 10;

/// The summary of a rollout that was followed.
pub(crate) fn summary(report: &Report, story: &Story) -> Vec<Line> {
    let mut lines = vec![Line::default(), head(report)];
    let around = around::lines(report, report.ended.unwrap_or(report.began));
    if !around.is_empty() {
        lines.extend(around.into_iter().map(|line| Line::from("  ").append(line)));
        lines.push(Line::default());
    }
    lines.extend(table(report, story));
    for host in &report.hosts {
        lines.extend(failure(host, story));
    }
    lines.extend(left(&story.plan));
    // What is taken back by itself leaves nothing to do: the way back is shown next.
    let next = if report.rollback { Vec::new() } else { next::lines(report) };
    if !next.is_empty() {
        lines.push(Line::default());
        lines.extend(next);
    }
    lines
}

fn head(report: &Report) -> Line {
    let (style, state) = words::state(&report.state);
    let time = report.ended.map(|e| format!(" after {}", between(report.began, e)));
    let line = Line::of(strong(), format!("{} {}: ", report.rollout, words::subject(report)))
        .add(style, state)
        .plain(time.unwrap_or_default())
        .plain(format!("; {}", words::totals(&report.totals)));
    match report.state {
        State::Ended(Verdict::Succeeded) => line,
        _ => line.plain(format!("; {} touched", words::hosts(report.totals.touched))),
    }
}

fn table(report: &Report, story: &Story) -> Vec<Line> {
    let mut table = Table::new(["  HOST", "RESULT", "TIME", "FROM", "TO", "RAN"]);
    let many = report.hosts.len() > MANY;
    let boring = |h: &&HostReport| matches!(h.phase, Phase::Healthy | Phase::Pending);
    let shown = report.hosts.iter().filter(|h| !many || !boring(h)).take(MANY);
    let mut rows = 0;
    for host in shown {
        rows += 1;
        let time = match (host.began, host.ended) {
            (Some(began), Some(ended)) => between(began, ended),
            _ => String::new(),
        };
        let to = if host.touched { host.to.as_ref() } else { None };
        table.row([
            Line::from("  ").plain(host.name.as_str()),
            Line::of(words::phase(host.phase), host.phase.to_string()),
            time.into(),
            version(host.from.as_ref()),
            match (to, host.touched, &report.kind) {
                (None, true, Kind::Reversal { .. }) => "as before".into(),
                (to, ..) => version(to),
            },
            ran(story.host(&host.name)),
        ]);
    }
    let mut lines = if rows > 0 { table.lines() } else { Vec::new() };
    if rows < report.hosts.len() {
        let rest = words::count(report.hosts.len() - rows, "host");
        lines.push(Line::of(faint(), format!("  and {rest} more, which need no word")));
    }
    lines
}

fn version(version: Option<&Version>) -> Line {
    version.map_or_else(Line::default, |v| v.as_str().into())
}

/// `pull r/app:v2 3.1s, restart app.service 0.4s`
fn ran(host: Option<&HostStory>) -> Line {
    let runs = host.map_or(&[][..], |host| host.runs.as_slice()).iter();
    let runs: Vec<String> = runs
        .map(|run| match &run.outcome {
            Some(outcome) => format!("{} {}", run.operation, length(outcome.took)),
            None => format!("{} (no outcome)", run.operation),
        })
        .collect();
    Line::of(faint(), runs.join(", "))
}

/// Why a host failed, and the end of what its last command printed.
fn failure(host: &HostReport, story: &Story) -> Vec<Line> {
    if !matches!(host.phase, Phase::Failed | Phase::Unreachable | Phase::Stopped) {
        return Vec::new();
    }
    let why = host.why.as_deref().unwrap_or("given up because the rollout ended");
    let mut lines = vec![
        Line::default(),
        Line::of(bad(), format!("{} {}: ", host.name, host.phase)).plain(why),
    ];
    lines.extend(output(&host.name, story));
    lines
}

/// Touched hosts that a rollback can't take back, and why.
pub(crate) fn left(plan: &Plan) -> Vec<Line> {
    let one = |(host, why)| [Line::default(), Line::of(bad(), format!("{host} ")).plain(why)];
    plan.left_as_they_are().flat_map(one).collect()
}

fn output(host: &HostName, story: &Story) -> Vec<Line> {
    let Some(outcome) = story.host(host).and_then(HostStory::failure) else { return Vec::new() };
    let all: Vec<&str> = outcome.output.tail.trim_end().lines().collect();
    let skipped = all.len().saturating_sub(TAIL);
    let mut lines = Vec::new();
    if skipped > 0 || outcome.output.dropped > 0 {
        lines.push(Line::of(faint(), "  | …"));
    }
    lines.extend(all[skipped..].iter().map(|text| Line::of(faint(), "  | ").plain(text)));
    lines
}

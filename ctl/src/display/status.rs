//! Where a rollout stands, as a table.

use dv_types::{
    Plan, Timestamp, WaitingOn,
    report::{HostReport, Phase, Report},
};

use super::{
    around,
    line::{Line, bad, faint, good, strong, warning},
    next, summary,
    table::Table,
    time::{between, date},
    words,
};

/// The report.
pub(crate) fn status(report: &Report, plan: &Plan, now: Timestamp) -> Vec<Line> {
    let (style, state) = words::state(&report.state);
    let time = between(report.began, report.ended.unwrap_or(now));
    let wave = match report.wave {
        (0, _) => "not begun".to_owned(),
        (wave, waves) => format!("batch {wave} of {waves}"),
    };
    let mut lines = vec![
        Line::of(strong(), format!("{} {}: ", report.rollout, words::subject(report)))
            .add(style, state),
        Line::of(
            faint(),
            format!("started {} UTC by {}, {time}; {wave}", date(report.began), report.by),
        ),
        Line::from(format!(
            "{}; {} available, {} touched",
            words::totals(&report.totals),
            report.totals.available,
            report.totals.touched
        )),
        Line::default(),
    ];
    let around = around::lines(report, now);
    if !around.is_empty() {
        lines.extend(around);
        lines.push(Line::default());
    }
    let mut table =
        Table::new(["HOST", "BATCH", "PHASE", "CONTACT", "HEALTH", "STEP", "FROM", "TO", "WHY"]);
    for host in &report.hosts {
        table.row(row(host, now));
    }
    if !report.hosts.is_empty() {
        lines.extend(table.lines());
    }
    for waiting in &report.waiting {
        lines.push(Line::of(faint(), format!("waits for {waiting}")));
    }
    lines.extend(summary::left(plan));
    lines.push(Line::default());
    lines.extend(next::lines(report));
    lines
}

fn row(host: &HostReport, now: Timestamp) -> Vec<Line> {
    let version = |v: &Option<dv_types::Version>| {
        v.as_ref().map_or_else(Line::default, |v| v.as_str().into())
    };
    let step = host.step.as_ref().map_or_else(Line::default, |step| {
        let time = match host.phase {
            Phase::Working if step.outstanding => format!(" {}", between(step.since, now)),
            _ => String::new(),
        };
        format!("{}/{} {}{time}", step.number, step.of, step.operation).into()
    });
    let why = match (&host.why, &host.waiting) {
        (Some(why), _) => Line::from(why.as_str()),
        // The step says it.
        (None, Some(WaitingOn::Operation { host: own, .. })) if *own == host.name => {
            Line::default()
        }
        (None, Some(waiting)) => Line::of(faint(), format!("waits for {waiting}")),
        (None, None) => Line::default(),
    };
    vec![
        Line::of(strong(), host.name.as_str()),
        host.wave.to_string().into(),
        Line::of(words::phase(host.phase), host.phase.to_string()),
        if host.connected { "yes".into() } else { Line::of(warning(), "no") },
        match host.good {
            Some(true) => Line::of(good(), "good"),
            Some(false) => Line::of(bad(), "bad"),
            None => Line::of(faint(), "unknown"),
        },
        step,
        version(&host.from),
        version(&host.to),
        why,
    ]
}

//! Rollouts, the newest first.

use dv_types::{
    Timestamp,
    plan::Kind,
    report::{Report, State},
};

use super::{
    line::{Line, strong},
    table::Table,
    time::{between, date},
    words,
};

/// One line for each.
pub(crate) fn history(rollouts: &[Report], now: Timestamp) -> Vec<Line> {
    if rollouts.is_empty() {
        return vec!["There are no rollouts yet.".into()];
    }
    let mut table = Table::new([
        "ID",
        "SERVICE",
        "VERSION",
        "WHAT",
        "STARTED (UTC)",
        "BY",
        "TIME",
        "HOSTS",
        "STATE",
    ]);
    for report in rollouts {
        let (style, mut state) = words::state(&report.state);
        if let (State::Ended(_), Some(by)) = (&report.state, report.reversed_by) {
            state = format!("{state}, taken back by {by}");
        }
        let what = match report.kind {
            Kind::Forward => String::new(),
            Kind::Reversal { .. } | Kind::CatchUp { .. } => report.kind.to_string(),
        };
        table.row([
            Line::of(strong(), report.rollout.to_string()),
            report.service.as_str().into(),
            report.version.as_str().into(),
            what.into(),
            date(report.began).into(),
            report.by.as_str().into(),
            between(report.began, report.ended.unwrap_or(now)).into(),
            words::totals(&report.totals).into(),
            Line::of(style, state),
        ]);
    }
    table.lines()
}

//! What a person can do next.

use dv_types::{
    gate::Answer,
    plan::Kind,
    record::{Condemner, PauseWhy, Verdict},
    report::{GateReport, OnceState, Phase, Report, State},
};

use super::{
    line::{Line, strong},
    words,
};

/// The next thing to do, as lines under a heading.
pub(crate) fn lines(report: &Report) -> Vec<Line> {
    let heading = |n| if n == 0 { Line::of(strong(), "Next: ") } else { Line::from("      ") };
    next(report).iter().enumerate().map(|(n, text)| heading(n).plain(text)).collect()
}

/// The next thing to do, as sentences with the commands to type.
pub(crate) fn next(report: &Report) -> Vec<String> {
    let id = report.rollout;
    match &report.state {
        State::AwaitingPromotion => vec![
            format!("The other hosts begin: dvctl rollout promote {id}"),
            format!("The canary goes back: dvctl rollback {id}"),
        ],
        State::Paused(PauseWhy::OnceUnknown { once, .. }) => vec![
            format!("Look whether {once} was done, and say so:"),
            format!("dvctl rollout resolve {id} {once} --as done|not-done --reason WHY"),
            format!("It ends, and every host stays as it is: dvctl rollout abort {id}"),
        ],
        // Going on does not answer whether it was done.
        State::Paused(PauseWhy::Condemned { by: Condemner::Once { once }, .. }) => vec![
            format!("Look whether {once} was done, or try it again:"),
            format!("dvctl rollout resolve {id} {once} --as done|not-done --reason WHY"),
            format!("It ends, and every host stays as it is: dvctl rollout abort {id}"),
            format!("It ends, and every touched host goes back: dvctl rollback {id}"),
        ],
        State::Paused(PauseWhy::Gate { gate, .. }) => vec![
            format!("The gate is asked again: dvctl rollout resume {id}"),
            format!("It goes on in spite of it: dvctl rollout override {id} {gate} --reason WHY"),
            format!("It ends: dvctl rollout abort {id}"),
        ],
        State::Paused(PauseWhy::Migrated { .. }) => vec![
            format!(
                "See the ways back, and what becomes of the database: dvctl rollback {id} --plan"
            ),
            format!("It goes on, and failures so far are forgiven: dvctl rollout resume {id}"),
            format!("It ends, and every host stays as it is: dvctl rollout abort {id}"),
        ],
        State::Paused(_) => {
            let mut all = vec![format!(
                "It goes on, and failures so far are forgiven: dvctl rollout resume {id}"
            )];
            if let Some(host) = report.hosts.iter().find(|h| h.phase == Phase::Failed) {
                all.push(format!(
                    "A failed host is tried again: dvctl rollout retry {id} {}",
                    host.name
                ));
            }
            all.push(format!("It ends, and every host stays as it is: dvctl rollout abort {id}"));
            if report.kind == Kind::Forward {
                all.push(format!("It ends, and every touched host goes back: dvctl rollback {id}"));
            }
            all
        }
        State::Running | State::Ending(_) => {
            vec![format!("Follow it: dvctl rollout watch {id}")]
        }
        State::Ended(verdict) => ended(report, *verdict),
    }
}

fn ended(report: &Report, verdict: Verdict) -> Vec<String> {
    let touched = report.totals.touched;
    let forward = report.kind == Kind::Forward;
    let mut all = Vec::new();
    match (verdict, report.rollback || report.reversed_by.is_some()) {
        (_, true) => all.push(match report.reversed_by {
            Some(by) => format!("Its hosts are taken back by {by}: dvctl rollout status {by}"),
            None => format!("Its hosts are taken back: dvctl rollout history {}", report.service),
        }),
        (Verdict::Succeeded, false) => {
            all.extend(left_out(report));
            all.extend(follows(report));
            if let Kind::Reversal { .. } = report.kind {
                all.push(format!(
                    "{} counts as bad now: starting it again needs --force and --reason",
                    report.version
                ));
            }
            if forward {
                all.push(format!("Should it have to go back: dvctl rollback {}", report.service));
            }
        }
        (_, false) if touched == 0 && forward && !report.migrations.is_empty() => all.push(format!(
            "No host was touched, but the database was migrated: see the ways back: dvctl rollback {} --plan",
            report.rollout
        )),
        (_, false) if touched == 0 && !matches!(report.kind, Kind::Reversal { .. }) => {
            all.push("No host was touched: put right what failed, and start it again.".to_owned());
            let failed = |gate: &&GateReport| {
                let answer = gate.answer.as_ref().map(|answer| answer.answer);
                gate.overridden.is_none() && answer == Some(Answer::Fail)
            };
            all.extend(report.gates.iter().find(failed).map(|gate| {
                format!(
                    "In spite of the gate: dvctl rollout start … --override {} --reason WHY",
                    gate.gate
                )
            }));
        }
        (_, false) if forward => all.push(format!(
            "What was changed stays ({} touched): dvctl rollback {} takes it back",
            words::hosts(touched),
            report.rollout
        )),
        (_, false) => {
            let open: Vec<_> = report
                .hosts
                .iter()
                .filter(|h| h.phase != Phase::Healthy)
                .map(|h| &h.name)
                .collect();
            let unproven = report.once.iter().find(|once| once.state == OnceState::Failed);
            all.push(match report.kind {
                Kind::Reversal { .. }
                    if let (Some(once), true) = (unproven, open.is_empty() && !report.hosts.is_empty()) =>
                {
                    format!(
                        "Every host is back, and {} fails there as well: look at the service itself",
                        once.name
                    )
                }
                Kind::Reversal { .. } if verdict == Verdict::Failed && open.is_empty() => format!(
                    "Nothing takes these hosts off {}: put them right by hand, or start a version that works there: \
                     dvctl rollout start",
                    report.version
                ),
                Kind::Reversal { of } => format!(
                    "Not every host went back: look at {}, then try again: dvctl rollback {of}",
                    words::names(&open, 8)
                ),
                _ => format!("Look at {} by hand.", words::names(&open, 8)),
            });
        }
    }
    all
}

/// What becomes of hosts that were out of reach.
fn follows(report: &Report) -> Option<String> {
    let away = report.hosts.iter().any(|host| host.phase == Phase::Unreachable);
    away.then(|| "What was out of reach follows by itself when it is back.".to_owned())
}

/// Hosts that a rollout that succeeded went by.
fn left_out(report: &Report) -> Option<String> {
    let out: Vec<_> = report
        .hosts
        .iter()
        .filter(|h| h.phase != Phase::Healthy)
        .map(|h| format!("{} ({})", h.name, h.phase))
        .collect();
    (!out.is_empty()).then(|| format!("Not on {}: {}", report.version, words::names(&out, 8)))
}

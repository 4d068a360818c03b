//! One rollout under its faults, brought to its end as a person would.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use dv_types::{
    Report, RolloutId,
    record::Verdict,
    report::{OnceState, State},
};

use super::{END_BY, Plan, draw::Care};
use crate::{
    counts::{Mark, works},
    manifest::{Manifest, Shape},
    outside::Seen,
    scenario::Scenario,
};

/// A canary is watched for so long before the others begin.
pub(super) const STEADY: Duration = Duration::from_secs(2);
const MIN_HEALTHY_TIME: &str = "2s";
/// Nothing more follows by itself if nothing has for this long.
const QUIET: Duration = Duration::from_secs(4);
/// A person goes on so often before giving a rollout up.
const PATIENCE: u32 = 3;

/// What there is to be judged.
pub(super) struct Played {
    pub(super) service: String,
    pub(super) seen: Seen,
    pub(super) mark: Mark,
    /// Every rollout of the round, the first first.
    pub(super) reports: Vec<Report>,
    /// How often a person said of a rollout's once-step that it was not done.
    pub(super) not_done: BTreeMap<RolloutId, usize>,
    /// A person had to let something go on.
    pub(super) helped: bool,
}

impl Played {
    /// What became of it, in a line.
    pub(super) fn story(&self) -> String {
        let one = |report: &Report| {
            let totals = &report.totals;
            let state = match report.state {
                State::Ended(verdict) => verdict.to_string(),
                ref other => format!("{other:?}"),
            };
            format!(
                "{} {} {state} ({} healthy, {} failed, {} unreachable)",
                report.rollout, report.kind, totals.healthy, totals.failed, totals.unreachable
            )
        };
        self.reports.iter().map(one).collect::<Vec<_>>().join("; ")
    }
}

/// The mark that the once-step of a rollout leaves.
pub(super) fn mark_of(rollout: RolloutId) -> String {
    format!("chaos-{rollout}")
}

/// The service of this shape: it has a past over all rounds.
fn manifest(scenario: &Scenario, plan: &Plan) -> Manifest {
    let service = format!("{}-{:?}", scenario.service, plan.shape).to_lowercase();
    let manifest = Manifest::new(&service, plan.shape);
    let manifest = match plan.care.canary {
        true => manifest.with("canary", "1").with("auto_promote", "true"),
        false => manifest,
    };
    let manifest = match plan.care.min_available {
        0 => manifest,
        some => manifest.with("min_available", &some.to_string()),
    };
    manifest
        .first("run: {argv: [/usr/local/sbin/bed-work, \"chaos-${rollout}\", \"1\"], once: {}}")
        .with("max_parallel", &plan.care.max_parallel.to_string())
        .with("min_healthy_time", MIN_HEALTHY_TIME)
        .with("healthy_deadline", "15s")
        .with("lost_after", "6s")
        .with("max_unreachable", "2")
        .with("on_failure", "rollback")
}

/// Every host runs something that it can go back to.
pub(super) fn baseline(scenario: &Scenario) {
    for shape in [Shape::Unit, Shape::Image] {
        let care = Care { max_parallel: 5, canary: false, min_available: 0 };
        let plan = Plan { number: 0, shape, version: "v1", bad: false, care, faults: Vec::new() };
        scenario.rollout(&manifest(scenario, &plan), plan.version).exits(0);
    }
}

/// Plays it.
pub(super) fn play(scenario: &Scenario, plan: &Plan) -> Result<Played, String> {
    let manifest = manifest(scenario, plan);
    for timed in &plan.faults {
        timed.fault.prepare(scenario);
    }
    let (mark, client) = (scenario.mark(), scenario.watch(plan.shape));
    let before = newest(scenario, &manifest.service);
    let mut start = scenario.starting(&manifest, plan.version);
    start.extend(["--detach", "--force", "--reason", "chaos"].map(str::to_owned));
    scenario.dvctl.run(&start).result()?;

    let ended = thread::scope(|scope| {
        for timed in &plan.faults {
            scope.spawn(|| {
                thread::sleep(timed.after);
                timed.fault.strike(scenario, plan.shape);
                thread::sleep(timed.lasts);
                timed.fault.heal(scenario, plan.shape);
            });
        }
        to_its_end(scenario, &manifest.service, before)
    });
    for timed in &plan.faults {
        timed.fault.tidy(scenario);
    }
    let Ended { reports, not_done, helped } = ended?;
    Ok(Played { service: manifest.service, seen: client.stop(), mark, reports, not_done, helped })
}

struct Ended {
    reports: Vec<Report>,
    not_done: BTreeMap<RolloutId, usize>,
    helped: bool,
}

/// Until nothing is unfinished and nothing follows; what waits for a person is told to go on.
fn to_its_end(
    scenario: &Scenario,
    service: &str,
    before: Option<RolloutId>,
) -> Result<Ended, String> {
    let (began, mut quiet) = (Instant::now(), None::<(RolloutId, Instant)>);
    let (mut resumed, mut not_done) = (BTreeMap::new(), BTreeMap::new());
    let mut last = String::from("nothing");
    loop {
        if began.elapsed() > END_BY {
            return Err(format!("it has not ended within {END_BY:?}; last seen: {last}"));
        }
        thread::sleep(Duration::from_millis(500));
        // The coordinator may be away.
        let Ok(reports) = since(scenario, service, before) else { continue };
        let Some(newest) = reports.last().map(|report| report.rollout) else { continue };
        let unfinished: Vec<_> =
            reports.iter().filter(|r| !matches!(r.state, State::Ended(_))).collect();
        if let Some(report) = unfinished.first() {
            quiet = None;
            last =
                format!("{} {:?}, waiting on {:?}", report.rollout, report.state, report.waiting);
            if report.waiting.is_empty() {
                return Err(format!("{} is unfinished and waits on nothing", report.rollout));
            }
            if matches!(report.state, State::Paused(_)) {
                let times = resumed.entry(report.rollout).or_insert(0);
                *times += 1;
                go_on(scenario, report, *times, &mut not_done);
            }
            continue;
        }
        match scenario.dvctl.all_connected() {
            Err(why) => (last, quiet) = (why, None),
            Ok(()) if quiet.is_none_or(|(rollout, _)| rollout != newest) => {
                quiet = Some((newest, Instant::now()));
            }
            Ok(()) if quiet.is_some_and(|(_, since)| since.elapsed() > QUIET) => {
                return Ok(Ended { reports, not_done, helped: !resumed.is_empty() });
            }
            Ok(()) => {}
        }
    }
}

/// What a person does: says what became of the once-step, by its mark; then goes on, and at last gives up.
fn go_on(
    scenario: &Scenario,
    report: &Report,
    times: u32,
    not_done: &mut BTreeMap<RolloutId, usize>,
) {
    let id = report.rollout.to_string();
    let open = |state: &OnceState| matches!(state, OnceState::Unknown | OnceState::Failed);
    if times > 2 * PATIENCE {
        scenario.dvctl.run(&["rollout", "abort", &id]);
    } else if let Some(once) = report.once.iter().find(|once| open(&once.state)) {
        let mark = mark_of(report.rollout);
        let done = scenario.bed.hosts.iter().any(|host| works(host, &mark) > 0);
        let answer = if done { "done" } else { "not-done" };
        let ran = scenario.dvctl.run(&[
            "rollout",
            "resolve",
            &id,
            &once.name,
            "--as",
            answer,
            "--reason",
            "looked at its mark",
        ]);
        if ran.code == Some(0) && !done {
            *not_done.entry(report.rollout).or_default() += 1;
        }
        scenario.dvctl.run(&["rollout", "resume", &id]);
    } else if times > PATIENCE {
        scenario.dvctl.run(&["rollout", "abort", &id]);
    } else {
        scenario.dvctl.run(&["rollout", "resume", &id]);
    }
}

/// The rollouts of a service after `before`, the first first.
fn since(
    scenario: &Scenario,
    service: &str,
    before: Option<RolloutId>,
) -> Result<Vec<Report>, String> {
    let summaries = history(scenario, service)?;
    let of_round = summaries.into_iter().filter(|report| Some(report.rollout) > before);
    let mut reports = Vec::new();
    for summary in of_round {
        let status = ["rollout", "status", &summary.rollout.to_string()].map(str::to_owned);
        let status = scenario.dvctl.try_json(&status)?;
        reports.push(serde_json::from_value(status).map_err(|why| why.to_string())?);
    }
    reports.reverse();
    Ok(reports)
}

fn newest(scenario: &Scenario, service: &str) -> Option<RolloutId> {
    history(scenario, service).ok()?.first().map(|report| report.rollout)
}

fn history(scenario: &Scenario, service: &str) -> Result<Vec<Report>, String> {
    let history = scenario.dvctl.try_json(&["rollout", "history", service])?;
    serde_json::from_value(history).map_err(|why| why.to_string())
}

/// Whether all of it went as if there had been no fault.
pub(super) fn succeeded(report: &Report) -> bool {
    report.state == State::Ended(Verdict::Succeeded)
}

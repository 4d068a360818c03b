//! From the coordinator's documents to a dossier: a fold over the records.

use std::{collections::BTreeMap, sync::Arc};

use dv_types::{
    CommandId, Fact, HostName, Operation, Outcome, Plan, Record, Report, RolloutId, Span,
    Timestamp,
    manifest::OnFailure,
    record::{Condemner, PauseWhy, Verb},
    report::{OnceState, State},
};

use super::{
    Answered, Condemned, Decision, Dossier, Event, Gate, Host, Judged, Once, Override, Pause,
    PauseEnd, Run, Seen, Sums, Watch, Wave, attention,
};
use crate::display::{story::Story, tell};

/// The dossier of `report`, as the records up to it tell it.
pub(crate) fn gather(plan: &Plan, report: &Report, records: &[Record]) -> Dossier {
    let mut fold = Fold::new(plan, report.rollout);
    for record in records {
        fold.take(record);
    }
    fold.dossier(report)
}

struct Fold<'p> {
    plan: &'p Plan,
    story: Story,
    started: Option<(String, Option<String>)>,
    gates: Vec<Gate>,
    decisions: Vec<Decision>,
    once: Vec<(Vec<Run>, Vec<Decision>)>,
    waves: Vec<Option<Timestamp>>,
    monitor: Vec<Watch>,
    pauses: Vec<Pause>,
    runs: BTreeMap<HostName, Vec<Run>>,
    ends: BTreeMap<HostName, Timestamp>,
    condemned: Vec<Condemned>,
    timeline: Vec<Event>,
    last: Option<Timestamp>,
}

impl<'p> Fold<'p> {
    fn new(plan: &'p Plan, id: RolloutId) -> Self {
        let gate =
            |gate: &String| Gate { gate: gate.clone(), answers: Vec::new(), overrides: Vec::new() };
        Self {
            plan,
            story: Story::new(id, Arc::new(plan.clone())),
            started: None,
            gates: plan.gates.iter().map(gate).collect(),
            decisions: Vec::new(),
            once: vec![(Vec::new(), Vec::new()); plan.once.len()],
            waves: vec![None; plan.waves.len()],
            monitor: Vec::new(),
            pauses: Vec::new(),
            runs: BTreeMap::new(),
            ends: BTreeMap::new(),
            condemned: Vec::new(),
            timeline: Vec::new(),
            last: None,
        }
    }

    fn take(&mut self, record: &Record) {
        if record.number <= self.story.record {
            return;
        }
        let at = record.at;
        self.last = Some(at);
        if let Some((host, line)) = tell::fact(&record.fact, &self.story) {
            let (host, text) = (host.cloned(), line.render(false));
            self.timeline.push(Event { record: record.number, at, host, text });
        }
        self.story.take(record);
        match &record.fact {
            Fact::Started { by, reason, overrides } => self.start(at, by, reason, overrides),
            Fact::GateAnswered { answer } => {
                let answered = Answered { at, answer: answer.clone() };
                self.gate(&answer.gate).answers.push(answered);
            }
            Fact::OnceCommanded { once, host, command } => {
                let operation = self.plan.once.get(*once as usize);
                let operation = operation.map(|once| once.operation.to_string());
                let run = run(*command, host, 1, 0, operation.unwrap_or_default(), at);
                if let Some((runs, _)) = self.once.get_mut(*once as usize) {
                    command_once(runs, run);
                }
            }
            Fact::OnceCancelling { once } => {
                self.last_once(*once, |run| run.cancelled = Some(at));
            }
            Fact::OnceReported { once, outcome, .. } => {
                if let Some((runs, _)) = self.once.get_mut(*once as usize) {
                    report_to(runs, outcome, at);
                }
            }
            Fact::OnceLost { once, known } => {
                self.last_once(*once, |run| run.lost = Some(known.clone()));
            }
            Fact::MonitorStarted { watching } => self.monitor.push(Watch {
                watching: *watching,
                since: at,
                samples: Vec::new(),
                judgement: None,
            }),
            Fact::Sampled { sample } => {
                if let Some(watch) = self.monitor.last_mut() {
                    watch.samples.push(Seen { at, sample: sample.clone() });
                }
            }
            Fact::Judged { watching, judgement } => {
                let mut watches = self.monitor.iter_mut().rev();
                if let Some(watch) = watches.find(|watch| watch.watching == *watching) {
                    watch.judgement = Some(Judged { at, judgement: judgement.clone() });
                }
            }
            Fact::WaveStarted { wave } => {
                if let Some(began) = self.waves.get_mut(*wave as usize) {
                    *began = Some(at);
                }
            }
            Fact::Commanded { host, command, attempt, step } => {
                let operation = self.story.operation(host, *step);
                let operation =
                    operation.map_or_else(|| format!("step {}", step + 1), ToString::to_string);
                let run = run(*command, host, *attempt, step + 1, operation, at);
                command_once(self.runs.entry(host.clone()).or_default(), run);
            }
            Fact::Cancelling { host, command } => {
                let mut runs = self.runs.get_mut(host).into_iter().flatten();
                if let Some(run) = runs.find(|run| run.command == *command) {
                    run.cancelled = Some(at);
                }
            }
            Fact::Reported { host, outcome } => {
                report_to(self.runs.entry(host.clone()).or_default(), outcome, at);
            }
            Fact::HostHealthy { host }
            | Fact::HostFailed { host, .. }
            | Fact::HostUnreachable { host, .. }
            | Fact::HostStopped { host } => {
                self.ends.insert(host.clone(), at);
            }
            Fact::HostReturned { host } => {
                self.ends.remove(host);
            }
            Fact::CanaryHealthy { .. } => self.pause(at, None),
            Fact::BudgetSpent { failed, tolerated } if !self.goes_back() => {
                let (failed, tolerated) = (*failed, *tolerated);
                self.pause(at, Some(PauseWhy::Failures { failed, tolerated }));
            }
            Fact::Condemned { by, why } => {
                let (by, why) = (by.clone(), why.clone());
                self.condemned.push(Condemned { at, by: by.clone(), why: why.clone() });
                // A gate ends the rollout before anything is touched.
                if !self.goes_back() && !matches!(by, Condemner::Gate { .. }) {
                    self.pause(at, Some(PauseWhy::Condemned { by, why }));
                }
            }
            Fact::Paused { why } => self.pause(at, Some(why.clone())),
            Fact::Operator { by, verb, reason } => self.operator(at, by, verb, reason.as_ref()),
            Fact::Ended { verdict, .. } => self.go_on(at, format!("the rollout ended: {verdict}")),
            Fact::Recovered
            | Fact::Connected { .. }
            | Fact::Disconnected { .. }
            | Fact::Health { .. }
            | Fact::BudgetSpent { .. } => {}
        }
    }

    /// Whether a version that is found bad is taken back without asking.
    fn goes_back(&self) -> bool {
        self.plan.limits.on_failure == OnFailure::Rollback
    }

    fn start(&mut self, at: Timestamp, by: &str, reason: &Option<String>, overrides: &[String]) {
        self.started = Some((by.to_owned(), reason.clone()));
        for gate in overrides {
            let said =
                Override { at, by: by.to_owned(), reason: reason.clone(), from_the_start: true };
            self.gate(gate).overrides.push(said);
        }
        let text = match overrides {
            [] => "start".to_owned(),
            gates => format!("start, and override from the start: {}", gates.join(", ")),
        };
        let (by, reason) = (by.to_owned(), reason.clone());
        self.decisions.push(Decision { at, by, verb: None, text, reason });
    }

    fn operator(&mut self, at: Timestamp, by: &str, verb: &Verb, reason: Option<&String>) {
        let decision = Decision {
            at,
            by: by.to_owned(),
            verb: Some(verb.clone()),
            text: verb.to_string(),
            reason: reason.cloned(),
        };
        self.decisions.push(decision.clone());
        match verb {
            Verb::Override { gate } => {
                let (by, reason) = (by.to_owned(), reason.cloned());
                self.gate(gate).overrides.push(Override { at, by, reason, from_the_start: false });
            }
            Verb::Resolve { once, .. } => {
                let index = self.plan.once.iter().position(|planned| planned.name == *once);
                if let Some((_, resolved)) = index.and_then(|index| self.once.get_mut(index)) {
                    resolved.push(decision);
                }
            }
            Verb::Skip { host } => {
                self.ends.insert(host.clone(), at);
            }
            Verb::Retry { host } => {
                self.ends.remove(host);
            }
            Verb::Pause
            | Verb::Resume
            | Verb::Promote
            | Verb::Abort
            | Verb::MakeWay
            | Verb::Rollback => {}
        }
        let reason = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
        let said = format!("{by} said: {verb}{reason}");
        let open = self.pauses.last().filter(|pause| pause.ended.is_none());
        let ends = open.is_some_and(|pause| match (verb, &pause.why) {
            (Verb::Resume, Some(_)) | (Verb::Abort | Verb::MakeWay | Verb::Rollback, _) => true,
            (Verb::Promote, None) => true,
            (Verb::Override { gate }, Some(PauseWhy::Gate { gate: asked, .. })) => gate == asked,
            (Verb::Resolve { once, .. }, Some(PauseWhy::OnceUnknown { once: asked, .. })) => {
                once == asked
            }
            (Verb::Resolve { once, .. }, Some(PauseWhy::Condemned { by, .. })) => {
                *by == Condemner::Once { once: once.clone() }
            }
            _ => false,
        });
        if ends {
            self.go_on(at, said);
        }
        if *verb == Verb::Pause {
            self.pause(at, Some(PauseWhy::Operator));
        }
    }

    fn pause(&mut self, at: Timestamp, why: Option<PauseWhy>) {
        if self.pauses.last().is_some_and(|open| open.ended.is_none() && open.why == why) {
            return;
        }
        let text = why
            .as_ref()
            .map_or_else(|| "the canary waits to be promoted".to_owned(), ToString::to_string);
        self.go_on(at, "it waits for something else".to_owned());
        self.pauses.push(Pause { at, why, text, ended: None });
    }

    fn go_on(&mut self, at: Timestamp, text: String) {
        if let Some(open) = self.pauses.last_mut().filter(|pause| pause.ended.is_none()) {
            open.ended = Some(PauseEnd { at, text });
        }
    }

    fn gate(&mut self, name: &str) -> &mut Gate {
        let index = self.gates.iter().position(|gate| gate.gate == name).unwrap_or_else(|| {
            // A gate that the plan does not know: it answered, so it is told.
            self.gates.push(Gate {
                gate: name.to_owned(),
                answers: Vec::new(),
                overrides: Vec::new(),
            });
            self.gates.len() - 1
        });
        &mut self.gates[index]
    }

    fn last_once(&mut self, index: u32, change: impl FnOnce(&mut Run)) {
        let runs = self.once.get_mut(index as usize).map(|(runs, _)| runs);
        if let Some(run) = runs.and_then(|runs| runs.last_mut()) {
            change(run);
        }
    }

    fn dossier(mut self, report: &Report) -> Dossier {
        let as_of = report.ended.or(self.last).unwrap_or(report.began);
        let waves = self.waves(report);
        let hosts = self.hosts(report);
        let once = self.onces(report);
        let (by, reason) = self.started.take().unwrap_or_else(|| (report.by.clone(), None));
        let mut dossier = Dossier {
            format: Dossier::FORMAT,
            rollout: report.rollout,
            service: report.service.clone(),
            version: report.version.clone(),
            kind: report.kind.clone(),
            plan: report.plan.clone(),
            state: report.state.clone(),
            finished: matches!(report.state, State::Ended(_)),
            by,
            reason,
            began: report.began,
            ended: report.ended,
            as_of,
            records: self.story.record,
            reversed_by: report.reversed_by,
            rollback: report.rollback,
            attention: Vec::new(),
            condemned: self.condemned,
            totals: Sums {
                hosts: report.totals,
                took: Span::between(report.began, as_of),
                paused: Span::ZERO,
                commands: 0,
                commands_not_done: 0,
                overridden: 0,
                samples: 0,
                requests: 0,
                requests_failed: 0,
            },
            gates: self.gates,
            decisions: self.decisions,
            once,
            schema: self.plan.schema.clone(),
            migrations: report.migrations.clone(),
            database: report.database.clone(),
            waves,
            monitor: self.monitor,
            pauses: self.pauses,
            hosts,
            timeline: self.timeline,
        };
        sum(&mut dossier);
        dossier.attention = attention::attention(&dossier);
        dossier
    }

    fn waves(&self, report: &Report) -> Vec<Wave> {
        let waves = self.plan.waves.iter().zip(&self.waves).enumerate();
        waves
            .map(|(index, (wave, began))| {
                let ends: Option<Vec<Timestamp>> = wave
                    .hosts
                    .iter()
                    .map(|name| {
                        let host = report.hosts.iter().find(|host| host.name == *name);
                        self.ends.get(name).copied().or_else(|| host.and_then(|h| h.ended))
                    })
                    .collect();
                Wave {
                    number: index as u32 + 1,
                    kind: wave.kind,
                    hosts: wave.hosts.clone(),
                    began: *began,
                    ended: ends.and_then(|ends| ends.into_iter().max()),
                }
            })
            .collect()
    }

    fn hosts(&mut self, report: &Report) -> Vec<Host> {
        let runs = &mut self.runs;
        let one = |host: &dv_types::report::HostReport| Host {
            name: host.name.clone(),
            wave: host.wave,
            phase: host.phase,
            why: host.why.clone(),
            touched: host.touched,
            from: host.from.clone(),
            to: host.to.clone(),
            began: host.began,
            ended: host.ended,
            runs: runs.remove(&host.name).unwrap_or_default(),
        };
        report.hosts.iter().map(one).collect()
    }

    fn onces(&mut self, report: &Report) -> Vec<Once> {
        let all = self.plan.once.iter().zip(std::mem::take(&mut self.once));
        all.map(|(planned, (runs, resolved))| {
            let known = report.once.iter().find(|once| once.name == planned.name);
            Once {
                name: planned.name.clone(),
                operation: planned.operation.to_string(),
                migrates: matches!(
                    planned.operation,
                    Operation::Migrate { .. } | Operation::Downgrade { .. }
                ),
                state: known.map_or(OnceState::Pending, |once| once.state),
                runs,
                resolved,
            }
        })
        .collect()
    }
}

fn run(
    command: CommandId,
    host: &HostName,
    attempt: u32,
    number: u32,
    operation: String,
    at: Timestamp,
) -> Run {
    Run {
        command,
        host: host.clone(),
        attempt,
        number,
        operation,
        at,
        cancelled: None,
        lost: None,
        reported: None,
        outcome: None,
    }
}

/// A command that is sent again under its number is the same command.
fn command_once(runs: &mut Vec<Run>, run: Run) {
    if !runs.iter().any(|known| known.command == run.command) {
        runs.push(run);
    }
}

fn report_to(runs: &mut [Run], outcome: &Outcome, at: Timestamp) {
    if let Some(run) = runs.iter_mut().find(|run| run.command == outcome.command) {
        run.reported = Some(at);
        run.outcome = Some(outcome.clone());
    }
}

fn sum(dossier: &mut Dossier) {
    let pauses = dossier.pauses.iter();
    let paused = pauses.map(|pause| {
        Span::between(pause.at, pause.ended.as_ref().map_or(dossier.as_of, |end| end.at))
    });
    let paused = paused.fold(Span::ZERO, Span::plus);
    let once = dossier.once.iter().flat_map(|once| &once.runs);
    let runs: Vec<&Run> = dossier.hosts.iter().flat_map(|host| &host.runs).chain(once).collect();
    let (commands, not_done) = (runs.len(), runs.iter().filter(|run| run.went_wrong()).count());
    let samples: Vec<_> = dossier.monitor.iter().flat_map(|watch| &watch.samples).collect();
    let requests: f64 = samples.iter().map(|seen| seen.sample.new.requests).sum();
    let failed: f64 = samples.iter().map(|seen| seen.sample.new.errors).sum();
    let overridden = dossier.gates.iter().filter(|gate| !gate.overrides.is_empty()).count();
    let samples = samples.len();
    let totals = &mut dossier.totals;
    totals.paused = paused;
    (totals.commands, totals.commands_not_done) = (commands, not_done);
    (totals.overridden, totals.samples) = (overridden, samples);
    (totals.requests, totals.requests_failed) = (requests.round() as u64, failed.round() as u64);
}

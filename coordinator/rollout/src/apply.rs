//! A record, and how it changes the state: the only mutation there is.

use dv_types::{
    CommandId, Fact, HostName, OpResult, Outcome, Record, Timestamp,
    manifest::OnFailure,
    record::{Condemner, PauseWhy, Verb, Verdict},
    report::Phase,
};

use crate::{
    Rollout,
    fit::shortened,
    host::{Flight, Given, Host},
    moves,
    rollout::{Mode, Promotion},
    watching::Watch,
};

/// A record that can't follow the ones before it: the journal is damaged, or is another plan's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("record {number} can't follow the records before it: {why}")]
pub struct IllegalRecord {
    /// Its number.
    pub number: u64,
    /// Why.
    pub why: String,
}

impl Rollout {
    /// Takes in one record.
    pub fn apply(&mut self, record: &Record) -> Result<(), IllegalRecord> {
        self.apply_fact(record).map_err(|why| IllegalRecord { number: record.number, why })?;
        self.last_record = record.number;
        Ok(())
    }

    fn apply_fact(&mut self, record: &Record) -> Result<(), String> {
        if record.number != self.last_record + 1 {
            return Err(format!("number {} was expected", self.last_record + 1));
        }
        let at = record.at;
        match (&self.mode, &record.fact) {
            (Mode::New, Fact::Started { by, overrides, .. }) => {
                self.start(by, at);
                for gate in overrides {
                    self.gate_mut(gate)?.overridden = Some(by.clone());
                }
                return Ok(());
            }
            (Mode::New, _) => return Err("the rollout has not begun".to_owned()),
            (Mode::Ended { .. }, _) => return Err("the rollout has ended".to_owned()),
            (_, Fact::Started { .. }) => return Err("the rollout has begun already".to_owned()),
            _ => {}
        }
        match &record.fact {
            Fact::Started { .. } => unreachable!("handled above"),
            Fact::Recovered => {
                // The time without a coordinator is nobody's lack of progress.
                self.progress = at;
                self.contact_lost_with_all(at);
            }
            Fact::GateAnswered { answer } => {
                self.gate_mut(&answer.gate)?.answer = Some(answer.clone());
                self.progress = at;
            }
            Fact::OnceCommanded { once, host, command } => {
                self.apply_once_commanded(*once, host, *command, at)?;
            }
            Fact::OnceCancelling { once } => self.apply_once_cancelling(*once, at)?,
            Fact::OnceReported { once, host, outcome } => {
                self.apply_once_reported(*once, host, outcome, at)?;
            }
            Fact::OnceLost { once, known } => self.apply_once_lost(*once, known)?,
            Fact::MonitorStarted { watching } => self.watches.push(Watch {
                watching: *watching,
                since: at,
                samples: Vec::new(),
                judgement: None,
                accepted: false,
            }),
            Fact::Sampled { sample } => {
                let watch = self.watches.last_mut().ok_or("nothing is watched")?;
                watch.samples.push(sample.clone());
            }
            Fact::Judged { watching, judgement } => {
                self.watch_mut(*watching)?.judgement = Some(judgement.clone());
                self.progress = at;
            }
            Fact::Condemned { by, why } => {
                let gate = matches!(by, Condemner::Gate { .. });
                self.mode = match self.plan.limits.on_failure {
                    _ if gate => Mode::Ending { verdict: Verdict::Failed, rollback: false },
                    OnFailure::Rollback => {
                        Mode::Ending { verdict: Verdict::Failed, rollback: true }
                    }
                    OnFailure::Pause | OnFailure::Continue => {
                        let (by, why) = (by.clone(), why.clone());
                        Mode::Paused(PauseWhy::Condemned { by, why })
                    }
                };
            }
            Fact::Connected { host } | Fact::Disconnected { host }
                if let Some(helper) = self.helpers.get_mut(host) =>
            {
                *helper = (matches!(record.fact, Fact::Connected { .. }), at);
            }
            Fact::Connected { host } => {
                let watched = self.plan.watch.is_some();
                self.change(host, |h| {
                    (h.connected, h.contact) = (true, at);
                    h.doubt(watched);
                })?;
            }
            Fact::Disconnected { host } => {
                self.change(host, |h| (h.connected, h.contact) = (false, at))?;
            }
            Fact::Health { host, good, why } => {
                self.change(host, |h| h.turn(*good, why.as_ref(), at))?;
            }
            Fact::WaveStarted { wave } => {
                if *wave as usize >= self.plan.waves.len() {
                    return Err(format!("the plan has no wave {wave}"));
                }
                self.wave = Some(*wave);
                self.promotion = Promotion::NotYet;
                self.empty_canary_accepted = false;
            }
            Fact::Commanded { host, command, attempt, step } => {
                self.command(host, *command, *attempt, *step, at)?;
            }
            Fact::Cancelling { host, command } => self.change(host, |h| {
                if let Some(f) = h.flight.as_mut().filter(|f| f.command == *command) {
                    f.cancelling = Some(at);
                }
            })?,
            Fact::Reported { host, outcome } => {
                self.change(host, |h| report(h, outcome))?;
            }
            Fact::HostHealthy { host } => {
                let watched = self.plan.watch.is_some();
                let relapsed = self.index.relapsed.len();
                self.end_host(host, Phase::Healthy, None, at)?;
                // Hosts that turn bad and good in turns are no progress, until what they hold goes on.
                if relapsed == self.index.relapsed.len() || self.index.relapsed.is_empty() {
                    self.progress = at;
                }
                self.change(host, |h| {
                    h.out = false;
                    h.good = watched.then_some(true).or(h.good);
                })?;
            }
            Fact::HostFailed { host, why } => {
                let watched = self.plan.watch.is_some();
                self.end_host(host, Phase::Failed, Some(why.clone()), at)?;
                self.change(host, |h| h.doubt(watched))?;
            }
            Fact::HostStopped { host } => self.end_host(host, Phase::Stopped, None, at)?,
            Fact::HostUnreachable { host, known } => {
                self.shift(host, Phase::Unreachable)?;
                self.change(host, |h| h.why = Some(known.clone()))?;
            }
            Fact::HostReturned { host } => {
                self.shift(host, Phase::Pending)?;
                self.change(host, |h| h.why = None)?;
            }
            Fact::CanaryHealthy { .. } => self.promotion = Promotion::Awaited,
            Fact::BudgetSpent { failed, tolerated } => {
                self.mode = match self.plan.limits.on_failure {
                    OnFailure::Rollback => {
                        Mode::Ending { verdict: Verdict::Failed, rollback: true }
                    }
                    OnFailure::Pause | OnFailure::Continue => {
                        Mode::Paused(PauseWhy::Failures { failed: *failed, tolerated: *tolerated })
                    }
                };
            }
            Fact::Paused { why } => self.mode = Mode::Paused(why.clone()),
            Fact::Operator { by, verb, .. } => self.obey(by, verb, at)?,
            Fact::Ended { verdict, rollback } => {
                self.mode = Mode::Ended { verdict: *verdict, rollback: *rollback };
                self.ended = Some(at);
            }
        }
        Ok(())
    }

    fn start(&mut self, by: &str, at: Timestamp) {
        self.mode = Mode::Running;
        by.clone_into(&mut self.by);
        self.began = at;
        self.progress = at;
        self.contact_lost_with_all(at);
    }

    fn contact_lost_with_all(&mut self, at: Timestamp) {
        for helper in self.helpers.values_mut() {
            *helper = (false, at);
        }
        for i in 0..self.hosts.len() {
            self.change_at(i, |h| (h.connected, h.contact) = (false, at));
        }
    }

    fn command(
        &mut self,
        name: &HostName,
        command: CommandId,
        attempt: u32,
        step: u32,
        at: Timestamp,
    ) -> Result<(), String> {
        let i = self.host(name).ok_or_else(|| unknown(name))?;
        let operation = self.operations(i).get(step as usize);
        let operation = operation.ok_or_else(|| format!("{name} has no operation {step}"))?;
        let limit = operation.time_limit();
        let (touches, disrupts) = (operation.touches(), operation.disrupts());
        let again = self.hosts[i].given(command).is_some();
        if command.rollout != self.id || (!again && command != self.next_command()) {
            return Err(format!("{command} is not the next command"));
        }
        self.last_command = self.last_command.max(command.number);
        self.shift(name, Phase::Working)?;
        self.change_at(i, |h| {
            h.why = None;
            h.attempt = attempt;
            // What was left out needs no more doing.
            h.done = step;
            h.touched |= touches;
            h.out |= disrupts;
            h.began.get_or_insert(at);
            h.flight = Some(Flight { command, step, since: at, limit, cancelling: None });
            if !again {
                h.given.push(Given {
                    command,
                    step,
                    attempt,
                    since: at,
                    touches,
                    reported: false,
                    refused: false,
                    evidence: None,
                });
            }
        });
        Ok(())
    }

    fn end_host(
        &mut self,
        host: &HostName,
        phase: Phase,
        why: Option<String>,
        at: Timestamp,
    ) -> Result<(), String> {
        self.shift(host, phase)?;
        self.change(host, |h| {
            h.why = why;
            h.flight = None;
            h.failure = None;
            h.relapse = None;
            h.ended = Some(at);
        })
    }

    fn obey(&mut self, by: &str, verb: &Verb, at: Timestamp) -> Result<(), String> {
        match verb {
            Verb::Pause => self.mode = Mode::Paused(PauseWhy::Operator),
            Verb::Resume => {
                if self.mode == Mode::Paused(PauseWhy::EmptyCanary) {
                    self.empty_canary_accepted = true;
                }
                // Only what it paused for is accepted by going on.
                match self.mode {
                    Mode::Paused(PauseWhy::Failures { .. }) => self.forgive_failures(),
                    Mode::Paused(PauseWhy::Unreachable { .. }) => {
                        self.forgiven_unreachable = self.index.totals.unreachable;
                    }
                    Mode::Paused(PauseWhy::Gate { .. }) => self.ask_again(),
                    Mode::Paused(PauseWhy::Inconclusive { .. }) => self.accept_judgement(),
                    Mode::Paused(PauseWhy::Condemned { .. }) => {
                        self.accept_failed_smoke(by);
                        self.accept_judgement();
                    }
                    // It says in words only which of them it was.
                    Mode::Paused(PauseWhy::Migrated { .. }) => {
                        self.forgive_failures();
                        self.accept_failed_smoke(by);
                        self.accept_judgement();
                    }
                    _ => {}
                }
                self.mode = Mode::Running;
                self.progress = at;
            }
            Verb::Promote => {
                self.promotion = Promotion::Given;
                self.progress = at;
            }
            Verb::Abort => {
                self.mode = Mode::Ending { verdict: Verdict::Aborted, rollback: false };
            }
            Verb::MakeWay => {
                self.mode = Mode::Ending { verdict: Verdict::Aborted, rollback: false };
                self.made_way = true;
            }
            Verb::Rollback => {
                self.mode = Mode::Ending { verdict: Verdict::Aborted, rollback: true };
            }
            Verb::Retry { host } => {
                self.progress = at;
                self.shift(host, Phase::Pending)?;
                self.change(host, |h| {
                    h.why = None;
                    h.done = 0;
                    h.flight = None;
                    h.failure = None;
                    h.ended = None;
                })?;
                self.forgiven_failures = self.forgiven_failures.min(self.index.totals.failed);
            }
            Verb::Override { gate } => {
                self.gate_mut(gate)?.overridden = Some(by.to_owned());
                if matches!(&self.mode, Mode::Paused(PauseWhy::Gate { gate: g, .. }) if g == gate) {
                    self.ask_again();
                    self.mode = Mode::Running;
                }
                self.progress = at;
            }
            Verb::Resolve { once, done } => {
                self.resolve_once(once, *done, by)?;
                let waits = match &self.mode {
                    Mode::Paused(PauseWhy::OnceUnknown { once: name, .. }) => name == once,
                    Mode::Paused(PauseWhy::Condemned {
                        by: Condemner::Once { once: name },
                        ..
                    }) => name == once,
                    // Whatever else it paused for still holds, and is found again.
                    Mode::Paused(PauseWhy::Migrated { .. }) => true,
                    _ => false,
                };
                if waits {
                    self.mode = Mode::Running;
                }
                self.progress = at;
            }
            Verb::Skip { host } => {
                self.end_host(host, Phase::Skipped, Some("skipped by an operator".to_owned()), at)?;
                self.forgiven_failures = self.forgiven_failures.min(self.index.totals.failed);
            }
        }
        Ok(())
    }

    /// A spent budget is accepted; what is left of one that is not stays as it is.
    fn forgive_failures(&mut self) {
        let tolerated = self.plan.limits.max_failures.saturating_add(self.forgiven_failures);
        if self.index.totals.failed > tolerated {
            self.forgiven_failures = self.index.totals.failed;
        }
    }

    /// The only place where a host's phase changes.
    fn shift(&mut self, name: &HostName, to: Phase) -> Result<(), String> {
        let from = self.host(name).map(|i| self.hosts[i].phase).ok_or_else(|| unknown(name))?;
        if !moves::allowed(from, to) {
            return Err(format!("{name} is {from} and can't become {to}"));
        }
        self.change(name, |h| h.phase = to)
    }

    fn change(&mut self, name: &HostName, f: impl FnOnce(&mut Host)) -> Result<(), String> {
        let i = self.host(name).ok_or_else(|| unknown(name))?;
        self.change_at(i, f);
        Ok(())
    }

    fn change_at(&mut self, i: usize, f: impl FnOnce(&mut Host)) {
        let (host, wave) = (&mut self.hosts[i], self.places[i].wave);
        self.index.remove(i, wave, host);
        f(host);
        self.index.add(i, wave, host);
    }
}

fn report(host: &mut Host, outcome: &Outcome) {
    if let Some(given) = host.given_mut(outcome.command) {
        given.reported = true;
        given.refused = matches!(outcome.result, OpResult::Refused(_));
        given.evidence.clone_from(&outcome.evidence);
    }
    host.touched = host.was_touched();
    // An answer to a command that is no longer waited for is kept as evidence and changes nothing else.
    if host.flight.as_ref().is_none_or(|f| f.command != outcome.command) {
        return;
    }
    host.flight = None;
    match &outcome.result {
        OpResult::Done => host.done += 1,
        OpResult::Cancelled => {}
        bad => host.failure = Some(shortened(bad.to_string())),
    }
}

fn unknown(name: &HostName) -> String {
    format!("the plan has no host {name}")
}

//! A rollout by its records: a second reckoning, simpler than the machine's and apart from it; beside it the machine's own
//! fold.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use dv_rollout::Rollout;
use dv_types::{
    CommandId, Fact, HostName, OpResult, Operation, Plan, Record, RolloutId,
    plan::Kind,
    record::{self, PauseWhy, Verb},
};

/// A command that was given.
#[derive(Debug, Clone)]
pub(super) struct Given {
    pub(super) host: HostName,
    pub(super) attempt: u32,
    /// Its place in the host's program.
    pub(super) step: Option<u32>,
    /// Its place among what happens once.
    pub(super) once: Option<u32>,
    pub(super) result: Option<OpResult>,
}

/// What is known of a host.
#[derive(Debug, Clone, Default)]
pub(super) struct Place {
    pub(super) connected: bool,
    pub(super) good: Option<bool>,
    /// Told to do what may stop its service, and not shown to be well since.
    pub(super) out: bool,
    pub(super) attempt: u32,
}

/// A rollout as it has been seen.
pub(super) struct Seen {
    pub(super) id: RolloutId,
    pub(super) plan: Arc<Plan>,
    pub(super) records: Vec<Record>,
    pub(super) closed: bool,
    /// The machine's own fold.
    pub(super) machine: Rollout,
    pub(super) given: BTreeMap<CommandId, Given>,
    pub(super) hosts: BTreeMap<HostName, Place>,
    pub(super) working: BTreeSet<HostName>,
    pub(super) failed: BTreeSet<HostName>,
    pub(super) settled: BTreeSet<HostName>,
    /// Failures that a person has accepted.
    pub(super) forgiven: usize,
    /// Nothing may be commanded any more.
    pub(super) stopped: Option<String>,
    pub(super) waves: BTreeSet<u32>,
    pub(super) promoted: bool,
    /// Why it paused last.
    pub(super) paused: Option<PauseWhy>,
    pub(super) begun: BTreeSet<HostName>,
    /// How often a person may have said of a once-step that it was not done.
    pub(super) not_done: BTreeMap<String, u32>,
    /// How often each once-step was begun, by command and machine.
    pub(super) once_begun: BTreeMap<u32, BTreeMap<CommandId, BTreeMap<String, u32>>>,
}

impl Seen {
    pub(super) fn new(id: RolloutId, plan: Arc<Plan>) -> Self {
        let place = |good| Place { good, ..Place::default() };
        let hosts = plan.hosts.iter().map(|host| (host.name.clone(), place(host.healthy)));
        let hosts = hosts.collect();
        let machine = Rollout::new(id, Arc::clone(&plan));
        let (records, closed, given, working, failed, settled, forgiven) = Default::default();
        let (stopped, waves, promoted, paused, begun, not_done, once_begun) = Default::default();
        Self {
            id,
            plan,
            records,
            closed,
            machine,
            given,
            hosts,
            working,
            failed,
            settled,
            forgiven,
            stopped,
            waves,
            promoted,
            paused,
            begun,
            not_done,
            once_begun,
        }
    }

    pub(super) fn is_forward(&self) -> bool {
        matches!(self.plan.kind, Kind::Forward)
    }

    pub(super) fn operation(&self, host: &HostName, step: u32) -> Option<&Operation> {
        let host = self.plan.hosts.iter().find(|planned| planned.name == *host)?;
        self.plan.operations(host).get(step as usize)
    }

    pub(super) fn wave_of(&self, host: &HostName) -> Option<u32> {
        let at = self.plan.waves.iter().position(|wave| wave.hosts.contains(host))?;
        Some(at as u32)
    }

    pub(super) fn verdict(&self) -> Option<record::Verdict> {
        match self.records.last()?.fact {
            Fact::Ended { verdict, .. } => Some(verdict),
            _ => None,
        }
    }

    /// In contact and serving, as far as is known.
    pub(super) fn is_available(&self, host: &HostName) -> bool {
        let place = &self.hosts[host];
        let serves = match place.out {
            true => !self.working.contains(host) && place.good == Some(true),
            false => place.good != Some(false),
        };
        place.connected && serves
    }

    pub(super) fn asked(&mut self, verb: &Verb) {
        if let Verb::Resolve { once, done: false } = verb {
            *self.not_done.entry(once.clone()).or_default() += 1;
        }
    }

    /// Takes in a record that was looked at.
    pub(super) fn take(&mut self, record: &Record) {
        self.records.push(record.clone());
        match &record.fact {
            Fact::Started { .. } | Fact::Recovered => {
                self.hosts.values_mut().for_each(|host| host.connected = false);
            }
            Fact::Connected { host } | Fact::Disconnected { host } => {
                let connected = matches!(record.fact, Fact::Connected { .. });
                self.with(host, |host| host.connected = connected);
                self.doubt(host);
            }
            Fact::Health { host, good, .. } => self.with(host, |host| host.good = Some(*good)),
            Fact::Commanded { host, command, attempt, step } => {
                let disrupts = self.operation(host, *step).is_some_and(Operation::disrupts);
                self.with(host, |host| {
                    host.out |= disrupts;
                    host.attempt = *attempt;
                });
                self.working.insert(host.clone());
                self.settled.remove(host);
                self.begun.insert(host.clone());
                let (host, attempt, step) = (host.clone(), *attempt, Some(*step));
                let given = Given { host, attempt, step, once: None, result: None };
                self.given.entry(*command).or_insert(given);
            }
            Fact::OnceCommanded { once, host, command } => {
                let (host, once) = (host.clone(), Some(*once));
                let given = Given { host, attempt: 1, step: None, once, result: None };
                self.given.insert(*command, given);
            }
            Fact::Reported { outcome, .. } | Fact::OnceReported { outcome, .. } => {
                if let Some(given) = self.given.get_mut(&outcome.command) {
                    given.result = Some(outcome.result.clone());
                }
            }
            Fact::HostHealthy { host } => {
                let watched = self.plan.watch.is_some();
                self.with(host, |host| {
                    host.out = false;
                    host.good = watched.then_some(true).or(host.good);
                });
                self.settle(host);
            }
            Fact::HostFailed { host, .. } => {
                self.settle(host);
                self.doubt(host);
                self.failed.insert(host.clone());
            }
            Fact::HostUnreachable { host, .. } | Fact::HostStopped { host } => self.settle(host),
            Fact::HostReturned { host } => {
                self.settled.remove(host);
            }
            Fact::WaveStarted { wave } => {
                self.waves.insert(*wave);
            }
            Fact::Paused { why } => self.paused = Some(why.clone()),
            Fact::Operator { verb, .. } => self.obey(verb),
            Fact::BudgetSpent { .. } => self.stopped = Some("the budget is spent".to_owned()),
            Fact::Condemned { by, .. } => self.stopped = Some(format!("{by} found it bad")),
            Fact::Ended { .. } => self.stopped = Some("it has ended".to_owned()),
            _ => {}
        }
    }

    fn obey(&mut self, verb: &Verb) {
        match verb {
            Verb::Resume => {
                // Going on without a canary is a promotion, too.
                self.promoted |= self.paused == Some(PauseWhy::EmptyCanary);
                self.forgiven = self.failed.len();
                self.stopped = None;
            }
            // Whatever it paused for still holds, and is found again.
            Verb::Resolve { .. } => self.stopped = None,
            Verb::Promote => self.promoted = true,
            Verb::Abort | Verb::MakeWay | Verb::Rollback => {
                self.stopped = Some(format!("somebody said {verb}"));
            }
            Verb::Retry { host } => {
                self.failed.remove(host);
                self.settled.remove(host);
                self.forgiven = self.forgiven.min(self.failed.len());
            }
            Verb::Skip { host } => {
                self.failed.remove(host);
                self.settle(host);
                self.forgiven = self.forgiven.min(self.failed.len());
            }
            Verb::Pause | Verb::Override { .. } => {}
        }
    }

    fn settle(&mut self, host: &HostName) {
        self.working.remove(host);
        self.failed.remove(host);
        self.settled.insert(host.clone());
    }

    /// What the probes of a host that is out said before counts no longer.
    fn doubt(&mut self, host: &HostName) {
        let watched = self.plan.watch.is_some();
        self.with(host, |host| host.good = host.good.filter(|_| !(host.out && watched)));
    }

    fn with(&mut self, host: &HostName, change: impl FnOnce(&mut Place)) {
        // A helper that is not one of the rollout's hosts counts in no limit.
        if let Some(place) = self.hosts.get_mut(host) {
            change(place);
        }
    }
}

//! What happened so far: a fold over a rollout's records, host by host.

use std::{collections::BTreeMap, sync::Arc};

use dv_types::{
    CommandId, Fact, HostName, OpResult, Operation, Outcome, Plan, Record, RolloutId,
    record::Verdict,
};

/// A rollout's records so far.
#[derive(Debug)]
pub(crate) struct Story {
    pub(crate) rollout: RolloutId,
    pub(crate) plan: Arc<Plan>,
    /// The number of the last record that is counted in.
    pub(crate) record: u64,
    /// How it ended, and whether a rollback follows by itself.
    pub(crate) ended: Option<(Verdict, bool)>,
    hosts: BTreeMap<HostName, HostStory>,
}

/// One host's part in it.
#[derive(Debug, Default)]
pub(crate) struct HostStory {
    /// The commands of the present attempt.
    pub(crate) runs: Vec<Run>,
    /// Whether it is in contact, once that is known.
    pub(crate) connected: Option<bool>,
    /// Whether its service is well, once that is known.
    pub(crate) good: Option<bool>,
}

/// A command and what became of it.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) command: CommandId,
    /// The operation's index in the host's program.
    pub(crate) step: u32,
    pub(crate) operation: String,
    pub(crate) outcome: Option<Outcome>,
}

impl Story {
    pub(crate) fn new(rollout: RolloutId, plan: Arc<Plan>) -> Self {
        Self { rollout, plan, record: 0, ended: None, hosts: BTreeMap::new() }
    }

    /// Counts a record in. One that is counted in already changes nothing.
    pub(crate) fn take(&mut self, record: &Record) {
        if record.number <= self.record {
            return;
        }
        self.record = record.number;
        match &record.fact {
            Fact::Connected { host } => self.host_mut(host).connected = Some(true),
            Fact::Disconnected { host } => self.host_mut(host).connected = Some(false),
            Fact::Health { host, good, .. } => self.host_mut(host).good = Some(*good),
            Fact::Commanded { host, command, step, .. } => {
                let operation = self
                    .operation(host, *step)
                    .map_or_else(|| format!("step {}", step + 1), ToString::to_string);
                let host = self.host_mut(host);
                if *step == 0 {
                    host.runs.clear();
                }
                host.runs.push(Run { command: *command, step: *step, operation, outcome: None });
            }
            Fact::Reported { host, outcome } => {
                let mut runs = self.host_mut(host).runs.iter_mut();
                if let Some(run) = runs.find(|run| run.command == outcome.command) {
                    run.outcome = Some(outcome.clone());
                }
            }
            Fact::Ended { verdict, rollback } => self.ended = Some((*verdict, *rollback)),
            _ => {}
        }
    }

    /// What is known of a host, where anything is.
    pub(crate) fn host(&self, name: &HostName) -> Option<&HostStory> {
        self.hosts.get(name)
    }

    /// The operation at an index of a host's program.
    pub(crate) fn operation(&self, host: &HostName, step: u32) -> Option<&Operation> {
        self.plan.operations(self.plan.host(host)?).get(step as usize)
    }

    /// What happens once, by its index.
    pub(crate) fn once(&self, index: u32) -> &str {
        self.plan.once.get(index as usize).map_or("?", |once| once.name.as_str())
    }

    /// How many operations a host's program has.
    pub(crate) fn steps(&self, host: &HostName) -> usize {
        self.plan.host(host).map_or(0, |host| self.plan.operations(host).len())
    }

    fn host_mut(&mut self, name: &HostName) -> &mut HostStory {
        self.hosts.entry(name.clone()).or_default()
    }
}

impl HostStory {
    /// The last command that was not simply done.
    pub(crate) fn failure(&self) -> Option<&Outcome> {
        let outcomes = self.runs.iter().rev().filter_map(|run| run.outcome.as_ref());
        outcomes
            .filter(|o| !matches!(o.result, OpResult::Done | OpResult::Cancelled))
            .take(1)
            .next()
    }

    /// The run of a command.
    pub(crate) fn run(&self, command: CommandId) -> Option<&Run> {
        self.runs.iter().find(|run| run.command == command)
    }
}

//! A simulated host: it remembers what it was told, does each number once, and keeps each outcome until that is
//! acknowledged.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use dv_agent::outbox::Outbox;
use dv_proto::{
    from_json, to_json,
    v1::{Facts, Health, Inspect, from_agent::Message},
};
use dv_types::{
    Command, CommandId, Epoch, Finding, OpResult, Outcome, Span, Subject, Timestamp,
    outcome::Output,
};

use crate::{Result, fleet::Tally};

/// A host of the fleet.
pub struct Host {
    /// Its name.
    pub name: String,
    /// Its certificate, PEM.
    pub certificate: String,
    /// The key to it, PEM.
    pub key: String,
    /// How long an operation takes.
    pub pace: Duration,
    pub(crate) outbox: Outbox,
    pub(crate) tally: Arc<Tally>,
    memory: Mutex<Memory>,
}

/// What outlives a connection.
#[derive(Default)]
struct Memory {
    epoch: Epoch,
    commands: BTreeMap<CommandId, Known>,
}

struct Known {
    operation: Box<str>,
    outcome: Option<Box<Outcome>>,
    acknowledged: bool,
}

impl Host {
    pub(crate) fn new(
        name: String,
        certificate: String,
        key: String,
        pace: Duration,
        tally: Arc<Tally>,
    ) -> Self {
        let (outbox, memory) = Default::default();
        Self { name, certificate, key, pace, outbox, tally, memory }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The operations that it carried out, each in words, in the order of their numbers.
    #[must_use]
    pub fn did(&self) -> Vec<String> {
        self.memory().commands.values().map(|known| known.operation.to_string()).collect()
    }

    /// Commands whose outcome is not acknowledged, those at work included.
    pub(crate) fn unacknowledged(&self) -> Vec<CommandId> {
        let memory = self.memory();
        let open = memory.commands.iter().filter(|(_, known)| !known.acknowledged);
        open.map(|(id, _)| *id).collect()
    }

    /// The highest number of a rollout that it remembers.
    pub(crate) fn newest(&self) -> u64 {
        let memory = self.memory();
        memory.commands.keys().map(|id| id.rollout.0).max().unwrap_or_default()
    }

    /// An epoch that is over is not obeyed.
    pub(crate) fn pass(&self, epoch: Epoch) -> Result<()> {
        let mut memory = self.memory();
        if epoch < memory.epoch {
            return Err(format!("epoch {epoch} is over: {} was seen", memory.epoch).into());
        }
        memory.epoch = epoch;
        Ok(())
    }

    /// Sends every outcome that was not acknowledged.
    pub(crate) fn send_again(&self) {
        for known in self.memory().commands.values().filter(|known| !known.acknowledged) {
            if let Some(outcome) = &known.outcome {
                self.outbox.outcome(outcome);
            }
        }
    }

    /// Does a command that is new; repeats the outcome of one that is known.
    pub(crate) fn command(self: &Arc<Self>, command: &Command) {
        self.tally.commanded();
        {
            let mut memory = self.memory();
            if let Some(known) = memory.commands.get(&command.id) {
                if let Some(outcome) = &known.outcome {
                    self.outbox.outcome(outcome);
                }
                return;
            }
            let operation = command.operation.to_string().into();
            let known = Known { operation, outcome: None, acknowledged: false };
            memory.commands.insert(command.id, known);
        }
        let (host, id, given) = (Arc::clone(self), command.id, command.given);
        tokio::spawn(async move {
            let began = Timestamp::now();
            tokio::time::sleep(host.pace).await;
            let outcome = Outcome {
                command: id,
                given,
                result: OpResult::Done,
                began,
                took: Span::from(host.pace),
                output: Output::default(),
                evidence: None,
            };
            if let Some(known) = host.memory().commands.get_mut(&id) {
                known.outcome = Some(Box::new(outcome.clone()));
            }
            host.outbox.outcome(&outcome);
        });
    }

    pub(crate) fn acknowledge(&self, id: CommandId) {
        let mut memory = self.memory();
        if let Some(known) = memory.commands.get_mut(&id).filter(|known| !known.acknowledged) {
            known.acknowledged = true;
            known.outcome = None;
            self.tally.acknowledged();
        }
    }

    /// All is well, and everything is allowed.
    pub(crate) fn inspect(&self, question: &Inspect) -> Result<()> {
        let subjects: Vec<Subject> = from_json("subjects_json", &question.subjects_json)?;
        let findings: Vec<_> = subjects
            .iter()
            .map(|subject| match subject {
                Subject::Unit { .. } => Finding::Unit { active: "active".to_owned() },
                Subject::Clock => Finding::Clock { now: Timestamp::now() },
                _ => Finding::Allowed,
            })
            .collect();
        self.outbox.send(Message::Facts(Facts {
            request: question.request,
            findings_json: to_json(&findings),
            healthy: (!question.probing_json.is_empty()).then_some(true),
        }));
        Ok(())
    }

    pub(crate) fn watch(&self, service: String) {
        self.outbox.send(Message::Health(Health { service, good: true, why: String::new() }));
    }
}

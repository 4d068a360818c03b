//! What must hold, whatever happens; each by name, and each looked at from outside: by what became durable, what went
//! over the wire, what hosts did and what is on their disks. Little of it leans on the machine's own reckoning.

mod effects;
mod fold;
mod honest;
mod limits;
mod once;
mod order;
mod outcomes;
mod recorded;
mod reigns;
mod replay;
mod rolled_back;
mod served;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use dv_coordinator::store::Header;
use dv_proto::v1::{FromAgent, ToAgent, from_agent, to_agent};
use dv_types::{CommandId, Epoch, HostName, Plan, Record, Report, RolloutId, record::Verb};

use crate::{
    host::Host,
    scenario::Scenario,
    world::{Violation, World},
};
use fold::Seen;

/// What an invariant says.
type Verdict = Result<(), Violation>;

fn violated(invariant: &'static str, what: String) -> Verdict {
    Err(Violation { invariant, what })
}

/// What has been seen so far.
pub(crate) struct Watch {
    canary: Option<u32>,
    liar: Option<HostName>,
    rollouts: BTreeMap<RolloutId, Seen>,
    /// Outcomes that were kept although nobody waited for them.
    late: BTreeSet<(CommandId, HostName)>,
    reigns: reigns::Reigns,
    effects: effects::Effects,
}

impl Watch {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let canary = scenario.manifest["strategy"]["canary"].as_u64().filter(|canary| *canary > 0);
        let canary = canary.map(|canary| canary as u32);
        let (rollouts, late, reigns, effects) = Default::default();
        let liar = scenario.liar.clone();
        Self { canary, liar, rollouts, late, reigns, effects }
    }

    /// The newest rollout.
    pub(crate) fn newest(&self) -> RolloutId {
        self.rollouts.keys().next_back().copied().unwrap_or(RolloutId(0))
    }

    /// A coordinator has begun.
    pub(crate) fn reign(&mut self, number: u32, epoch: Epoch) -> Verdict {
        self.reigns.begun(number, epoch)
    }

    /// A coordinator has written something.
    pub(crate) fn wrote(&mut self, number: u32) -> Verdict {
        self.reigns.wrote(number)
    }

    /// Whether no later coordinator has begun.
    pub(crate) fn leads(&self, number: u32) -> bool {
        self.reigns.leads(number)
    }

    /// A rollout was made, or closed.
    pub(crate) fn header(&mut self, header: &Header, plan: Plan) -> Verdict {
        let seen = self.rollouts.entry(header.rollout);
        let seen = seen.or_insert_with(|| Seen::new(header.rollout, Arc::new(plan)));
        seen.closed |= header.end.is_some();
        Ok(())
    }

    /// An outcome was kept although nobody waited for it.
    pub(crate) fn kept_late(&mut self, command: CommandId, host: HostName) {
        self.late.insert((command, host));
    }

    /// A record is durable.
    pub(crate) fn record(&mut self, world: &World, rollout: RolloutId, record: &Record) -> Verdict {
        let Some(seen) = self.rollouts.get_mut(&rollout) else {
            return violated("journal", format!("{rollout} has records and was never made"));
        };
        limits::check(seen, record)?;
        served::left(seen, world, record)?;
        order::check(seen, self.canary, record)?;
        once::check(seen, record)?;
        honest::check(seen, record)?;
        seen.take(record);
        replay::follow(seen, record)
    }

    /// A coordinator says this to an agent.
    pub(crate) fn told(&mut self, host: &HostName, order: &ToAgent) -> Verdict {
        match &order.message {
            Some(to_agent::Message::Command(command)) => {
                recorded::command(&self.rollouts, host, &command.command_json)
            }
            Some(to_agent::Message::Acknowledge(ack)) => {
                recorded::acknowledge(&self.rollouts, &self.late, host, &ack.command)
            }
            _ => Ok(()),
        }
    }

    /// An agent gets this from a coordinator.
    pub(crate) fn delivered(&mut self, host: &Host, order: &ToAgent) {
        self.reigns.delivered(host, order);
    }

    /// An agent says this.
    pub(crate) fn said(&mut self, host: &Host, word: &FromAgent) -> Verdict {
        match &word.message {
            Some(from_agent::Message::Outcome(outcome)) => {
                outcomes::kept(host, &outcome.outcome_json)
            }
            _ => Ok(()),
        }
    }

    /// A host does something that can be seen.
    pub(crate) fn did(&mut self, world: &World, host: &Host, what: &str) -> Verdict {
        let Some(command) = self.effects.begun(host, what)? else {
            // By itself, as with a fault: the coordinator hears of it later.
            host.touch(world);
            return Ok(());
        };
        self.reigns.obeyed(host, command)?;
        // Of what a liar did, what it says tells nothing.
        if self.liar.as_ref() == Some(&host.name) {
            return Ok(());
        }
        once::begun(&mut self.rollouts, host, command)?;
        match self.rollouts.get(&command.rollout) {
            Some(seen) => served::at_once(seen, world, host, command),
            None => Ok(()),
        }
    }

    /// A host's agent has died, or its machine.
    pub(crate) fn died(&mut self, host: &Host) {
        self.effects.died(&host.machine);
    }

    /// A machine begins with what another has on its disk.
    pub(crate) fn copied(&mut self, from: &Host, to: &Host) {
        self.effects.copied(&from.machine, &to.machine);
        self.reigns.copied(&from.machine, &to.machine);
    }

    /// A coordinator answers this.
    pub(crate) fn reported(&self, report: &Report) -> Verdict {
        replay::reported(&self.rollouts, report)
    }

    /// A person says this, and may be refused.
    pub(crate) fn asked(&mut self, rollout: RolloutId, verb: &Verb) {
        if let Some(seen) = self.rollouts.get_mut(&rollout) {
            seen.asked(verb);
        }
    }

    /// All is quiet.
    pub(crate) fn at_rest(&self, world: &World) -> Verdict {
        if let Some((id, _)) = self.rollouts.iter().find(|(_, seen)| !seen.closed) {
            return violated("liveness", format!("{id} has not ended"));
        }
        outcomes::acknowledged(world)?;
        rolled_back::check(&self.rollouts, world)
    }

    /// How far it came, for those who wonder what is simulated at all.
    pub(crate) fn reach(&self) -> crate::Reach {
        let records = self.rollouts.values().map(|seen| seen.records.len()).sum();
        let ended =
            |what| self.rollouts.values().filter(|seen| seen.verdict() == Some(what)).count();
        use dv_types::record::Verdict::{Aborted, Failed, Succeeded};
        crate::Reach {
            rollouts: self.rollouts.len(),
            records,
            effects: self.effects.count(),
            succeeded: ended(Succeeded),
            failed: ended(Failed),
            aborted: ended(Aborted),
        }
    }
}

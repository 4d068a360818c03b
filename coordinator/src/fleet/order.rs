//! What is said between the coordinator and an agent, in words.

use std::{sync::Arc, time::Duration};

use dv_types::{
    Command, CommandId, Digest, Outcome, ServiceName, probe::Probing, warrant::HostWarrant,
};

use super::{Facts, Question};

/// What the coordinator tells an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Do this.
    Command(Command),
    /// What an operator has signed for this host.
    Warrant(Box<HostWarrant>),
    /// Do this, in the name of a warrant.
    Signed {
        /// What.
        command: Command,
        /// Which warrant.
        warrant: Digest,
        /// It takes back what was signed.
        back: bool,
    },
    /// Give this up.
    Cancel(CommandId),
    /// This outcome is kept.
    Acknowledge(CommandId),
    /// Look, and change nothing.
    Inspect {
        /// The number to answer with.
        request: u64,
        /// What to look at.
        question: Arc<Question>,
    },
    /// Ask these probes until told otherwise.
    Watch {
        /// The service that they are of.
        service: ServiceName,
        /// The probes.
        probing: Probing,
    },
    /// Ask them no longer.
    Unwatch {
        /// The service.
        service: ServiceName,
    },
    /// Get a new certificate, because the authority has changed.
    Renew {
        /// At any time within this.
        within: Duration,
    },
}

/// What an agent says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// It is there.
    Heartbeat,
    /// Chatter for people.
    Progress {
        /// The command that it works on.
        command: CommandId,
        /// What it says.
        text: String,
    },
    /// What became of a command.
    Outcome(Outcome),
    /// The probes of a service turned.
    Health {
        /// The service.
        service: ServiceName,
        /// Good or bad.
        good: bool,
        /// The last bad answer.
        why: Option<String>,
    },
    /// The answer to [`Order::Inspect`].
    Facts {
        /// Its number.
        request: u64,
        /// What was found.
        facts: Facts,
    },
}

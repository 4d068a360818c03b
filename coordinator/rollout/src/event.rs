//! What the machine is told.

use dv_types::{GateAnswer, HostName, Outcome, Sample, Timestamp, record::Verb};

/// Something that happened outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Begin. Say [`Event::Connected`] of every host that is in contact right after it.
    Start {
        /// Who asked for it.
        by: String,
        /// Why, where a reason was given.
        reason: Option<String>,
        /// Gates that are overridden from the start.
        overrides: Vec<String>,
    },
    /// A gate answers.
    Gate {
        /// What.
        answer: GateAnswer,
    },
    /// The service was looked at for one interval.
    Sampled {
        /// What was seen.
        sample: Sample,
    },
    /// A coordinator takes the rollout up again; hosts count as out of contact until they are said to be back.
    Recover,
    /// A host's agent is in contact, perhaps again: what it was told and has not answered is sent anew.
    Connected {
        /// The host.
        host: HostName,
        /// When it enrolled last. Whatever it was told before that, the host that has enrolled since may not know.
        enrolled: Timestamp,
    },
    /// A host's agent is out of contact.
    Disconnected {
        /// The host.
        host: HostName,
    },
    /// A host's probes turned.
    Health {
        /// The host.
        host: HostName,
        /// Good or bad.
        good: bool,
        /// The last bad answer.
        why: Option<String>,
    },
    /// A host says what became of a command, perhaps again.
    Outcome {
        /// The host.
        host: HostName,
        /// What became of it.
        outcome: Outcome,
    },
    /// A person decided something.
    Operator {
        /// Who.
        by: String,
        /// What.
        verb: Verb,
        /// Why, where a reason was given.
        reason: Option<String>,
    },
    /// Time has passed.
    Tick,
}

/// An event that the machine does not take, and why, in words for the person or the log that it came from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Rejected {
    /// Which of the turn's events, from 0.
    pub event: usize,
    /// Why.
    pub why: String,
}

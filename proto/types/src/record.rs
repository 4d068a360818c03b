//! The journal's entries. A rollout's state is a fold over its records, and nothing else.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    CommandId, Epoch, GateAnswer, HostName, Judgement, Outcome, Sample, Timestamp,
    monitor::Watching,
};

/// One entry of a rollout's journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its place in the journal, from 1, without gaps.
    pub number: u64,
    /// When it was written, by the coordinator's clock.
    pub at: Timestamp,
    /// The coordinator's reign that wrote it.
    pub epoch: Epoch,
    /// What it says.
    pub fact: Fact,
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// The rollout began.
    Started {
        /// Who asked for it.
        by: String,
        /// Why, where a reason was given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// Gates that the person overrides from the start.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        overrides: Vec<String>,
    },
    /// A gate answered.
    GateAnswered {
        /// What.
        answer: GateAnswer,
    },
    /// A host is told to carry out something that happens once.
    OnceCommanded {
        /// Its index in the plan.
        once: u32,
        /// The host.
        host: HostName,
        /// The command's number.
        command: CommandId,
    },
    /// A host is told to give up something that happens once.
    OnceCancelling {
        /// Its index in the plan.
        once: u32,
    },
    /// A host said what became of something that happens once.
    OnceReported {
        /// Its index in the plan.
        once: u32,
        /// The host.
        host: HostName,
        /// What became of it.
        outcome: Outcome,
    },
    /// Nothing is heard of a host that was carrying out something that happens once: nobody knows whether it was
    /// done, and it is not done again.
    OnceLost {
        /// Its index in the plan.
        once: u32,
        /// What is known.
        known: String,
    },
    /// The service is watched from now on.
    MonitorStarted {
        /// When.
        watching: Watching,
    },
    /// What was seen of the service in one interval.
    Sampled {
        /// What.
        sample: Sample,
    },
    /// The monitor has found what it was to find.
    Judged {
        /// When.
        watching: Watching,
        /// What.
        judgement: Judgement,
    },
    /// The version is found bad, or can't be brought out: nothing more is commanded.
    Condemned {
        /// By what.
        by: Condemner,
        /// Why.
        why: String,
    },
    /// A coordinator took the rollout up again; it knows no host's connection yet.
    Recovered,
    /// A host's agent is in contact.
    Connected {
        /// The host.
        host: HostName,
    },
    /// A host's agent is out of contact.
    Disconnected {
        /// The host.
        host: HostName,
    },
    /// The service's probes on a host turned good or bad.
    Health {
        /// The host.
        host: HostName,
        /// Which.
        good: bool,
        /// The last bad answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
    /// A wave's hosts may begin.
    WaveStarted {
        /// Its index in the plan.
        wave: u32,
    },
    /// A host is told to carry out an operation.
    Commanded {
        /// The host.
        host: HostName,
        /// The command's number.
        command: CommandId,
        /// How often the host has been tried, from 1.
        attempt: u32,
        /// The index of the operation in the host's program.
        step: u32,
    },
    /// A host is told to give up an operation.
    Cancelling {
        /// The host.
        host: HostName,
        /// The command.
        command: CommandId,
    },
    /// A host said what became of a command.
    Reported {
        /// The host.
        host: HostName,
        /// What became of it.
        outcome: Outcome,
    },
    /// A host has done its whole program and is well; or it had turned bad after that, and is well again.
    HostHealthy {
        /// The host.
        host: HostName,
    },
    /// A host has failed.
    HostFailed {
        /// The host.
        host: HostName,
        /// Why.
        why: String,
    },
    /// A host is out of reach, and the rollout goes on without it.
    HostUnreachable {
        /// The host.
        host: HostName,
        /// What is known of it.
        known: String,
    },
    /// A host that had begun is left as it is, because the rollout ends.
    HostStopped {
        /// The host.
        host: HostName,
    },
    /// A host that was out of reach is back, and takes its turn again.
    HostReturned {
        /// The host.
        host: HostName,
    },
    /// The canary is healthy, and waits for a person to promote it.
    CanaryHealthy {
        /// The canary's wave.
        wave: u32,
    },
    /// More hosts have failed than is tolerated: nothing more is commanded.
    BudgetSpent {
        /// How many failed.
        failed: u32,
        /// How many are tolerated.
        tolerated: u32,
    },
    /// Nothing more is begun until a person decides.
    Paused {
        /// Why.
        why: PauseWhy,
    },
    /// A person decided something.
    Operator {
        /// Who.
        by: String,
        /// What.
        verb: Verb,
        /// Why, where a reason was given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The rollout is over. It is always the last record.
    Ended {
        /// How.
        verdict: Verdict,
        /// Whether a rollback of it follows by itself.
        rollback: bool,
    },
}

/// Why a rollout paused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseWhy {
    /// A person said so.
    Operator,
    /// Too many hosts failed, and the manifest says `on_failure: pause`.
    Failures {
        /// How many failed.
        failed: u32,
        /// How many are tolerated.
        tolerated: u32,
    },
    /// Too many hosts are out of reach.
    Unreachable {
        /// How many are.
        unreachable: u32,
        /// How many are tolerated.
        tolerated: u32,
    },
    /// No host of the canary could be updated, so it proves nothing.
    EmptyCanary,
    /// No host became healthy within `progress_deadline`.
    NoProgress,
    /// A gate could not tell.
    Gate {
        /// Which.
        gate: String,
        /// Why.
        why: String,
    },
    /// Nobody knows whether something that happens once was done.
    OnceUnknown {
        /// Its name.
        once: String,
        /// What is known.
        known: String,
    },
    /// The version is found bad, and the manifest does not say `on_failure: rollback`.
    Condemned {
        /// By what.
        by: Condemner,
        /// Why.
        why: String,
    },
    /// The version should be rolled back, and the code before it can't run on the schema that it brought: an
    /// automatic rollback never touches the database.
    Migrated {
        /// The migrations that forbid it.
        migrations: Vec<String>,
        /// Why it should be rolled back.
        because: String,
    },
    /// The monitor saw too little to tell.
    Inconclusive {
        /// Why.
        why: String,
    },
}

/// What finds a version bad, or can't bring it out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condemner {
    /// A gate.
    Gate {
        /// Its name.
        gate: String,
    },
    /// Something that happens once.
    Once {
        /// Its name.
        once: String,
    },
    /// The monitor.
    Monitor,
}

impl fmt::Display for Condemner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gate { gate } => write!(f, "gate {gate}"),
            Self::Once { once } => f.write_str(once),
            Self::Monitor => f.write_str("monitor"),
        }
    }
}

impl fmt::Display for PauseWhy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator => f.write_str("an operator paused it"),
            Self::Failures { failed, tolerated } => {
                write!(f, "{failed} failed, and max_failures is {tolerated}")
            }
            Self::Unreachable { unreachable, tolerated } => {
                write!(f, "{unreachable} out of reach, and max_unreachable is {tolerated}")
            }
            Self::EmptyCanary => f.write_str("no canary host could be updated"),
            Self::NoProgress => f.write_str("no host became healthy within progress_deadline"),
            Self::Gate { gate, why } => write!(f, "the gate {gate} cannot tell: {why}"),
            Self::OnceUnknown { once, known } => {
                write!(f, "nobody knows whether {once} was done: {known}")
            }
            Self::Condemned { by, why } => write!(f, "{by} failed: {why}"),
            Self::Migrated { migrations, because } => write!(
                f,
                "{because}; it can't go back by itself, because the code before it can't run on the schema after {}",
                migrations.join(", ")
            ),
            Self::Inconclusive { why } => write!(f, "the monitor is inconclusive: {why}"),
        }
    }
}

/// What a person can say to a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// Begin no further host; hosts that have begun go on to their end.
    Pause,
    /// Go on. Failures so far are forgiven.
    Resume,
    /// Let the hosts after the canary begin.
    Promote,
    /// End it here: give up what is under way, command nothing more, leave every host as it is.
    Abort,
    /// A catch-up ends here: a rollout of its service comes, which takes its hosts along. Said by dv, not by a person.
    MakeWay,
    /// End it here, and take every touched host back.
    Rollback,
    /// Try a host again from its first operation.
    Retry {
        /// The host.
        host: HostName,
    },
    /// Leave a host out; it counts in no budget.
    Skip {
        /// The host.
        host: HostName,
    },
    /// Go on in spite of what a gate says.
    Override {
        /// The gate.
        gate: String,
    },
    /// Say whether something that happens once was done.
    Resolve {
        /// Its name.
        once: String,
        /// It was; else it is not done, and may be done now.
        done: bool,
    },
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pause => f.write_str("pause"),
            Self::Resume => f.write_str("resume"),
            Self::Promote => f.write_str("promote"),
            Self::Abort => f.write_str("abort"),
            Self::MakeWay => f.write_str("make way"),
            Self::Rollback => f.write_str("rollback"),
            Self::Retry { host } => write!(f, "retry {host}"),
            Self::Skip { host } => write!(f, "skip {host}"),
            Self::Override { gate } => write!(f, "override the gate {gate}"),
            Self::Resolve { once, done: true } => write!(f, "resolve {once} as done"),
            Self::Resolve { once, done: false } => write!(f, "resolve {once} as not done"),
        }
    }
}

/// How a rollout ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every host within reach that was not skipped runs the version, failures within the budget aside.
    Succeeded,
    /// More hosts failed than is tolerated.
    Failed,
    /// A person ended it.
    Aborted,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Aborted => "aborted",
        })
    }
}

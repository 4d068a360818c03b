//! Where a rollout stands: a fold over its records, made to be read.

use serde::{Deserialize, Serialize};

use crate::{
    CommandId, Evidence, GateAnswer, HostName, Judgement, Migration, MigrationKind, OpResult,
    RolloutId, Sample, ServiceName, Span, Timestamp, Version, WaitingOn,
    monitor::Watching,
    plan::{Database, Kind},
    record::{PauseWhy, Verdict},
};

/// Where a rollout stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The rollout.
    pub rollout: RolloutId,
    /// The service.
    pub service: ServiceName,
    /// The version that goes out; in a reversal, the one that is taken back.
    pub version: Version,
    /// Why it is made.
    pub kind: Kind,
    /// The plan's hash.
    pub plan: String,
    /// Who started it.
    pub by: String,
    /// The number of the last record that is counted in.
    pub record: u64,
    /// When it began.
    pub began: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// Where it stands.
    pub state: State,
    /// The wave that is under way, from 1 (0 before the first), and how many there are.
    pub wave: (u32, u32),
    /// Hosts by phase.
    pub totals: Totals,
    /// Every host, in the plan's order.
    pub hosts: Vec<HostReport>,
    /// The gates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<GateReport>,
    /// What happens once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub once: Vec<OnceReport>,
    /// The migrations that this rollout applied, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub migrations: Vec<Migration>,
    /// In a reversal: what becomes of the database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<Database>,
    /// What the monitor saw and found, one for each time that it watched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub monitor: Vec<MonitorReport>,
    /// What the rollout as a whole waits on; never empty while it is unfinished.
    pub waiting: Vec<WaitingOn>,
    /// Whether a rollback of it follows, or followed, by itself.
    pub rollback: bool,
    /// Whether it ended for a later rollout of its service: the hosts that it did not come to still follow.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub made_way: bool,
    /// The rollout that takes this one back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reversed_by: Option<RolloutId>,
}

impl Report {
    /// Whether it changed anything: a host, or the database.
    #[must_use]
    pub fn has_changed(&self) -> bool {
        self.totals.touched > 0 || !self.migrations.is_empty()
    }

    /// Whether any of that goes back where it is taken back: an expanding migration stays.
    #[must_use]
    pub fn can_go_back(&self) -> bool {
        let stays = |migration: &Migration| migration.kind == MigrationKind::Expand;
        self.totals.touched > 0 || !self.migrations.iter().all(stays)
    }
}

/// Where a rollout stands, in one word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It goes on.
    Running,
    /// Its canary is healthy and waits to be promoted.
    AwaitingPromotion,
    /// It waits for a person.
    Paused(PauseWhy),
    /// Nothing more is commanded; what is under way ends first.
    Ending(Verdict),
    /// It is over.
    Ended(Verdict),
}

/// Hosts by phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Totals {
    /// All of them.
    pub hosts: u32,
    /// Not begun.
    pub pending: u32,
    /// Under way.
    pub working: u32,
    /// Done and well.
    pub healthy: u32,
    /// Failed.
    pub failed: u32,
    /// Out of reach.
    pub unreachable: u32,
    /// Left out by a person.
    pub skipped: u32,
    /// Given up in the middle because the rollout ended.
    pub stopped: u32,
    /// Given at least one command that changes what they run.
    pub touched: u32,
    /// Available: in contact and serving, as far as is known.
    pub available: u32,
}

/// What a host is in a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Not begun.
    Pending,
    /// Under way.
    Working,
    /// Done and well.
    Healthy,
    /// Failed.
    Failed,
    /// Out of reach.
    Unreachable,
    /// Left out by a person.
    Skipped,
    /// Begun, and given up in the middle because the rollout ended.
    Stopped,
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Pending => "pending",
            Self::Working => "working",
            Self::Healthy => "healthy",
            Self::Failed => "failed",
            Self::Unreachable => "unreachable",
            Self::Skipped => "skipped",
            Self::Stopped => "stopped",
        })
    }
}

/// One host in a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostReport {
    /// The host.
    pub name: HostName,
    /// Its wave, from 1.
    pub wave: u32,
    /// What it is.
    pub phase: Phase,
    /// In contact.
    pub connected: bool,
    /// Whether the service's probes are good, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub good: Option<bool>,
    /// Given at least one command that changes what it runs.
    pub touched: bool,
    /// It went back by itself, all the way, because nobody confirmed it in time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reverted: bool,
    /// How often it has been tried.
    pub attempt: u32,
    /// What it ran when the plan was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Version>,
    /// What it shall run; unknown where a reversal takes it back to a version that dv did not bring.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Version>,
    /// When its first command was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began: Option<Timestamp>,
    /// When it became healthy, failed or was skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// The operation that it carries out, or carried out last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepReport>,
    /// What it waits on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<WaitingOn>,
    /// Why it failed, is out of reach, or was skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// An operation of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepReport {
    /// The command.
    pub command: CommandId,
    /// Its place in the host's program, from 1.
    pub number: u32,
    /// How many there are.
    pub of: u32,
    /// What it does.
    pub operation: String,
    /// When it was commanded.
    pub since: Timestamp,
    /// Whether its outcome is still to come.
    pub outstanding: bool,
}

/// A gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateReport {
    /// Its name.
    pub gate: String,
    /// Its last answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<GateAnswer>,
    /// Who goes on in spite of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overridden: Option<String>,
}

/// Something that happens once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnceReport {
    /// Its name.
    pub name: String,
    /// What is done.
    pub operation: String,
    /// How it stands.
    pub state: OnceState,
    /// The host that was told last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostName>,
    /// Its command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<CommandId>,
    /// When it was commanded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// How long it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took: Option<Span>,
    /// What the host said became of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<OpResult>,
    /// What was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    /// The person who said whether it was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_by: Option<String>,
}

/// How something stands that happens once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnceState {
    /// Not begun.
    Pending,
    /// Under way.
    Working,
    /// Done.
    Done,
    /// Tried, and failed.
    Failed,
    /// Nobody knows whether it was done: a person says.
    Unknown,
}

impl std::fmt::Display for OnceState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Pending => "pending",
            Self::Working => "working",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        })
    }
}

/// What the monitor saw and found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonitorReport {
    /// When it watched.
    pub watching: Watching,
    /// Since when.
    pub since: Timestamp,
    /// Until when at the latest.
    pub until: Timestamp,
    /// How many samples it has.
    pub samples: u32,
    /// The last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Sample>,
    /// What it found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judgement: Option<Judgement>,
}

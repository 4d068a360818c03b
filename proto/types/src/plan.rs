//! A plan: which hosts, in which order, what on each, what to go back to. Once made, nothing is left to choose.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{
    Finding, HostName, Manifest, Migration, Operation, RolloutId, Schema, ServiceName, Span,
    Subject, Version,
    manifest::{Monitor, OnFailure},
    probe::Probing,
};

/// A complete plan of one rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The form of this document.
    pub format: u32,
    /// The service.
    pub service: ServiceName,
    /// The version that goes out; in a reversal, the one that is taken back.
    pub version: Version,
    /// Why it is made.
    pub kind: Kind,
    /// The manifest that it was made from, so that a rollback or a late host needs nobody's file.
    pub manifest: Manifest,
    /// The operations of a host, in order. Hosts with equal ones share a program.
    pub programs: Vec<Program>,
    /// The hosts.
    pub hosts: Vec<PlannedHost>,
    /// The order: a wave begins when the one before it has passed.
    pub waves: Vec<Wave>,
    /// How careful to be, in whole hosts.
    pub limits: Limits,
    /// How the hosts are watched while the rollout runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch: Option<Probing>,
    /// What must hold before anything is touched, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<String>,
    /// What happens once, however many hosts there are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub once: Vec<PlannedOnce>,
    /// How error rate and latency are watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitor: Option<Monitor>,
    /// Where the database's schema stood when the plan was made, and what is pending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Schema>,
    /// In a reversal: what becomes of the database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<Database>,
    /// What the reader should know.
    #[serde(default)]
    pub notes: Vec<Note>,
}

/// Something that happens one time in a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedOnce {
    /// Its name: `backup`, `migrate`, `smoke` … by which a person resolves it.
    pub name: String,
    /// When it is its turn.
    pub turn: Turn,
    /// Hosts on which it may run, the first in contact is taken; none listed: the first host that comes to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<HostName>,
    /// What is done. `${rollout}` in its commands stands for the rollout's number.
    pub operation: Operation,
}

/// When it is the turn of something that happens once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Turn {
    /// When the first host comes to a [`Barrier`] of it.
    Steps,
    /// When the canary is healthy, before the hosts after it.
    Canary,
    /// After the last host.
    End,
}

/// A place in a program that no host passes before something that happens once is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Barrier {
    /// Index of the operation that it stands before.
    pub before: u32,
    /// Index of the once-step in the plan.
    pub once: u32,
}

/// How a rollout is to be taken back. Where nobody asked for it, nothing of it is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Wish {
    /// A person asks; what follows by itself never touches the database.
    pub by_person: bool,
    /// All hosts at once, instead of in the manifest's batches.
    pub all_at_once: bool,
    /// Only the code goes back, whatever was migrated.
    pub code_only: bool,
    /// Migrations are taken back although that loses data.
    pub accept_data_loss: bool,
    /// The rollout's backup is restored.
    pub restore_backup: bool,
}

/// What becomes of the database when a rollout is taken back, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Database {
    /// What.
    pub way: Way,
    /// Why, in one line.
    pub why: String,
}

/// A way back for the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// It stays as it is: only the code goes back.
    Code,
    /// These migrations are taken back, the newest first, before the code.
    Downgrade {
        /// Which.
        migrations: Vec<Migration>,
    },
    /// The rollout's backup is restored, before the code: what was written since is lost.
    Restore,
}

/// Why a plan is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A new version goes out.
    Forward,
    /// A rollout is undone. Such a plan is never undone itself.
    Reversal {
        /// The rollout that is undone.
        of: RolloutId,
    },
    /// Hosts that were out of reach are brought to where their rollout ended.
    CatchUp {
        /// That rollout.
        of: RolloutId,
    },
}

/// The operations of a host, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// What is done.
    pub operations: Vec<Operation>,
    /// What must be done once before a host goes on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub barriers: Vec<Barrier>,
}

/// A host in a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedHost {
    /// Its name.
    pub name: HostName,
    /// Which of the plan's programs it gets.
    pub program: usize,
    /// The version that it ran when the plan was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Version>,
    /// What its images' tags and its working trees were when the plan was made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<(Subject, Finding)>,
    /// The version that it shall run: the plan's; in a reversal the one that it ran before, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Version>,
    /// Whether its service was well when the plan was made; unknown where it was out of reach or has no probes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthy: Option<bool>,
}

/// Hosts that are updated before those of the next wave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wave {
    /// What it is.
    pub kind: WaveKind,
    /// Its hosts, in the order in which they are taken.
    pub hosts: Vec<HostName>,
    /// How many of them at once.
    pub max_parallel: u32,
}

/// What a wave is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaveKind {
    /// The first hosts; what follows waits until they are promoted.
    Canary,
    /// A part of the fleet.
    Batch,
}

/// The manifest's strategy, in whole hosts of this plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// So many failed hosts are tolerated.
    pub max_failures: u32,
    /// So many unreachable hosts are tolerated.
    pub max_unreachable: u32,
    /// So many hosts must stay available.
    pub min_available: u32,
    /// The rollout pauses when no host has become healthy for this long.
    pub progress_deadline: Span,
    /// A host that has been out of contact for this long is unreachable.
    pub lost_after: Span,
    /// What happens when `max_failures` is exceeded.
    pub on_failure: OnFailure,
    /// Whether a healthy canary is promoted without a person.
    pub auto_promote: bool,
}

/// A remark on a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// How much it matters.
    pub severity: Severity,
    /// The host that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostName>,
    /// The remark.
    pub text: String,
}

/// How much a note matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know.
    Info,
    /// The rollout can run, with this risk.
    Warning,
    /// The rollout is refused.
    Error,
}

impl Plan {
    /// The form that this version writes.
    pub const FORMAT: u32 = 1;

    /// What is agreed to with `--plan`: SHA-256, in hexadecimal, of all that the plan will do. Left out is what was
    /// merely seen while it was made: the notes, and how well each host was. What follows from that, such as the
    /// order of the hosts, is in it.
    #[must_use]
    pub fn hash(&self) -> String {
        let mut agreed = Self { notes: Vec::new(), ..self.clone() };
        for host in &mut agreed.hosts {
            host.healthy = None;
        }
        let json = serde_json::to_vec(&agreed).expect("a plan is plain data");
        let digest = Sha256::digest(&json);
        digest.iter().map(|b| format!("{b:02x}")).collect()
    }

    /// The host of this name.
    #[must_use]
    pub fn host(&self, name: &HostName) -> Option<&PlannedHost> {
        self.hosts.iter().find(|h| h.name == *name)
    }

    /// What is done on `host`.
    #[must_use]
    pub fn operations(&self, host: &PlannedHost) -> &[Operation] {
        self.programs.get(host.program).map_or(&[], |p| p.operations.as_slice())
    }

    /// What must be done once before `host` begins the operation at `index`.
    pub fn barriers(&self, host: &PlannedHost, index: u32) -> impl Iterator<Item = usize> {
        let program = self.programs.get(host.program);
        let barriers = program.into_iter().flat_map(|program| &program.barriers);
        barriers.filter(move |b| b.before == index).map(|b| b.once as usize)
    }

    /// Of a reversal: the touched hosts that it can't take back, and why.
    pub fn left_as_they_are(&self) -> impl Iterator<Item = (&HostName, &str)> {
        let reversal = matches!(self.kind, Kind::Reversal { .. });
        let notes = self.notes.iter().filter(move |_| reversal);
        notes.filter_map(|note| Some((note.host.as_ref()?, note.text.as_str())))
    }

    /// The notes that forbid the rollout.
    pub fn errors(&self) -> impl Iterator<Item = &Note> {
        self.notes.iter().filter(|n| n.severity == Severity::Error)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forward => f.write_str("rollout"),
            Self::Reversal { of } => write!(f, "rollback of {of}"),
            Self::CatchUp { of } => write!(f, "catch-up of {of}"),
        }
    }
}

//! What became of a command: the evidence.

use serde::{Deserialize, Serialize};

use crate::{CommandId, Commit, Digest, Migration, Span, Timestamp};

/// What an agent reports of one command, once and for ever the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The command.
    pub command: CommandId,
    /// When the command was given, as the command says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given: Option<Timestamp>,
    /// How it ended.
    pub result: OpResult,
    /// When it began, by the host's clock.
    pub began: Timestamp,
    /// How long it took.
    pub took: Span,
    /// What it printed.
    #[serde(default, skip_serializing_if = "Output::is_empty")]
    pub output: Output,
    /// What was there before and after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OpResult {
    /// It was done.
    Done,
    /// It was tried and failed.
    Failed(String),
    /// It ran into its time limit and was ended.
    TimedOut(String),
    /// It was not begun: the policy, the epoch or the agent's version forbids it.
    Refused(String),
    /// The coordinator called it off.
    Cancelled,
    /// The agent died in the middle and can't tell whether it was done.
    Unknown(String),
}

impl OpResult {
    /// Whether the operation was done.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }
}

/// One line, as an operator reads it.
impl std::fmt::Display for OpResult {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Failed(why) => write!(f, "failed: {why}"),
            Self::TimedOut(why) => write!(f, "timed out: {why}"),
            Self::Refused(why) => write!(f, "refused on the host: {why}"),
            Self::Cancelled => f.write_str("cancelled"),
            Self::Unknown(why) => write!(f, "outcome unknown: {why}"),
        }
    }
}

/// The end of what was printed, standard output and standard error in the order in which they came.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Output {
    /// The last part of it, at most [`Output::LIMIT`] bytes.
    pub tail: String,
    /// Bytes that came before it and were dropped.
    #[serde(default)]
    pub dropped: u64,
}

impl Output {
    /// The most that is kept, in bytes.
    pub const LIMIT: usize = 4096;

    /// Whether nothing was printed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tail.is_empty() && self.dropped == 0
    }
}

/// An image on a host: its id (always there) and its registry digest (if it came from a registry).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ImageId {
    /// The image's id in the host's engine.
    pub id: Digest,
    /// The digest in the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
}

/// What the two tags of a repository name on a host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tags {
    /// `latest`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest: Option<ImageId>,
    /// `previous`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<ImageId>,
}

/// What was found before and after an operation, by its kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// Of a pull: the image that is there now.
    Pulled {
        /// The image.
        image: ImageId,
    },
    /// Of a change of tags.
    Tags {
        /// Before it.
        before: Tags,
        /// After it.
        after: Tags,
    },
    /// Of a checkout.
    Commit {
        /// Before it.
        before: Commit,
        /// After it.
        after: Commit,
    },
    /// Of a unit's job.
    Unit {
        /// systemd's job result: `done`, `failed`, `timeout`, `canceled`, `dependency`, `skipped`.
        job: String,
        /// `ActiveState` after it.
        active: String,
        /// `SubState` after it.
        sub: String,
        /// The main process after it; 0 if there is none.
        main_pid: u32,
    },
    /// Of a command.
    Exit {
        /// Its exit code, or nothing if a signal ended it.
        code: Option<i32>,
        /// The signal that ended it.
        signal: Option<i32>,
    },
    /// Of a verification.
    Health {
        /// Rounds asked.
        rounds: u32,
        /// Time to the first good round of the run that counted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        first_good: Option<Span>,
        /// The last bad answer, as `probe: why`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        last_bad: Option<String>,
    },
    /// Of a backup: the proof that it is there.
    Backup {
        /// Bytes.
        size: u64,
        /// When it was made, where that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        created: Option<Timestamp>,
        /// SHA-256 in hexadecimal, where it is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sha256: Option<String>,
        /// Its file, where that was looked at.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        file: Option<String>,
    },
    /// Of migrations, up or down; also of those that failed in the middle.
    Schema {
        /// The head before.
        before: Option<String>,
        /// The head after.
        after: Option<String>,
        /// Those that were applied or taken back, in the order in which that was done.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        changed: Vec<Migration>,
        /// How many followed these, and are not named: an outcome has a limit.
        #[serde(default, skip_serializing_if = "is_zero")]
        omitted: u32,
    },
    /// Of a smoke test: each request that was made.
    Smoke {
        /// `GET /login: 200 in 12ms`
        requests: Vec<String>,
    },
    /// Of the dead-man's switch: when the host goes back unless it is confirmed.
    Armed {
        /// By the host's clock.
        until: Timestamp,
    },
    /// Of a host that went back by itself because nobody confirmed it.
    Reverted {
        /// When, by the host's clock.
        at: Timestamp,
        /// Whether each operation of the way back was done.
        complete: bool,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

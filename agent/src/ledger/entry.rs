//! One file of the ledger.

use std::path::Path;

use dv_types::{CommandId, Commit, Operation, Outcome, Timestamp, outcome::Tags};
use serde::{Deserialize, Serialize};

use crate::ports::Disk;

/// A command and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) id: CommandId,
    /// Nothing where the command was called off before it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) operation: Option<Operation>,
    /// When the command was given, as it says itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) given: Option<Timestamp>,
    pub(crate) began: Timestamp,
    /// What was there before it was acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mark: Option<Mark>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) outcome: Option<Outcome>,
    /// It was cut off, and may have left something half written.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) unfinished: bool,
    /// Since when the coordinator is known to have the outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) acknowledged: Option<Timestamp>,
}

/// What was there before an operation, by its kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Mark {
    /// A unit: it settles whether it was restarted before a crash.
    Unit(UnitMark),
    /// The tags: once some of them are moved, nobody else can tell where they were.
    Tags {
        /// What they named.
        tags: Tags,
    },
    /// A working tree, likewise.
    Commit {
        /// What was checked out.
        commit: Commit,
    },
}

/// Which run of a unit there was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UnitMark {
    /// systemd's `InvocationID`, in hexadecimal; empty where the unit never ran.
    pub(crate) invocation: String,
}

/// Reads an entry, or says why its file is none.
pub(super) fn read(disk: &dyn Disk, path: &Path) -> Result<Entry, String> {
    let text = disk.read(path).map_err(|e| e.to_string())?;
    let entry: Entry = serde_json::from_slice(&text).map_err(|e| e.to_string())?;
    if path.file_stem().is_some_and(|stem| stem == entry.id.to_string().as_str()) {
        Ok(entry)
    } else {
        Err(format!("it is about {}", entry.id))
    }
}

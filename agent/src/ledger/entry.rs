//! One file of the ledger.

use std::{fs, path::Path};

use dv_types::{CommandId, Operation, Outcome, Timestamp};
use serde::{Deserialize, Serialize};

/// A command and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) id: CommandId,
    /// Nothing where the command was called off before it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) operation: Option<Operation>,
    pub(crate) began: Timestamp,
    /// The unit before it was acted on: what settles the question after a crash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mark: Option<UnitMark>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) outcome: Option<Outcome>,
    /// Since when the coordinator is known to have the outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) acknowledged: Option<Timestamp>,
}

/// Which run of a unit there was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UnitMark {
    /// systemd's `InvocationID`, in hexadecimal; empty where the unit never ran.
    pub(crate) invocation: String,
}

/// Reads an entry, or says why its file is none.
pub(super) fn read(path: &Path) -> Result<Entry, String> {
    let text = fs::read(path).map_err(|e| e.to_string())?;
    let entry: Entry = serde_json::from_slice(&text).map_err(|e| e.to_string())?;
    if path.file_stem().is_some_and(|stem| stem == entry.id.to_string().as_str()) {
        Ok(entry)
    } else {
        Err(format!("it is about {}", entry.id))
    }
}

//! What the coordinator sends an agent.

use serde::{Deserialize, Serialize};

use crate::{CommandId, Operation, Timestamp};

/// An operation with its number. An agent does a number once; asked again, it repeats the outcome.
/// A store that has gone back in time may give a number again: then the times differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Its number.
    pub id: CommandId,
    /// How often the host has been tried in this rollout, from 1.
    pub attempt: u32,
    /// When it was given, as its record says; a coordinator of an earlier version does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given: Option<Timestamp>,
    /// What to do.
    pub operation: Operation,
}

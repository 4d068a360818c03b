//! What the coordinator sends an agent.

use serde::{Deserialize, Serialize};

use crate::{CommandId, Operation};

/// An operation with its number. An agent does a number once; asked again, it repeats the outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Its number.
    pub id: CommandId,
    /// How often the host has been tried in this rollout, from 1.
    pub attempt: u32,
    /// What to do.
    pub operation: Operation,
}

//! Migrations of a database, and what they mean for the way back.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a migration means for the code that ran before it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum MigrationKind {
    /// It only adds: the old code runs on the new schema, so the way back needs the code alone.
    Expand,
    /// The old code can't run on the new schema; taking it back loses nothing.
    Reversible,
    /// Taking it back loses data.
    Irreversible,
}

impl fmt::Display for MigrationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Expand => "expand",
            Self::Reversible => "reversible",
            Self::Irreversible => "irreversible",
        })
    }
}

/// One migration.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Migration {
    /// Its name.
    pub name: String,
    /// What it means for the way back; where nobody says, the worst.
    pub kind: MigrationKind,
}

impl fmt::Display for Migration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.kind)
    }
}

/// Where a database's schema stands.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Schema {
    /// The last migration that was applied; nothing where none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<String>,
    /// Those to come, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending: Vec<Migration>,
}

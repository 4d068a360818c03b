//! Steps that happen one time per rollout, however large the fleet: the database is one.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{HostName, Size, Span, migration::MigrationKind};

/// Where a step runs that runs once. Nothing given: on the first host of the rollout that comes to it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Once {
    /// The host. It need not be one of the rollout's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostName>,
    /// Labels of the host; of several that carry them all, the first that is in contact.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// A backup that is made before anything is touched, once. Without proof of it the rollout ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BackupStep {
    /// The command that makes it. `${version}` and `${rollout}` make its tag.
    pub create: Vec<String>,
    /// The command that restores exactly this backup: the last resort of `dvctl rollback --restore-backup`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore: Option<Vec<String>>,
    /// What shows that it is there.
    #[serde(default)]
    pub proof: Proof,
    /// Where it is made.
    #[serde(default, rename = "once")]
    pub on: Once,
    /// How long it may take.
    #[serde(default = "one_hour")]
    pub timeout: Span,
}

/// What shows that a backup is there. Without any of it, what the command printed: lines such as `size: 1234`,
/// `sha256: …` and `created: 2026-01-31T12:00:00Z`; a size at least.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// The backup's file on the host, as the policy lists it under `files`. It must be younger than the step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// A command that prints `size: …` and the like about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// With `file`: compute its SHA-256 too.
    #[serde(default)]
    pub checksum: bool,
    /// So large it is at least.
    #[serde(default = "one_byte")]
    pub min_size: Size,
}

/// Migrations of the database, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MigrateStep {
    /// The command that prints the schema's `head: NAME` and one `pending: NAME [KIND]` for each migration to come.
    pub check: Vec<String>,
    /// The command that applies what is pending.
    pub upgrade: Vec<String>,
    /// The command that takes the last `${count}` migrations back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub downgrade: Option<Vec<String>>,
    /// Of a migration by its name: what it means for the way back. It outranks what the command prints;
    /// a migration of which neither says anything counts as irreversible.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub kinds: BTreeMap<String, MigrationKind>,
    /// Where they run.
    #[serde(default, rename = "once")]
    pub on: Once,
    /// How long they may take.
    #[serde(default = "one_hour")]
    pub timeout: Span,
}

impl Default for Proof {
    fn default() -> Self {
        Self { file: None, command: None, checksum: false, min_size: one_byte() }
    }
}

fn one_hour() -> Span {
    Span::from_secs(3600)
}
fn one_byte() -> Size {
    Size(1)
}

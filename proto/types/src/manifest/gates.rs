//! What must hold before anything is touched.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Size, Span};

/// The gates of a rollout. Each answers pass, fail or *cannot tell*; what can't be told waits for a person.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Gates {
    /// The release's commit is on the branch, and its pull request is merged with an approving review that came
    /// after the last push.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reviewed: Option<Reviewed>,
    /// The named checks of exactly that commit succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tests: Option<Tests>,
    /// Every host is in contact, or no more are out of it than `max_unreachable`. Without the gate a plan that finds
    /// more is refused.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub reachable: bool,
    /// Every host finds the version's image in its registry, and it is the one that the plan has found. Without the
    /// gate a plan is refused where a host does not find it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub image: bool,
    /// Every host has room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk: Option<Disk>,
    /// No host's clock is further from the coordinator's than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_skew: Option<Span>,
    /// Every agent is at least of this version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_version: Option<String>,
    /// Times in which nothing is deployed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub freeze: Vec<Freeze>,
}

/// P1: somebody has looked at it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reviewed {
    /// The forge, by its name in the coordinator's configuration.
    pub forge: String,
    /// The repository, `owner/name`.
    pub repository: String,
    /// The branch that the commit must be on.
    #[serde(default = "main_branch")]
    pub branch: String,
    /// So many people must have approved.
    #[serde(default = "one")]
    pub approvals: u32,
    /// Which commit it is, where no image label or checkout says: a tag, branch or commit of the repository.
    #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

/// P2: its tests passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tests {
    /// The forge, by its name in the coordinator's configuration.
    pub forge: String,
    /// The repository, `owner/name`.
    pub repository: String,
    /// The checks that must have succeeded, by name.
    pub checks: Vec<String>,
    /// Which commit it is, where no image label or checkout says: a tag, branch or commit of the repository.
    #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

/// Room on every host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Disk {
    /// A path on the file system that is meant.
    pub path: String,
    /// So much must be free: `500MiB`, `2GiB`.
    pub free: Size,
}

/// A time in which nothing is deployed: from a moment to another, each week or once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Freeze {
    /// What it is called in messages: `weekend`.
    pub name: String,
    /// Its beginning: `Fri 16:00` for each week, `2026-12-20` or `2026-12-20 18:00` for once.
    pub from: String,
    /// Its end, in the same form; the end itself is outside. A date alone means the beginning of that day.
    pub to: String,
    /// The time zone in which they are meant, `Europe/Berlin`.
    #[serde(default = "utc")]
    pub zone: String,
}

fn main_branch() -> String {
    "main".to_owned()
}
fn utc() -> String {
    "UTC".to_owned()
}
fn one() -> u32 {
    1
}

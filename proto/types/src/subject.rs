//! What a plan asks a host about before it touches it: is it allowed, what is there, what does a version mean.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    Commit, Digest, Schema, Timestamp, manifest::Metrics, monitor::Reading, outcome::Tags,
};

/// Something on a host that an operation acts on, and that its policy must list.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// An image repository; `resolve` names a tag whose digest is asked for.
    Image {
        /// Repository with registry.
        repository: String,
        /// The tag to resolve.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        resolve: Option<String>,
    },
    /// A compose project.
    Compose {
        /// Its name in the policy.
        project: String,
    },
    /// A working tree; `resolve` names a ref whose commit is asked for.
    Tree {
        /// Its path.
        tree: String,
        /// The ref to resolve.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        resolve: Option<String>,
    },
    /// A systemd unit.
    Unit {
        /// The unit.
        unit: String,
    },
    /// A command.
    Command {
        /// Program and arguments.
        argv: Vec<String>,
    },
    /// A file that is looked at as proof of a backup.
    File {
        /// Its path.
        path: String,
    },
    /// A secret that a smoke test fills in. It is never read out to anybody but the service.
    Secret {
        /// Its name in the policy.
        name: String,
    },
    /// Where the database's schema stands, by a command.
    Schema {
        /// The command.
        check: Vec<String>,
    },
    /// Room on a file system.
    Disk {
        /// A path on it.
        path: String,
    },
    /// The host's clock.
    Clock,
    /// The source revision that an image was built from: its label `org.opencontainers.image.revision`. The image
    /// is pulled if it is not there.
    Revision {
        /// Repository with registry.
        repository: String,
        /// The image.
        digest: Digest,
    },
    /// The service's own metrics, and how long its probes take.
    Metrics {
        /// What is scraped; nothing for the probes alone.
        metrics: Option<Metrics>,
    },
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image { repository, resolve: None } => write!(f, "image {repository}"),
            Self::Image { repository, resolve: Some(tag) } => {
                write!(f, "image {repository}:{tag}")
            }
            Self::Compose { project } => write!(f, "compose project {project}"),
            Self::Tree { tree, resolve: None } => write!(f, "working tree {tree}"),
            Self::Tree { tree, resolve: Some(r) } => write!(f, "working tree {tree} at {r}"),
            Self::Unit { unit } => write!(f, "unit {unit}"),
            Self::Command { argv } => write!(f, "command {}", argv.join(" ")),
            Self::File { path } => write!(f, "file {path}"),
            Self::Secret { name } => write!(f, "secret {name}"),
            Self::Schema { check } => write!(f, "schema by {}", check.join(" ")),
            Self::Disk { path } => write!(f, "file system of {path}"),
            Self::Clock => f.write_str("clock"),
            Self::Revision { repository, .. } => write!(f, "revision of {repository}"),
            Self::Metrics { .. } => f.write_str("metrics"),
        }
    }
}

/// What a host answers about one subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// Allowed, and nothing more to say.
    Allowed,
    /// An image repository.
    Image {
        /// What the tags name now.
        tags: Tags,
        /// The digest of the tag that was asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        resolved: Option<Digest>,
    },
    /// A working tree.
    Tree {
        /// The commit that is checked out.
        commit: Commit,
        /// The commit of the ref that was asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        resolved: Option<Commit>,
    },
    /// A unit.
    Unit {
        /// Its `ActiveState`.
        active: String,
    },
    /// Where the database's schema stands.
    Schema(Schema),
    /// Free bytes.
    Disk {
        /// For the users of the file system, root's reserve not counted.
        free: u64,
    },
    /// The host's time when it answered.
    Clock {
        /// The time.
        now: Timestamp,
    },
    /// The commit that an image was built from, where it says so.
    Revision {
        /// The label's value.
        commit: Option<String>,
    },
    /// The service's metrics.
    Metrics(Reading),
    /// The host's policy does not list it.
    Refused(String),
    /// There is no such version, unit, tree or project.
    NotFound(String),
    /// It could not be found out.
    Failed(String),
}

impl Finding {
    /// The first words of [`Finding::Failed`] where an image is still being pulled: who asks again soon may find it.
    pub const STILL_PULLING: &str = "still pulling";
}

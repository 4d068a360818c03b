//! What a plan asks a host about before it touches it: is it allowed, what is there, what does a version mean.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Commit, Digest, outcome::Tags};

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
    /// The host's policy does not list it.
    Refused(String),
    /// There is no such version, unit, tree or project.
    NotFound(String),
    /// It could not be found out.
    Failed(String),
}

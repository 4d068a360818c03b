//! What an agent can be told to do. Each is complete in itself: nothing is left to choose on the host.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Commit, Digest, Span, Subject, outcome::ImageId, probe::Probing};

/// One operation on one host.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Pull an image by digest and give it its version's tag. Nothing that runs is touched.
    PullImage {
        /// Repository with registry.
        repository: String,
        /// The tag that the plan resolved.
        tag: String,
        /// The digest that it resolved to.
        digest: Digest,
        /// How long it may take.
        timeout: Span,
    },
    /// `previous` := what `latest` was, `latest` := the pulled image. `previous` stays where `latest` is that image already.
    TagImage {
        /// Repository with registry.
        repository: String,
        /// The image, pulled before.
        digest: Digest,
    },
    /// The reverse: both tags as they were recorded before. A tag that was not there is removed.
    RestoreTags {
        /// Repository with registry.
        repository: String,
        /// What `latest` shall be.
        latest: ImageId,
        /// What `previous` shall be.
        previous: Option<ImageId>,
    },
    /// `docker compose up -d` of a project that the policy names.
    ComposeUp {
        /// The project.
        project: String,
        /// How long it may take.
        timeout: Span,
    },
    /// Fetch, and check out exactly this commit.
    Checkout {
        /// The working tree's path.
        tree: String,
        /// The commit.
        commit: Commit,
        /// How long it may take.
        timeout: Span,
    },
    /// Act on a systemd unit and wait for the job's result.
    Unit {
        /// The unit, with its suffix.
        unit: String,
        /// What to do.
        verb: UnitVerb,
        /// How long the job may take.
        timeout: Span,
    },
    /// Run a command without a shell.
    Run {
        /// Program and arguments.
        argv: Vec<String>,
        /// After this time it and all that it started are killed.
        timeout: Span,
        /// Whether it may run again when it is unknown whether it ran.
        repeatable: bool,
    },
    /// Wait until the probes are good `successes` times in a row and have stayed so for `min_healthy_time`.
    Verify {
        /// The probes.
        probing: Probing,
        /// How long they must stay good.
        min_healthy_time: Span,
        /// By then the host must be healthy, counted from the operation's beginning.
        healthy_deadline: Span,
    },
}

/// What to do with a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnitVerb {
    /// `systemctl restart`
    Restart,
    /// `systemctl start`
    Start,
    /// `systemctl stop`
    Stop,
}

impl fmt::Display for UnitVerb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Restart => "restart",
            Self::Start => "start",
            Self::Stop => "stop",
        })
    }
}

impl Operation {
    /// The longest that the agent takes before it ends the operation by itself.
    #[must_use]
    pub fn time_limit(&self) -> Span {
        match self {
            Self::PullImage { timeout, .. }
            | Self::ComposeUp { timeout, .. }
            | Self::Checkout { timeout, .. }
            | Self::Unit { timeout, .. }
            | Self::Run { timeout, .. } => *timeout,
            Self::TagImage { .. } | Self::RestoreTags { .. } => Span::from_secs(30),
            Self::Verify { min_healthy_time, healthy_deadline, .. } => {
                healthy_deadline.plus(*min_healthy_time)
            }
        }
    }

    /// Whether it changes what the host runs, so that a host that was given it has been touched.
    #[must_use]
    pub fn touches(&self) -> bool {
        !matches!(self, Self::PullImage { .. } | Self::Verify { .. })
    }

    /// Whether the service may stop serving while it runs, so that the host counts as out from then on.
    #[must_use]
    pub fn disrupts(&self) -> bool {
        matches!(
            self,
            Self::ComposeUp { .. } | Self::Checkout { .. } | Self::Unit { .. } | Self::Run { .. }
        )
    }

    /// Whether doing it again, when nobody knows whether it was done, does no harm.
    #[must_use]
    pub fn repeatable(&self) -> bool {
        match self {
            Self::Run { repeatable, .. } => *repeatable,
            Self::Unit { verb, .. } => *verb != UnitVerb::Restart,
            _ => true,
        }
    }

    /// What the host's policy must list for it.
    #[must_use]
    pub fn subjects(&self) -> Vec<Subject> {
        match self {
            Self::PullImage { repository, .. }
            | Self::TagImage { repository, .. }
            | Self::RestoreTags { repository, .. } => {
                vec![Subject::Image { repository: repository.clone(), resolve: None }]
            }
            Self::ComposeUp { project, .. } => vec![Subject::Compose { project: project.clone() }],
            Self::Checkout { tree, .. } => {
                vec![Subject::Tree { tree: tree.clone(), resolve: None }]
            }
            Self::Unit { unit, .. } => vec![Subject::Unit { unit: unit.clone() }],
            Self::Run { argv, .. } => vec![Subject::Command { argv: argv.clone() }],
            Self::Verify { probing, .. } => probing
                .probes
                .iter()
                .filter_map(|(_, probe)| match probe {
                    crate::Probe::Command { argv } => Some(Subject::Command { argv: argv.clone() }),
                    _ => None,
                })
                .collect(),
        }
    }
}

/// In a few words, as a person would say it: `restart debvisor.service`.
impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PullImage { repository, tag, .. } => write!(f, "pull {repository}:{tag}"),
            Self::TagImage { repository, .. } => write!(f, "tag {repository}:latest"),
            Self::RestoreTags { repository, .. } => write!(f, "tag {repository}:latest back"),
            Self::ComposeUp { project, .. } => write!(f, "compose up {project}"),
            Self::Checkout { tree, commit, .. } => {
                write!(f, "check out {} in {tree}", &commit.as_str()[..12])
            }
            Self::Unit { unit, verb, .. } => write!(f, "{verb} {unit}"),
            Self::Run { argv, .. } => write!(f, "run {}", argv.join(" ")),
            Self::Verify { probing, .. } => {
                f.write_str("verify")?;
                for (name, _) in &probing.probes {
                    write!(f, " {name}")?;
                }
                Ok(())
            }
        }
    }
}

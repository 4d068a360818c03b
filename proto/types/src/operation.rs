//! What an agent can be told to do. Each is complete in itself: nothing is left to choose on the host.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use crate::{
    Commit, Digest, MigrationKind, Span, Subject,
    manifest::{Proof, Smoke},
    outcome::ImageId,
    probe::Probing,
};

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
    /// Make a backup, and show that it is there. Never done twice.
    Backup {
        /// The command that makes it.
        create: Vec<String>,
        /// What shows that it is there.
        proof: Proof,
        /// How long it may take.
        timeout: Span,
    },
    /// Apply what is pending, and say where the schema stood before and stands after. Never done twice.
    Migrate {
        /// The command that says where the schema stands.
        check: Vec<String>,
        /// The command that applies what is pending.
        upgrade: Vec<String>,
        /// What the manifest says of migrations by name.
        kinds: BTreeMap<String, MigrationKind>,
        /// How long it may take.
        timeout: Span,
    },
    /// Take migrations back, and say where the schema stood before and stands after. Never done twice.
    Downgrade {
        /// The command that says where the schema stands.
        check: Vec<String>,
        /// The command that takes them back.
        downgrade: Vec<String>,
        /// The head that the schema must have, or nothing is begun: somebody else has migrated since.
        head: Option<String>,
        /// The head that the schema must have afterwards; nothing where that is not known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<Head>,
        /// How long it may take.
        timeout: Span,
    },
    /// Do what a person would click.
    Smoke {
        /// What.
        smoke: Smoke,
        /// What its paths are relative to.
        base: Option<String>,
    },
    /// Dead-man's switch: unless [`Operation::Confirm`] comes within the time, the host does `revert` by itself.
    Arm {
        /// The time.
        within: Span,
        /// What takes the host back, in order.
        revert: Vec<Self>,
    },
    /// The host stays at what it runs: the dead-man's switch is let go.
    Confirm,
}

/// Where a schema stands: an empty one is something else than one of which nobody knows.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Head {
    /// No migration is applied.
    Empty,
    /// This is the last one that is.
    At(String),
}

impl Head {
    /// Its migration, where there is one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Empty => None,
            Self::At(name) => Some(name),
        }
    }
}

impl From<Option<String>> for Head {
    fn from(head: Option<String>) -> Self {
        head.map_or(Self::Empty, Self::At)
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name().unwrap_or("empty"))
    }
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
            | Self::Run { timeout, .. }
            | Self::Backup { timeout, .. }
            | Self::Migrate { timeout, .. }
            | Self::Downgrade { timeout, .. } => *timeout,
            Self::Smoke { smoke, .. } => smoke.timeout,
            Self::TagImage { .. } | Self::RestoreTags { .. } | Self::Arm { .. } | Self::Confirm => {
                Span::from_secs(30)
            }
            Self::Verify { min_healthy_time, healthy_deadline, .. } => {
                healthy_deadline.plus(*min_healthy_time)
            }
        }
    }

    /// Whether it changes what the host runs, so that a host that was given it has been touched.
    #[must_use]
    pub fn touches(&self) -> bool {
        !matches!(
            self,
            Self::PullImage { .. }
                | Self::Verify { .. }
                | Self::Backup { .. }
                | Self::Smoke { .. }
                | Self::Arm { .. }
                | Self::Confirm
        )
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
            Self::Backup { .. }
            | Self::Migrate { .. }
            | Self::Downgrade { .. }
            // A session writes, too: it logs in, and may order, pay, send.
            | Self::Smoke { .. } => false,
            _ => true,
        }
    }

    /// The same with every text that a command is made of changed by `fill`.
    #[must_use]
    pub fn map_texts(&self, fill: &dyn Fn(&str) -> String) -> Self {
        let all = |argv: &[String]| argv.iter().map(|text| fill(text)).collect::<Vec<_>>();
        let mut mapped = self.clone();
        match &mut mapped {
            Self::Run { argv, .. } => *argv = all(argv),
            Self::Backup { create, proof, .. } => {
                *create = all(create);
                proof.file = proof.file.as_deref().map(fill);
                proof.command = proof.command.as_deref().map(all);
            }
            Self::Migrate { check, upgrade, .. } => (*check, *upgrade) = (all(check), all(upgrade)),
            Self::Downgrade { check, downgrade, .. } => {
                (*check, *downgrade) = (all(check), all(downgrade));
            }
            Self::Smoke { smoke, .. } => smoke.command = smoke.command.as_deref().map(all),
            _ => {}
        }
        mapped
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
            Self::Backup { create, proof, .. } => proof.subjects(create),
            Self::Migrate { check, upgrade, .. } => commands([check, upgrade]),
            Self::Downgrade { check, downgrade, .. } => commands([check, downgrade]),
            Self::Smoke { smoke, .. } => smoke.subjects(),
            Self::Arm { revert, .. } => revert.iter().flat_map(Self::subjects).collect(),
            Self::Confirm => Vec::new(),
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
            Self::Backup { create, .. } => write!(f, "back up: {}", create.join(" ")),
            Self::Migrate { upgrade, .. } => write!(f, "migrate: {}", upgrade.join(" ")),
            Self::Downgrade { downgrade, .. } => {
                write!(f, "take migrations back: {}", downgrade.join(" "))
            }
            Self::Smoke { smoke, .. } => match &smoke.command {
                Some(argv) => write!(f, "smoke test: {}", argv.join(" ")),
                None if smoke.session.len() == 1 => f.write_str("smoke test of 1 request"),
                None => write!(f, "smoke test of {} requests", smoke.session.len()),
            },
            Self::Arm { within, .. } => {
                write!(f, "arm the way back, to be confirmed within {within}")
            }
            Self::Confirm => f.write_str("confirm"),
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

fn commands<'a>(all: impl IntoIterator<Item = &'a Vec<String>>) -> Vec<Subject> {
    all.into_iter().map(|argv| Subject::Command { argv: argv.clone() }).collect()
}

impl Proof {
    /// What the policy must list for a backup made by `create` and shown by this proof.
    #[must_use]
    pub fn subjects(&self, create: &[String]) -> Vec<Subject> {
        let mut subjects = vec![Subject::Command { argv: create.to_vec() }];
        subjects.extend(self.command.clone().map(|argv| Subject::Command { argv }));
        subjects.extend(self.file.clone().map(|path| Subject::File { path }));
        subjects
    }
}

impl Smoke {
    /// What the policy must list for it: its command, and the secrets that it fills in.
    #[must_use]
    pub fn subjects(&self) -> Vec<Subject> {
        let mut subjects: Vec<_> = commands(&self.command);
        for value in self.session.iter().flat_map(|request| request.fields.values()) {
            for name in secrets(value) {
                let subject = Subject::Secret { name: name.to_owned() };
                if !subjects.contains(&subject) {
                    subjects.push(subject);
                }
            }
        }
        subjects
    }
}

/// The names in `${secret:NAME}`.
pub fn secrets(text: &str) -> impl Iterator<Item = &str> {
    text.split("${secret:").skip(1).filter_map(|rest| Some(rest.split_once('}')?.0))
}

#[cfg(test)]
mod tests;

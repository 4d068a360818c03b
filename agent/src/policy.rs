//! What this host lets the agent touch. The file belongs to root and outranks the coordinator.

mod pattern;
mod signed;

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use dv_types::Subject;
use serde::Deserialize;

pub use pattern::CommandPattern;
pub use signed::{Key, Signed};

/// The policy file, `/etc/dv-agent/policy.yaml`. What it does not list is refused.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Units, with their suffix.
    pub units: Vec<String>,
    /// Image repositories, with their registry and without a tag.
    pub images: Vec<String>,
    /// Compose projects by name.
    pub compose: BTreeMap<String, ComposeProject>,
    /// Working trees by path.
    pub trees: BTreeMap<String, Tree>,
    /// Commands: `*` stands for one argument, `**` at the end for any rest.
    pub commands: Vec<CommandPattern>,
    /// Files that may be looked at as proof of a backup: `*` stands for any part of a name, never for a `/`.
    pub files: Vec<String>,
    /// Secrets that smoke tests may fill in, by name.
    pub secrets: BTreeMap<String, Secret>,
    /// With it, no command is obeyed that nobody has signed whose key is listed.
    pub signed: Option<Signed>,
    /// Where it was read from, for messages; nothing if there is no file.
    #[serde(skip)]
    source: Option<PathBuf>,
}

/// A compose project.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComposeProject {
    /// Where its compose file is.
    pub directory: PathBuf,
}

/// A working tree.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tree {
    /// The git remote that commits come from.
    pub remote: String,
}

/// A secret, such as the password of the smoke test's user.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secret {
    /// The file that holds it, readable by root only.
    pub file: PathBuf,
    /// The origins that it may be sent to, `http://localhost:8080`: whoever asks, it goes nowhere else.
    pub origins: Vec<String>,
}

/// The policy can't be trusted or understood; then nothing is allowed.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// It can't be read.
    #[error("can't read the policy {}: {why}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        why: io::Error,
    },
    /// Somebody else than root could have written it.
    #[error("the policy {} can't be trusted: {why}; everything is refused until that is mended", path.display())]
    Untrusted {
        /// Which file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// It does not say what a policy says.
    #[error("the policy {} is not valid, so everything is refused: {why}", path.display())]
    Invalid {
        /// Which file.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

impl Policy {
    /// Reads the policy at `path`; an absent file allows nothing. It must belong to root (or to the
    /// agent's own user, where `unprivileged`) and must not be writable by anybody else.
    pub fn load(path: &Path, unprivileged: bool) -> Result<Self, PolicyError> {
        let unreadable = |why| PolicyError::Unreadable { path: path.to_owned(), why };
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(e) => return Err(unreadable(e)),
        };
        // Of the open file, not of the path: what is checked is what is read.
        let metadata = file.metadata().map_err(unreadable)?;
        if let Some(why) = distrust(metadata.uid(), metadata.mode(), unprivileged) {
            return Err(PolicyError::Untrusted { path: path.to_owned(), why });
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(unreadable)?;
        Self::parse(path, &text)
    }

    /// Understands `text`, whoever may have written it.
    pub fn parse(path: &Path, text: &str) -> Result<Self, PolicyError> {
        let invalid = |why: String| PolicyError::Invalid { path: path.to_owned(), why };
        // A file of comments is a policy that lists nothing.
        let blank = text.lines().all(|line| {
            let line = line.trim();
            line.is_empty() || line.starts_with('#') || line == "---"
        });
        let mut policy: Self = if blank {
            Self::default()
        } else {
            serde_saphyr::from_str(text).map_err(|e| invalid(e.to_string()))?
        };
        policy.check().map_err(invalid)?;
        policy.source = Some(path.to_owned());
        Ok(policy)
    }

    /// What the types can't say.
    fn check(&self) -> Result<(), String> {
        for pattern in &self.commands {
            pattern.check()?;
        }
        if let Some(signed) = &self.signed {
            signed.check()?;
        }
        for (project, ComposeProject { directory }) in &self.compose {
            if !directory.is_absolute() {
                return Err(format!(
                    "compose.{project}.directory: {directory:?} is not an absolute path"
                ));
            }
        }
        for (path, Tree { remote }) in &self.trees {
            if !Path::new(path).is_absolute() {
                return Err(format!("trees: {path:?} is not an absolute path"));
            }
            if remote.is_empty() || remote.starts_with('-') {
                return Err(format!("trees.{path}.remote: {remote:?} is not a git remote"));
            }
        }
        if let Some(file) = self.files.iter().find(|file| !file.starts_with('/')) {
            return Err(format!("files: {file:?} is not an absolute path"));
        }
        for (name, Secret { file, origins }) in &self.secrets {
            if !file.is_absolute() {
                return Err(format!("secrets.{name}.file: {file:?} is not an absolute path"));
            }
            if origins.is_empty() {
                return Err(format!(
                    "secrets.{name}.origins: it may be sent nowhere; list origins, like http://localhost:8080"
                ));
            }
            // What is not an origin would match none, and nobody would know why.
            let is_origin = |text: &String| {
                url::Url::parse(text).is_ok_and(|url| {
                    matches!(url.scheme(), "http" | "https")
                        && url[url::Position::BeforePath..] == *"/"
                        && url[url::Position::BeforeUsername..url::Position::BeforeHost].is_empty()
                })
            };
            if let Some(origin) = origins.iter().find(|origin| !is_origin(origin)) {
                return Err(format!(
                    "secrets.{name}.origins: {origin:?} is not an origin; write it like http://localhost:8080"
                ));
            }
        }
        if let Some(unit) = self.units.iter().find(|unit| !unit.contains('.')) {
            return Err(format!(
                "units: {unit:?} has no suffix; write {unit}.service if that is meant"
            ));
        }
        Ok(())
    }

    /// Whether `subject` may be touched, and why not.
    pub fn allows(&self, subject: &Subject) -> Result<(), String> {
        let (listed, key) = match subject {
            Subject::Unit { unit } => (self.units.contains(unit), "units"),
            Subject::Image { repository, .. } => (self.images.contains(repository), "images"),
            Subject::Compose { project } => (self.compose.contains_key(project), "compose"),
            Subject::Tree { tree, .. } => (self.trees.contains_key(tree), "trees"),
            Subject::File { path } => {
                (self.files.iter().any(|pattern| pattern::path_matches(pattern, path)), "files")
            }
            Subject::Secret { name } => (self.secrets.contains_key(name), "secrets"),
            // What is only looked at, and tells nobody anything that a probe would not.
            Subject::Disk { .. } | Subject::Clock | Subject::Metrics { .. } => return Ok(()),
            Subject::Revision { repository, .. } => (self.images.contains(repository), "images"),
            Subject::Command { argv } | Subject::Schema { check: argv } => {
                (self.commands.iter().any(|pattern| pattern.matches(argv)), "commands")
            }
        };
        if listed {
            return Ok(());
        }
        let subject = match subject {
            Subject::Image { repository, .. } | Subject::Revision { repository, .. } => {
                format!("image {repository}")
            }
            Subject::Schema { check } => format!("command {}", check.join(" ")),
            Subject::Tree { tree, .. } => format!("working tree {tree}"),
            other => other.to_string(),
        };
        Err(match &self.source {
            Some(path) => {
                format!("the policy {} does not list {subject} under `{key}`", path.display())
            }
            None => format!("this host has no policy, so {subject} is not allowed"),
        })
    }

    /// Whether this command may run to answer a question, which nobody signs.
    pub fn may_ask(&self, argv: &[String]) -> Result<(), String> {
        match &self.signed {
            Some(signed) if !signed.ask.iter().any(|pattern| pattern.matches(argv)) => {
                Err(format!(
                    "this host's policy demands signatures, and does not list command {} under `signed.ask`: no question runs it",
                    argv.join(" ")
                ))
            }
            _ => Ok(()),
        }
    }

    /// Whether all of `subjects` may be touched, and why not.
    pub fn allows_all(&self, subjects: &[Subject]) -> Result<(), String> {
        subjects.iter().try_for_each(|subject| self.allows(subject))
    }
}

/// Why a file of this owner and mode is not believed.
fn distrust(owner: u32, mode: u32, unprivileged: bool) -> Option<String> {
    let own = rustix::process::geteuid().as_raw();
    if owner != 0 && !(unprivileged && owner == own) {
        return Some(format!("it belongs to user {owner}, not to root (chown root it)"));
    }
    if mode & 0o022 != 0 {
        return Some(format!(
            "its mode {:o} lets others than its owner write it (chmod go-w it)",
            mode & 0o7777
        ));
    }
    None
}

#[cfg(test)]
mod tests;

//! What the agent is told at its start.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use dv_proto::Addresses;
use serde::Deserialize;

/// The configuration file, `/etc/dv-agent/agent.yaml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the coordinator is: `host:port`, or a list of such addresses where there are several.
    pub coordinator: Addresses,
    /// Where the agent keeps its identity and its ledger.
    #[serde(default = "state_dir")]
    pub state_dir: PathBuf,
    /// The file that lists what this agent may touch.
    #[serde(default = "policy")]
    pub policy: PathBuf,
    /// The Docker Engine's socket, where it is not the usual one.
    #[serde(default)]
    pub docker_socket: Option<PathBuf>,
    /// For demonstrations without root: the policy may belong to the agent's own user.
    #[serde(default)]
    pub unprivileged: bool,
}

/// The configuration can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It can't be read.
    #[error("can't read the configuration {}: {why}; it needs at least `coordinator: host:port`", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        why: io::Error,
    },
    /// It says something else than a configuration.
    #[error("the configuration {} is not valid: {why}", path.display())]
    Invalid {
        /// Which file.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

impl Config {
    /// Reads the configuration at `path`.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path)
            .map_err(|why| ConfigError::Unreadable { path: path.to_owned(), why })?;
        serde_saphyr::from_str(&text)
            .map_err(|why| ConfigError::Invalid { path: path.to_owned(), why: why.to_string() })
    }

    pub(crate) fn identity_dir(&self) -> PathBuf {
        self.state_dir.join("identity")
    }

    pub(crate) fn ledger_dir(&self) -> PathBuf {
        self.state_dir.join("ledger")
    }

    pub(crate) fn switches_dir(&self) -> PathBuf {
        self.state_dir.join("switches")
    }

    pub(crate) fn warrants_dir(&self) -> PathBuf {
        self.state_dir.join("warrants")
    }

    pub(crate) fn epoch_file(&self) -> PathBuf {
        self.state_dir.join("epoch")
    }
}

fn state_dir() -> PathBuf {
    "/var/lib/dv-agent".into()
}

fn policy() -> PathBuf {
    "/etc/dv-agent/policy.yaml".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, ConfigError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        Config::load(file.path())
    }

    #[test]
    fn the_coordinator_alone_is_enough() {
        let config = parse("coordinator: c.example.com:7443\n").unwrap();
        assert_eq!(config.state_dir, Path::new("/var/lib/dv-agent"));
        assert_eq!(config.policy, Path::new("/etc/dv-agent/policy.yaml"));
        assert!(!config.unprivileged);
    }

    #[test]
    fn a_misspelt_key_is_an_error_that_names_it() {
        let error = parse("coordinator: c:7443\npolcy: /x\n").unwrap_err().to_string();
        assert!(error.contains("polcy"), "{error}");
    }
}

//! The configuration file.

use std::{
    collections::BTreeMap,
    fs, io,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use dv_types::Span;
use serde::Deserialize;

use crate::monitor::PrometheusConfig;

/// By these every machine calls itself.
const OWN: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// What the file says; what it leaves out has a default.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where agents and operators connect to.
    pub listen: SocketAddr,
    /// Where the coordinator keeps its store and its identity.
    pub state_dir: PathBuf,
    /// The names and addresses by which agents and operators dial it; its certificate carries them, besides this
    /// machine's own.
    pub names: Vec<String>,
    /// Time between two heartbeats of an agent.
    pub heartbeat: Span,
    /// Where monitors ask, by the names that manifests use.
    pub prometheus: BTreeMap<String, PrometheusConfig>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 7443)),
            state_dir: "/var/lib/dv-coordinator".into(),
            names: Vec::new(),
            heartbeat: Span::from_secs(10),
            prometheus: BTreeMap::new(),
        }
    }
}

/// The configuration can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("the configuration {} can't be read: {why}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        why: io::Error,
    },
    /// The file says something that is not understood.
    #[error("the configuration {} is not valid:\n{why}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What, and where.
        why: String,
    },
}

impl Config {
    /// Reads the file at `path`.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path)
            .map_err(|why| ConfigError::Unreadable { path: path.to_owned(), why })?;
        Self::parse(&text).map_err(|why| ConfigError::Invalid { path: path.to_owned(), why })
    }

    fn parse(text: &str) -> Result<Self, String> {
        let config: Self = match text.lines().all(|line| {
            let line = line.trim();
            line.is_empty() || line.starts_with('#')
        }) {
            true => Self::default(),
            false => serde_saphyr::from_str(text).map_err(|why| why.to_string())?,
        };
        if config.heartbeat < Span::from_millis(100) {
            return Err(format!("heartbeat is {}: it must be at least 100ms", config.heartbeat));
        }
        if let Some(name) = config.names.iter().find(|name| name.is_empty() || name.contains('/')) {
            return Err(format!("names: {name:?} is neither a host name nor an address"));
        }
        for (name, prometheus) in &config.prometheus {
            prometheus.check().map_err(|why| format!("prometheus.{name}.{why}"))?;
        }
        Ok(config)
    }

    /// The names for the server's certificate: those of the file, and always those by which this machine calls
    /// itself, because the first operator's context may say so. Without names in the file, the host's name as well.
    #[must_use]
    pub fn server_names(&self) -> Vec<String> {
        let mut names = self.names.clone();
        for own in OWN {
            if !names.iter().any(|name| name == own) {
                names.push(own.to_owned());
            }
        }
        if !self.names.is_empty() {
            return names;
        }
        let hostname = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let hostname = hostname.trim().to_ascii_lowercase();
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
        if !hostname.is_empty() && hostname.chars().all(plain) && hostname != "localhost" {
            names.push(hostname);
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_has_a_default() {
        assert_eq!(Config::parse("# nothing yet\n"), Ok(Config::default()));
        let config = Config::parse("listen: 127.0.0.1:1\nheartbeat: 500ms\n").unwrap();
        assert_eq!(config.heartbeat, Span::from_millis(500));
        assert_eq!(config.state_dir, Config::default().state_dir);
    }

    #[test]
    fn the_first_operators_context_stays_good_when_names_are_given() {
        let dialled_at_first = Config::default().server_names()[0].clone();
        let config = Config::parse("names: [dv.example.com, 127.0.0.1]\n").unwrap();
        let names = config.server_names();
        assert!(names.contains(&dialled_at_first), "{dialled_at_first} is not in {names:?}");
        assert_eq!(names, ["dv.example.com", "127.0.0.1", "localhost", "::1"]);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (text, part) in [
            ("lisen: 0.0.0.0:7443", "lisen"),
            ("listen: here", "listen"),
            ("heartbeat: 1ms", "at least 100ms"),
            ("names: [\"a/b\"]", "names"),
            ("prometheus: {main: {}}", "url"),
            ("prometheus: {main: {url: prometheus:9090}}", "prometheus.main.url"),
            ("prometheus: {main: {url: \"http://a.example.com\", token_file: /t}}", "clear"),
        ] {
            let why = Config::parse(text).unwrap_err();
            assert!(why.contains(part), "{text}: {why}");
        }
    }
}

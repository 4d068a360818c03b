//! The configuration file.

use std::{
    collections::BTreeMap,
    fs, io,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use dv_types::{Size, Span};
use serde::Deserialize;

use crate::{
    forge::ForgeConfig,
    identity::Lives,
    leader::{EtcdConfig, Place},
    monitor::PrometheusConfig,
    store::DEFAULT_FLOOR,
};

/// In seconds.
const DAY: u64 = 24 * 60 * 60;

/// By these every machine calls itself.
const OWN: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// What the file says; what it leaves out has a default.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where agents and operators connect to.
    pub listen: SocketAddr,
    /// Where the coordinator keeps its identity, and its store where that is not in etcd.
    pub state_dir: PathBuf,
    /// A rollout is kept so long after its end; longer, where something needs it.
    pub keep_rollouts: Span,
    /// Time between two backups that the coordinator makes by itself.
    pub backup_every: Span,
    /// Nothing new begins when less than this is free on the disk of `state_dir`.
    pub min_free: Size,
    /// Where the store is: `sled`, or `etcd://host:port,host:port/prefix`.
    pub store: Place,
    /// How etcd is spoken to.
    pub etcd: EtcdConfig,
    /// The names and addresses by which agents and operators dial it; its certificate carries them, besides this
    /// machine's own.
    pub names: Vec<String>,
    /// Time between two heartbeats of an agent.
    pub heartbeat: Span,
    /// Where the gates `reviewed` and `tests` ask, by the names that manifests use.
    pub forges: BTreeMap<String, ForgeConfig>,
    /// The operators who may override gates; everybody, where the line is not there.
    #[serde(rename = "override")]
    pub may_override: Option<Vec<String>>,
    /// Where systemd puts the credentials of the unit.
    #[serde(skip)]
    pub credentials: Option<PathBuf>,
    /// How long certificates are good.
    pub certificates: Lives,
    /// Where monitors ask, by the names that manifests use.
    pub prometheus: BTreeMap<String, PrometheusConfig>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 7443)),
            state_dir: "/var/lib/dv-coordinator".into(),
            keep_rollouts: Span::from_secs(90 * DAY),
            backup_every: Span::from_secs(DAY),
            min_free: Size(DEFAULT_FLOOR),
            store: Place::Sled,
            etcd: EtcdConfig::default(),
            names: Vec::new(),
            heartbeat: Span::from_secs(10),
            forges: BTreeMap::new(),
            may_override: None,
            credentials: None,
            certificates: Lives::default(),
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
        if config.keep_rollouts < Span::from_secs(DAY) {
            return Err(format!(
                "keep_rollouts is {}: it must be at least 1d",
                config.keep_rollouts
            ));
        }
        if config.backup_every < Span::from_secs(60) {
            return Err(format!("backup_every is {}: it must be at least 1m", config.backup_every));
        }
        if let Some(name) = config.names.iter().find(|name| name.is_empty() || name.contains('/')) {
            return Err(format!("names: {name:?} is neither a host name nor an address"));
        }
        config.etcd.check(&config.store).map_err(|why| format!("etcd.{why}"))?;
        config.certificates.check().map_err(|why| format!("certificates.{why}"))?;
        for (name, forge) in &config.forges {
            forge.check().map_err(|why| format!("forges.{name}.{why}"))?;
        }
        for (name, prometheus) in &config.prometheus {
            prometheus.check().map_err(|why| format!("prometheus.{name}.{why}"))?;
        }
        Ok(config)
    }

    /// Whether this operator may go on in spite of a gate; if not, who may.
    pub fn check_override(&self, operator: &str) -> Result<(), Vec<String>> {
        match &self.may_override {
            Some(may) if !may.iter().any(|name| name == operator) => Err(may.clone()),
            _ => Ok(()),
        }
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
            ("keep_rollouts: 3h", "at least 1d"),
            ("backup_every: 1s", "at least 1m"),
            ("min_free: much", "min_free"),
            ("store: etcd://here", "etcd1.example.com:2379"),
            ("etcd: {lease: 1s}", "etcd.lease"),
            ("forges: {main: {kind: svn}}", "svn"),
            ("forges: {main: {kind: gitea}}", "forges.main.url"),
            ("forges: {main: {kind: gitlab, url: git.example.com}}", "forges.main.url"),
            ("forges: {main: {kind: github, token: abc}}", "token"),
            (
                "forges: {main: {kind: github, token_file: /a, credential: b}}",
                "forges.main.credential",
            ),
            ("forges: {main: {kind: github, credential: ../b}}", "forges.main.credential"),
            (
                "forges: {main: {kind: github, url: \"http://a.example.com\", token_file: /a}}",
                "clear",
            ),
            ("prometheus: {main: {}}", "url"),
            ("prometheus: {main: {url: prometheus:9090}}", "prometheus.main.url"),
            ("prometheus: {main: {url: \"http://a.example.com\", token_file: /t}}", "clear"),
        ] {
            let why = Config::parse(text).unwrap_err();
            assert!(why.contains(part), "{text}: {why}");
        }
    }

    #[test]
    fn a_forge_is_where_its_kind_usually_is() {
        let text = "forges:\n  main: {kind: github, token_file: /etc/dv-coordinator/forge.token}\n  \
                    own: {kind: gitlab, url: https://git.example.com, ca_file: /etc/ssl/own.pem}\n";
        let config = Config::parse(text).unwrap();
        assert_eq!(config.forges["main"].api(), "https://api.github.com");
        assert_eq!(config.forges["own"].api(), "https://git.example.com/api/v4");
    }

    #[test]
    fn who_may_override_is_everybody_or_those_who_are_named() {
        assert_eq!(Config::default().check_override("bob"), Ok(()));
        let config = Config::parse("override: [alice, carol]").unwrap();
        assert_eq!(config.check_override("alice"), Ok(()));
        assert_eq!(config.check_override("bob").unwrap_err(), ["alice", "carol"]);
        let nobody = Config::parse("override: []").unwrap();
        assert!(nobody.check_override("alice").unwrap_err().is_empty());
    }
}

//! Where a forge is, and how the coordinator shows who it is.

use std::path::PathBuf;

use reqwest::Url;
use serde::Deserialize;

use crate::secret::Source;

/// A forge in the configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForgeConfig {
    /// What it speaks.
    pub kind: Kind,
    /// Its address. `/api/v4` or `/api/v1` is added where a GitLab's or Gitea's is without.
    #[serde(default)]
    pub url: Option<String>,
    /// The file with the token; without token only what everybody may read is asked.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// Or the name of the credential that systemd hands the token over in.
    #[serde(default)]
    pub credential: Option<String>,
    /// Certificate authorities that are trusted, instead of the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

/// What a forge speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// GitHub, or GitHub Enterprise.
    Github,
    /// GitLab.
    Gitlab,
    /// Gitea, or Forgejo.
    Gitea,
}

impl ForgeConfig {
    /// What is wrong with it, with the key in front.
    pub(crate) fn check(&self) -> Result<(), String> {
        let url = self.base()?;
        let tokened = self.source().check()?;
        let here = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        if url.scheme() == "http" && tokened && !here {
            return Err("url: the token would go in clear text: write https".to_owned());
        }
        Ok(())
    }

    /// Where its token is.
    pub(super) fn source(&self) -> Source<'_> {
        Source {
            what: "token",
            key: "token_file",
            file: self.token_file.as_deref(),
            credential: self.credential.as_deref(),
        }
    }

    /// The address of its API, without a slash at the end.
    pub(crate) fn api(&self) -> String {
        let base = self.base().map(|url| url.to_string()).unwrap_or_default();
        let base = base.trim_end_matches('/');
        match self.kind {
            Kind::Gitlab if !base.contains("/api/") => format!("{base}/api/v4"),
            Kind::Gitea if !base.contains("/api/") => format!("{base}/api/v1"),
            _ => base.to_owned(),
        }
    }

    fn base(&self) -> Result<Url, String> {
        let url = match (&self.url, self.kind) {
            (Some(url), _) => url,
            (None, Kind::Github) => "https://api.github.com",
            (None, Kind::Gitlab) => "https://gitlab.com",
            (None, Kind::Gitea) => {
                return Err("url: say where it is, like https://git.example.com".to_owned());
            }
        };
        let parsed = Url::parse(url)
            .ok()
            .filter(|url| matches!(url.scheme(), "https" | "http") && url.has_host());
        match parsed {
            Some(url) if !url.username().is_empty() || url.password().is_some() => {
                Err("url: the token belongs into token_file or credential".to_owned())
            }
            Some(url) if url.query().is_none() && url.fragment().is_none() => Ok(url),
            _ => Err(format!("url: {url:?} is no address: write https://git.example.com")),
        }
    }
}

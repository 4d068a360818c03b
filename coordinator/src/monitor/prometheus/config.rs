//! Where a Prometheus is, and how the coordinator shows who it is.

use std::path::PathBuf;

use reqwest::Url;
use serde::Deserialize;

/// A Prometheus in the configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrometheusConfig {
    /// Its address, without `/api/v1`.
    pub url: String,
    /// The file with the bearer token that is shown to it, where it wants one.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// Certificate authorities that are trusted, instead of the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

impl PrometheusConfig {
    /// What is wrong with it, with the key in front.
    pub(crate) fn check(&self) -> Result<(), String> {
        let url = self.query_url().map_err(|why| format!("url: {:?}: {why}", self.url))?;
        let here = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        if self.token_file.is_some() && url.scheme() == "http" && !here {
            return Err("url: the token would go in clear text: write https".to_owned());
        }
        Ok(())
    }

    /// Where instant queries go.
    pub(super) fn query_url(&self) -> Result<Url, String> {
        let mut url = Url::parse(&self.url).map_err(|why| why.to_string())?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err("it is neither a http:// nor a https:// URL".to_owned());
        }
        if let Ok(mut parts) = url.path_segments_mut() {
            parts.pop_if_empty().extend(["api", "v1", "query"]);
        }
        Ok(url)
    }
}

//! P10: error rate and latency are watched, and judged.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Span;

/// How the service is watched after the canary and after the last host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Monitor {
    /// How long it is watched after the last host.
    #[serde(default = "fifteen_minutes")]
    pub duration: Span,
    /// How long it is watched after the canary, the new hosts beside the still-old ones; `0s` for not at all.
    #[serde(default)]
    pub canary: Span,
    /// From one sample to the next.
    #[serde(default = "ten_seconds")]
    pub interval: Span,
    /// What the agents scrape, where no Prometheus is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Metrics>,
    /// What a Prometheus is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<Prometheus>,
    /// Absolute limits.
    #[serde(default)]
    pub thresholds: Thresholds,
    /// The new hosts against the still-old ones, over the same time.
    #[serde(default)]
    pub compare: Compare,
    /// With fewer requests than this in the whole window nothing can be told.
    #[serde(default = "hundred")]
    pub min_requests: u64,
}

/// The service's own metrics in Prometheus' text format, scraped by each agent on its host.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Where: `http://localhost:8080/metrics`.
    pub url: String,
    /// The counter of requests.
    pub requests: String,
    /// Its label that holds the status; values that begin with 5 are errors.
    #[serde(default = "status_label")]
    pub status_label: String,
    /// The histogram of latencies in seconds, without `_bucket`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<String>,
}

/// Queries to a Prometheus. In each `${hosts}` stands for the names of the hosts in question, as `h1|h2`, and
/// `${interval}` for the time between two samples.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Prometheus {
    /// Which, by its name in the coordinator's configuration.
    pub source: String,
    /// Requests in the last interval.
    pub requests: String,
    /// Failed requests in the last interval.
    pub errors: String,
    /// Latency in seconds at the 99th percentile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_p99: Option<String>,
}

/// Limits that no release may exceed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Thresholds {
    /// The highest share of requests that may fail, in percent: `1` or `0.5`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_percent: Option<f64>,
    /// The highest latency at the 99th percentile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_p99: Option<Span>,
}

/// The new hosts against the still-old ones, over the same time: a rank test (Mann-Whitney) and an effect size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Compare {
    /// Whether it is done.
    pub enabled: bool,
    /// The share of false alarms that is borne over the whole window.
    pub significance: f64,
    /// Errors: the new hosts fail if they exceed the old ones by so many percentage points.
    pub error_points: f64,
    /// Latency: the new hosts fail if they are so many times slower.
    pub latency_ratio: f64,
}

impl Default for Compare {
    fn default() -> Self {
        Self { enabled: true, significance: 0.01, error_points: 1.0, latency_ratio: 1.5 }
    }
}

// Floats here are read from a manifest, never computed: equality is that of the text.
impl Eq for Monitor {}

fn fifteen_minutes() -> Span {
    Span::from_secs(900)
}
fn ten_seconds() -> Span {
    Span::from_secs(10)
}
fn hundred() -> u64 {
    100
}
fn status_label() -> String {
    "status".to_owned()
}

//! What is seen of a service while it is watched, and how it is judged.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use crate::Span;

/// When the service is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Watching {
    /// After the canary, beside the still-old hosts.
    Canary,
    /// After the last host.
    Fleet,
}

impl fmt::Display for Watching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Canary => "canary",
            Self::Fleet => "fleet",
        })
    }
}

/// What one host's service says of itself at one moment: counters since its process began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// Requests so far; nothing where no metrics were scraped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<f64>,
    /// Failed requests so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errors: Option<f64>,
    /// The latency histogram: upper bounds in seconds, and how many requests were at most so slow. The last
    /// bound is infinite; JSON has no number for that, and says `null`.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "buckets")]
    pub buckets: Vec<(f64, f64)>,
    /// How long the probes took, asked once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<Span>,
    /// Whether they were good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub good: Option<bool>,
}

// Readings are compared as what was sent, never computed.
impl Eq for Reading {}

fn buckets<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(f64, f64)>, D::Error> {
    let buckets = Vec::<(Option<f64>, f64)>::deserialize(deserializer)?;
    Ok(buckets.into_iter().map(|(bound, count)| (bound.unwrap_or(f64::INFINITY), count)).collect())
}

/// What was seen in one interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Of the hosts that run the new version.
    pub new: Seen,
    /// Of the hosts that still run the old one, over the same time; nothing where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<Seen>,
    /// Why something was not seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// A group of hosts in one interval.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Seen {
    /// Hosts that answered.
    pub hosts: u32,
    /// Requests.
    pub requests: f64,
    /// Failed requests.
    pub errors: f64,
    /// Latency in seconds at the 99th percentile, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_p99: Option<f64>,
}

// Samples come from a measurement once and are replayed as they are: their equality is that of the record.
impl Eq for Sample {}

/// What the monitor finds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    /// What it says.
    pub verdict: MonitorVerdict,
    /// Why, in one line, with the figures.
    pub why: String,
}

/// What the monitor says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MonitorVerdict {
    /// Nothing speaks against the new version.
    Pass,
    /// It is worse.
    Fail,
    /// Too little was seen: a person decides.
    Inconclusive,
}

impl fmt::Display for MonitorVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Inconclusive => "inconclusive",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_bucket_survives_its_document() {
        let buckets = vec![(0.5, 1.0), (f64::INFINITY, 2.0)];
        let reading =
            Reading { requests: Some(2.0), errors: Some(0.0), buckets, probe: None, good: None };
        let text = serde_json::to_string(&reading).unwrap();
        assert_eq!(serde_json::from_str::<Reading>(&text).unwrap(), reading, "{text}");
    }
}

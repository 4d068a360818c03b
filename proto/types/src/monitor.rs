//! What is seen of a service while it is watched, and how it is judged.

use std::fmt;

use serde::{Deserialize, Serialize};

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
    /// The latency histogram: upper bounds in seconds, and how many requests were at most so slow.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "buckets")]
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

/// JSON has no infinity, and the last bound of a histogram is: it is written `"+Inf"`, as in Prometheus' format.
mod buckets {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Bound {
        Finite(f64),
        Word(String),
    }

    pub(super) fn serialize<S: Serializer>(
        buckets: &[(f64, f64)],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let written = buckets.iter().map(|&(bound, count)| match bound.is_finite() {
            true => (Bound::Finite(bound), count),
            false => (Bound::Word("+Inf".to_owned()), count),
        });
        written.collect::<Vec<_>>().serialize(to)
    }

    pub(super) fn deserialize<'d, D: Deserializer<'d>>(
        from: D,
    ) -> Result<Vec<(f64, f64)>, D::Error> {
        let read = Vec::<(Bound, f64)>::deserialize(from)?.into_iter();
        read.map(|(bound, count)| match bound {
            Bound::Finite(bound) => Ok((bound, count)),
            Bound::Word(word) if word == "+Inf" => Ok((f64::INFINITY, count)),
            Bound::Word(word) => {
                Err(serde::de::Error::custom(format!("{word:?} is not the bound of a bucket")))
            }
        })
        .collect()
    }
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
    use super::Reading;

    #[test]
    fn a_histogram_survives_the_wire() {
        let reading = Reading {
            requests: Some(7.0),
            errors: None,
            buckets: vec![(0.1, 5.0), (f64::INFINITY, 7.0)],
            probe: None,
            good: None,
        };
        let json = serde_json::to_string(&reading).unwrap();
        assert_eq!(json, r#"{"requests":7.0,"buckets":[[0.1,5.0],["+Inf",7.0]]}"#);
        assert_eq!(serde_json::from_str::<Reading>(&json).unwrap(), reading);
    }
}

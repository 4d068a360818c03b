//! What is known of the hosts, before anything is planned.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Finding, HostName, Subject, Version};

/// A host's labels, such as `zone: a`.
pub type Labels = BTreeMap<String, String>;

/// One host, as a plan sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostFacts {
    /// Its name.
    pub name: HostName,
    /// Its labels.
    #[serde(default)]
    pub labels: Labels,
    /// Whether it answered.
    pub connected: bool,
    /// Whether the service's probes were good; unknown where it did not answer or has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthy: Option<bool>,
    /// The service's version that the last rollout left on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// What it answered, one for each subject asked about.
    #[serde(default)]
    pub findings: Vec<(Subject, Finding)>,
}

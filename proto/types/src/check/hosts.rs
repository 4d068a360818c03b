//! Which hosts are meant.

use std::collections::BTreeSet;

use super::Problems;
use crate::manifest::Hosts;

pub(super) fn check(hosts: &Hosts, problems: &mut Problems) {
    if hosts.labels.is_empty() && hosts.names.is_empty() {
        problems.error("hosts", "no host is selected: give `labels`, `names` or both");
    }
    for (key, value) in &hosts.labels {
        if key.trim().is_empty() || value.trim().is_empty() {
            problems.error(format!("hosts.labels.{key}"), "a label needs a name and a value");
        }
    }
    let mut seen = BTreeSet::new();
    for (index, name) in hosts.names.iter().enumerate() {
        if !seen.insert(name) {
            problems.error(format!("hosts.names[{index}]"), format!("{name} is listed twice"));
        }
    }
    if hosts.spread.as_deref().is_some_and(|label| label.trim().is_empty()) {
        problems
            .error("hosts.spread", "`spread` is empty: name a label, like zone, or leave it out");
    }
}

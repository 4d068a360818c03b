//! Why nothing happens: what a rollout, or a host in it, is waiting on.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{HostName, Timestamp, record::PauseWhy};

/// What is waited on, and what would end the wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitingOn {
    /// An operation that a host is carrying out.
    Operation {
        /// The host.
        host: HostName,
        /// What it does.
        operation: String,
        /// Since when.
        since: Timestamp,
        /// The agent ends it by then.
        until: Timestamp,
    },
    /// A host that is out of contact in the middle of an operation.
    Reconnect {
        /// The host.
        host: HostName,
        /// Since when.
        since: Timestamp,
        /// It counts as unreachable from then on.
        until: Timestamp,
    },
    /// An earlier wave.
    Wave {
        /// The wave that must pass first, from 1.
        wave: u32,
    },
    /// A free place among `max_parallel`.
    Slot {
        /// How many hosts are under way.
        under_way: u32,
        /// How many may be.
        max_parallel: u32,
    },
    /// Enough available hosts.
    MinAvailable {
        /// How many are available.
        available: u32,
        /// How many must stay so.
        min_available: u32,
    },
    /// Hosts that were healthy and turned bad: nothing further is begun before it is known how that ends.
    Recovery {
        /// The hosts.
        hosts: Vec<HostName>,
        /// Since when the first of them.
        since: Timestamp,
        /// The next decision: that one is well again, or has failed.
        until: Timestamp,
    },
    /// A person who promotes the canary.
    Promotion,
    /// The answers of gates.
    Gates {
        /// Which.
        gates: Vec<String>,
    },
    /// Something that happens once.
    Once {
        /// Its name.
        once: String,
        /// The host that carries it out, if there is one in contact.
        host: Option<HostName>,
    },
    /// The monitor's verdict.
    Monitor {
        /// At the latest by then.
        until: Timestamp,
    },
    /// A person who resumes the rollout.
    Resume {
        /// Why it is paused.
        why: PauseWhy,
    },
    /// Operations that end before the rollout can be closed.
    Settling {
        /// Hosts that are still under way.
        hosts: Vec<HostName>,
    },
    /// The rollout's journal, which the coordinator could not read or write when it tried last; it tries again.
    Journal {
        /// What the store said.
        why: String,
    },
    /// The next decision of the coordinator, due at once.
    Coordinator,
}

/// One line, as an operator reads it.
impl fmt::Display for WaitingOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operation { host, operation, .. } => write!(f, "{host} to {operation}"),
            Self::Reconnect { host, .. } => write!(f, "{host} to come back into contact"),
            Self::Wave { wave } => write!(f, "batch {wave} to pass"),
            Self::Slot { under_way, max_parallel } => {
                write!(f, "a place: {under_way} under way, max_parallel is {max_parallel}")
            }
            Self::MinAvailable { available, min_available } => write!(
                f,
                "more available hosts: {available} are available, min_available is {min_available}"
            ),
            Self::Recovery { hosts, .. } => match hosts.as_slice() {
                [host] => write!(f, "{host} to get well: it was healthy and turned bad"),
                hosts => {
                    write!(f, "{} hosts to get well: they were healthy and turned bad", hosts.len())
                }
            },
            Self::Promotion => f.write_str("a person to promote the canary"),
            Self::Gates { gates } => write!(f, "the gates to answer: {}", gates.join(", ")),
            Self::Once { once, host: Some(host) } => write!(f, "{host} to do {once}"),
            Self::Once { once, host: None } => {
                write!(f, "a host in contact that may do {once}")
            }
            Self::Monitor { until } => {
                write!(f, "the monitor, which watches until {until:.0}")
            }
            Self::Resume { why } => write!(f, "a person to resume it: {why}"),
            Self::Settling { hosts } => write!(f, "{} hosts to finish what they do", hosts.len()),
            Self::Journal { why } => {
                write!(f, "the journal, which can't be read or written: {why}")
            }
            Self::Coordinator => f.write_str("the coordinator's next decision"),
        }
    }
}

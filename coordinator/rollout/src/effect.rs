//! What the machine asks for. An effect may be carried out more than once, or be lost with the coordinator:
//! agents do a command's number once, and what is unanswered is sent again.

use dv_types::{Command, CommandId, HostName, manifest::Monitor, probe::Probing};

/// Something to be done outside, after the records that it follows from are durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Send a command.
    Send {
        /// To this host.
        host: HostName,
        /// The command.
        command: Command,
    },
    /// Call a command off.
    Cancel {
        /// On this host.
        host: HostName,
        /// The command.
        command: CommandId,
    },
    /// Tell the host that its outcome is kept.
    Acknowledge {
        /// The host.
        host: HostName,
        /// The command.
        command: CommandId,
    },
    /// Ask gates, and say what they answer as [`crate::Event::Gate`].
    AskGates {
        /// Which.
        gates: Vec<String>,
    },
    /// Look at the service at each interval, and say what was seen as [`crate::Event::Sampled`]. It takes the place
    /// of what was looked at before.
    Sample {
        /// How.
        monitor: Monitor,
        /// Hosts that run the new version.
        new: Vec<HostName>,
        /// Hosts that still run the old one.
        old: Vec<HostName>,
    },
    /// Look no longer.
    StopSampling,
    /// Have the service's probes watched.
    Watch {
        /// By this host.
        host: HostName,
        /// How.
        probing: Probing,
    },
    /// Have them watched no longer.
    Unwatch {
        /// By this host.
        host: HostName,
    },
}

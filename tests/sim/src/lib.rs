//! The real coordinator and the real agents on simulated time, network, disks and hosts, from a seed.
//!
//! ```text
//!  seed ── scenario        which fleet, versions, manifest, troubles
//!            │
//!   operators ──▶ coordinator (dv_coordinator::reign) ── store      writes that fail, or kill
//!                      ▲ │
//!                   network                                         delay, partition, reset, half-open
//!                      │ ▼
//!   faults ──▶ host: agent (dv_agent::Agent) ── disk, units, images, programs, probes, clocks
//!                      │
//!                 invariants      after every record, message and effect
//! ```
//!
//! One thread, one paused clock: the same seed is the same story, byte for byte. See `docs/reliability.md`.

mod chance;
mod clock;
mod coordinator;
mod database;
mod faults;
mod gate;
mod host;
mod invariants;
mod journal;
mod network;
mod operators;
mod scenario;
mod seed;
mod store;
mod story;
mod world;

use dv_types::HostName;

pub use seed::{Outcome, Simulator};
pub use world::Violation;

/// How far a simulation came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reach {
    /// Rollouts, rollbacks and catch-ups.
    pub rollouts: usize,
    /// Records of their journals.
    pub records: usize,
    /// What hosts did that can be seen from outside.
    pub effects: usize,
    /// Rollouts that succeeded.
    pub succeeded: usize,
    /// Rollouts that failed.
    pub failed: usize,
    /// Rollouts that a person ended.
    pub aborted: usize,
}

impl std::ops::AddAssign for Reach {
    fn add_assign(&mut self, other: Self) {
        self.rollouts += other.rollouts;
        self.records += other.records;
        self.effects += other.effects;
        self.succeeded += other.succeeded;
        self.failed += other.failed;
        self.aborted += other.aborted;
    }
}

/// The serial of the certificate that a host shows.
pub(crate) fn serial(host: &HostName) -> String {
    format!("serial of {host}")
}

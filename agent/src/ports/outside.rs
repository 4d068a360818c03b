//! The clocks, chance and the surroundings of a host.

use std::time::Duration;

use dv_types::Timestamp;

/// What an agent takes from outside.
pub trait Outside: Send + Sync {
    /// The host's clock, which people may set.
    fn now(&self) -> Timestamp;

    /// Which start of the host this is; empty if that can't be told.
    fn boot_id(&self) -> String;

    /// The time since the host was started, its sleep included. Nobody can set this clock.
    fn since_boot(&self) -> Duration;

    /// Any number from 0 to 1.
    fn chance(&self) -> f64;

    /// A number that nobody else has.
    fn unique(&self) -> u128;
}

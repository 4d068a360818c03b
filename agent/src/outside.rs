//! The clock, chance and the surroundings: what the agent takes from outside, in one place.

use std::{path::Path, time::Duration};

use dv_types::Timestamp;

/// Where the package puts the program.
const PACKAGED: &str = "/usr/bin/dv-agent";
/// Where the package says its version.
const VERSION: &str = "/usr/lib/dv-agent/version";

/// The host's clock.
#[expect(clippy::disallowed_methods, reason = "the one place where the clock is read")]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

/// Which start of the host this is; empty if that can't be read.
pub(crate) fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// The time since the host was started, its sleep included. Nobody can set this clock.
pub(crate) fn since_boot() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::try_from(time).unwrap_or_default()
}

/// Any number from 0 to 1.
#[expect(clippy::disallowed_methods, reason = "the one place where chance comes in")]
pub(crate) fn chance() -> f64 {
    rand::random()
}

/// A number that nobody else has.
#[expect(clippy::disallowed_methods, reason = "the one place where chance comes in")]
pub(crate) fn unique() -> u128 {
    rand::random()
}

/// The home directory of the agent's user, where git and compose look for their settings.
#[expect(clippy::disallowed_methods, reason = "programs get a fixed environment, but for this")]
pub(crate) fn home() -> String {
    std::env::var("HOME").unwrap_or_else(|_| "/root".to_owned())
}

/// Whether the journal takes what the agent logs.
#[expect(clippy::disallowed_methods, reason = "asked once, at the start")]
pub(crate) fn has_journal() -> bool {
    std::env::var_os("JOURNAL_STREAM").is_some()
}

/// What the log should hold, where somebody asked for something.
#[expect(clippy::disallowed_methods, reason = "asked once, at the start")]
pub(crate) fn log_filter() -> Option<String> {
    std::env::var("RUST_LOG").ok()
}

/// The version of this program: the package's, where it runs from there. Distributors have versions of their own. Read
/// at the start: a later package puts other files in their place.
pub(crate) fn version() -> String {
    let packaged = std::env::current_exe().is_ok_and(|file| file == Path::new(PACKAGED));
    let version = packaged.then(|| std::fs::read_to_string(VERSION).ok()).flatten();
    version.map_or_else(|| env!("CARGO_PKG_VERSION").to_owned(), |text| text.trim().to_owned())
}

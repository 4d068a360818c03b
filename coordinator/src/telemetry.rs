//! Where log lines go: to the journal under systemd, to standard error elsewhere.

use std::io::IsTerminal as _;

use tracing_subscriber::{
    EnvFilter, Layer as _, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

/// Sets logging up. `DV_LOG` says how much, `info` if it is not set.
#[expect(clippy::disallowed_methods, reason = "the surroundings are read here, at the start")]
pub fn init() {
    let filter = EnvFilter::try_from_env("DV_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let under_systemd = std::env::var_os("JOURNAL_STREAM").is_some();
    let journal = if under_systemd { tracing_journald::layer().ok() } else { None };
    let layer = match journal {
        Some(journal) => journal.boxed(),
        None => {
            let colours = std::io::stderr().is_terminal();
            tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(colours).boxed()
        }
    };
    tracing_subscriber::registry().with(filter).with(layer).init();
}

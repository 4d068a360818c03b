//! Where the log goes: to the journal when it listens, else to standard error.

use crate::outside;
use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt, util::SubscriberInitExt};

/// Installs the log. `RUST_LOG` chooses what is logged, `info` if it is not set.
pub fn install() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let journal =
        outside::has_journal().then(|| tracing_journald::layer().ok()).flatten().map(Layer::boxed);
    let layer = journal.unwrap_or_else(|| {
        tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false).boxed()
    });
    tracing_subscriber::registry().with(filter).with(layer).init();
}

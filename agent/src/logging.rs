//! Where the log goes: to the journal when it listens, else to standard error.

use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, Targets},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::outside;

/// Installs the log. `RUST_LOG` chooses what is logged (`debug`, or `warn,dv_agent=debug`), `info` if it is
/// not set. The larger filter language costs a megabyte of memory for a feature that nobody needs here.
pub fn install() {
    let wanted = outside::log_filter().and_then(|text| text.parse().ok());
    let filter: Targets = wanted.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    let journal =
        outside::has_journal().then(|| tracing_journald::layer().ok()).flatten().map(Layer::boxed);
    let layer = journal.unwrap_or_else(|| {
        tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false).boxed()
    });
    tracing_subscriber::registry().with(filter).with(layer).init();
}

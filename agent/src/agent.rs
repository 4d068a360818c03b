//! The agent as a whole: opens what it keeps, and holds the link until it is told to stop.

use std::{io, sync::Arc};

use crate::{
    adapter,
    config::Config,
    epoch::Fence,
    ledger::Ledger,
    link::Link,
    lock::Lock,
    notify::{self, Status},
    outbox::Outbox,
    outside, process,
    runner::Runner,
    switch::{self, Clock, Switches},
};

/// The agent can't start.
#[derive(Debug, thiserror::Error)]
#[error("can't use {at}: {why}")]
pub struct StartError {
    at: String,
    why: io::Error,
}

/// Runs the agent until `stop` ends. What is under way then is settled at the next start.
pub async fn run(config: Config, stop: impl Future<Output = ()>) -> Result<(), StartError> {
    let at = |path: &std::path::Path| {
        let at = path.display().to_string();
        move |why| StartError { at, why }
    };
    let _lock = Lock::take(&config.state_dir).map_err(at(&config.state_dir))?;
    let ledger =
        Ledger::open(config.ledger_dir(), outside::now()).map_err(at(&config.ledger_dir()))?;
    let fence = Fence::open(config.epoch_file()).map_err(at(&config.epoch_file()))?;
    if let Err(error) = process::adopt_orphans() {
        tracing::warn!(%error, "orphans of commands can't be adopted; some may outlive their deadline");
    }

    let switches = Switches::open(config.switches_dir(), Clock::of_host())
        .map_err(at(&config.switches_dir()))?;

    let outbox = Arc::new(Outbox::default());
    let status = Arc::new(Status::default());
    let ports = adapter::ports(&config);
    let runner = Arc::new(Runner::new(
        config.clone(),
        ports,
        ledger,
        switches,
        Arc::clone(&outbox),
        Arc::clone(&status),
    ));
    let instance = format!("{:032x}", outside::unique());
    notify::ready(&status);
    let switches = switch::watch(Arc::clone(&runner));
    let link = Link { config, runner, outbox, fence: Arc::new(fence), status, instance };
    tokio::select! {
        () = link.hold() => {}
        () = switches => {}
        () = stop => {
            notify::stopping();
            // At once, and before anything looks at how they ended: they did not fail, they were left.
            process::kill_all();
        }
    }
    Ok(())
}

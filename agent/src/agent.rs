//! The agent as a whole: opens what it keeps, and holds the link until it is told to stop.

use std::{io, path::Path, sync::Arc};

use tokio_util::sync::DropGuard;

use crate::{
    adapter,
    config::Config,
    epoch::Fence,
    ledger::Ledger,
    link::Link,
    lock::Lock,
    notify::{self, Status},
    outbox::Outbox,
    outside,
    ports::Ports,
    process,
    runner::Runner,
    switch::{self, Clock, Switches},
    warrants::Warrants,
};

/// The agent can't start.
#[derive(Debug, thiserror::Error)]
#[error("can't use {at}: {why}")]
pub struct StartError {
    at: String,
    why: io::Error,
}

/// When an agent ends.
#[derive(Debug)]
pub struct Until<S, R> {
    /// At once. What is under way then is settled at the next start.
    pub stop: S,
    /// When nothing is under way any more: another program is to take its place.
    pub retire: R,
}

/// Runs the agent of this host until it is told to end.
pub async fn run(
    config: Config,
    until: Until<impl Future<Output = ()>, impl Future<Output = ()>>,
) -> Result<(), StartError> {
    let _lock = Lock::take(&config.state_dir).map_err(at(&config.state_dir))?;
    if let Err(error) = process::adopt_orphans() {
        tracing::warn!(%error, "orphans of commands can't be adopted; some may outlive their deadline");
    }
    let ports = adapter::ports(&config);
    let agent = Agent::open(config, ports)?;
    notify::ready(&agent.link.status);
    let runner = Arc::clone(&agent.runner);
    let retired = async {
        until.retire.await;
        tracing::info!("another program is to take over: ending as soon as nothing is under way");
        runner.idle().await;
    };
    tokio::select! {
        () = agent.work() => {}
        () = until.stop => {
            notify::stopping();
            // At once, and before anything looks at how they ended: they did not fail, they were left.
            process::kill_all();
        }
        () = retired => notify::stopping(),
    }
    Ok(())
}

/// An agent, whatever its outside is. Dropped, it ends at once, with every task of it.
pub struct Agent {
    link: Link,
    runner: Arc<Runner>,
    _tasks: DropGuard,
}

impl Agent {
    /// Opens what it keeps.
    pub fn open(config: Config, ports: Ports) -> Result<Self, StartError> {
        let (disk, now) = (|| Arc::clone(&ports.disk), ports.outside.now());
        let (ledger, switches, epoch) =
            (config.ledger_dir(), config.switches_dir(), config.epoch_file());
        let clock = Clock::of_host(Arc::clone(&ports.outside));
        let kept = Ledger::open(disk(), ledger.clone(), now).map_err(at(&ledger))?;
        let fence = Fence::open(disk(), epoch.clone()).map_err(at(&epoch))?;
        let armed = Switches::open(disk(), switches.clone(), clock).map_err(at(&switches))?;

        let warrants = config.warrants_dir();
        let obeyed = Warrants::open(disk(), warrants.clone()).map_err(at(&warrants))?;

        let outbox = Arc::new(Outbox::default());
        let status = Arc::new(Status::default());
        let instance = format!("{:032x}", ports.outside.unique());
        let (to, shown) = (Arc::clone(&outbox), Arc::clone(&status));
        let runner = Arc::new(Runner::new(config.clone(), ports, kept, armed, obeyed, to, shown));
        let tasks = runner.tasks.end_with();
        let (fence, at_work) = (Arc::new(fence), Arc::clone(&runner));
        let version = outside::version();
        let link = Link { config, runner: at_work, outbox, fence, status, version, instance };
        Ok(Self { link, runner, _tasks: tasks })
    }

    /// Holds the link and obeys, for ever.
    pub async fn work(self) {
        let Self { link, runner, _tasks } = self;
        tokio::select! {
            biased;
            () = link.hold() => {}
            () = switch::watch(runner) => {}
        }
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> StartError + use<> {
    let at = path.display().to_string();
    move |why| StartError { at, why }
}

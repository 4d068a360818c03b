//! `dv-coordinator`

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use clap::{Parser, Subcommand};
use dv_coordinator::{
    clock::SystemClock, config::Config, coordinator::Coordinator, notify, store::SledStore,
    telemetry,
};
use tokio::signal::unix::{SignalKind, signal};

/// The coordinator of dv: sequences rollouts across the fleet.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve, until SIGTERM or SIGINT.
    Run {
        /// The configuration file.
        #[arg(long, value_name = "FILE", default_value = "/etc/dv-coordinator/coordinator.yaml")]
        config: PathBuf,
    },
}

fn main() -> ExitCode {
    let Command::Run { config } = Arguments::parse().command;
    telemetry::init();
    match run(&config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            tracing::error!("{why}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(config: &std::path::Path) -> Result<(), Box<dyn std::error::Error>> {
    let mut config = Config::read(config)?;
    config.credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (state_dir, floor) = (config.state_dir.clone(), config.min_free.0);
    let store = tokio::task::spawn_blocking(move || SledStore::open(&state_dir, floor)).await??;
    let coordinator = Coordinator::start(&config, Arc::new(store), Arc::new(SystemClock)).await?;
    tracing::info!(
        address = %coordinator.address(),
        operator = %coordinator.operator().display(),
        "serving; the first operator's context file is named here",
    );
    notify::ready(&coordinator);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = notify::keep_telling(&coordinator) => {}
        why = coordinator.down() => {
            // systemd starts the program anew, and that opens the store anew.
            notify::failing(&why);
            return Err(why.into());
        }
    }
    tracing::info!("stopping");
    notify::stopping();
    coordinator.stop().await;
    Ok(())
}

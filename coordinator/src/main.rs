//! `dv-coordinator`

mod upkeep;

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use clap::{Args, Parser, Subcommand};
use dv_coordinator::{
    clock::SystemClock, config::Config, coordinator::Coordinator, exports, local, notify,
    store::SledStore, telemetry,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinSet,
};

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
    Run(Of),
    /// Write everything that is kept, and the coordinator's identity, to a file; also while the coordinator runs.
    ///
    /// The file holds the key of the certificate authority: whoever has it can deploy.
    Backup {
        /// Where to; `-` is standard output.
        file: PathBuf,
        #[command(flatten)]
        of: Of,
    },
    /// Put a backup in the place of what is kept. The coordinator must not run.
    Restore {
        /// Where from; `-` is standard input.
        file: PathBuf,
        /// Also where something is kept: that is moved aside, within the state directory.
        #[arg(long)]
        replace: bool,
        #[command(flatten)]
        of: Of,
    },
    /// Read everything that is kept, and say what is damaged; also while the coordinator runs.
    ///
    /// Exits with 0 if all is well, and with 1 if not, or if it can't be read.
    Check {
        /// A backup that is read instead.
        file: Option<PathBuf>,
        #[command(flatten)]
        of: Of,
    },
}

#[derive(Args)]
struct Of {
    /// The configuration file.
    #[arg(long, value_name = "FILE", default_value = "/etc/dv-coordinator/coordinator.yaml")]
    config: PathBuf,
}

fn main() -> ExitCode {
    let command = Arguments::parse().command;
    telemetry::init();
    let done = match command {
        Command::Run(of) => run(&of.config).map(|()| true),
        Command::Backup { file, of } => upkeep::backup(&of.config, &file).map(|()| true),
        Command::Restore { file, replace, of } => {
            upkeep::restore(&of.config, &file, replace).map(|()| true)
        }
        Command::Check { file, of } => upkeep::check(&of.config, file.as_deref()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
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
    let (store, clock) = (Arc::new(store), Arc::new(SystemClock));
    let coordinator = Coordinator::start(&config, store.clone(), clock.clone()).await?;
    let state_dir = &config.state_dir;
    let mut beside = JoinSet::new();
    beside.spawn(local::serve(state_dir.clone(), store.clone()));
    beside.spawn(exports::run(state_dir.clone(), store, clock, config.backup_every));
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
    beside.shutdown().await;
    Ok(())
}

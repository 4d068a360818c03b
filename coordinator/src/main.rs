//! `dv-coordinator`

mod upkeep;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use clap::{Parser, Subcommand};
use dv_coordinator::{
    clock::SystemClock, config::Config, coordinator::Coordinator, exports, identity, leader::Place,
    local, notify, ports::Clock as _, store::SledStore, telemetry,
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

/// The configuration file.
#[derive(clap::Args)]
struct File {
    /// The configuration file.
    #[arg(long, value_name = "FILE", default_value = "/etc/dv-coordinator/coordinator.yaml")]
    config: PathBuf,
}

#[derive(Subcommand)]
enum Command {
    /// Serve, until SIGTERM or SIGINT.
    Run(File),
    /// Write everything that is kept, and the coordinator's identity, to a file; also while the coordinator runs.
    ///
    /// The file holds the key of the certificate authority: whoever has it can deploy.
    Backup {
        /// Where to; `-` is standard output.
        #[arg(value_name = "FILE")]
        to: PathBuf,
        #[command(flatten)]
        file: File,
    },
    /// Put a backup in the place of what is kept. The coordinator must not run.
    Restore {
        /// Where from; `-` is standard input.
        #[arg(value_name = "FILE")]
        from: PathBuf,
        /// Also where something is kept: that is moved aside, within the state directory.
        #[arg(long)]
        replace: bool,
        #[command(flatten)]
        file: File,
    },
    /// Read everything that is kept, and say what is damaged; also while the coordinator runs.
    ///
    /// Exits with 0 if all is well, and with 1 if not, or if it can't be read.
    Check {
        /// A backup that is read instead.
        #[arg(value_name = "FILE")]
        backup: Option<PathBuf>,
        #[command(flatten)]
        file: File,
    },
    /// Bring the fleet's certificate authority to a further coordinator.
    #[command(subcommand)]
    Identity(Authority),
}

#[derive(Subcommand)]
enum Authority {
    /// Print the certificate authority and its key: who has them can make certificates for anybody.
    Export(File),
    /// Take the certificate authority that `export` printed, from the standard input.
    Import {
        #[command(flatten)]
        file: File,
        /// Give up the one that is here, with all that it has issued.
        #[arg(long)]
        replace: bool,
    },
    /// Make a new certificate authority, which issues from the next start on; the old one is trusted beside it.
    ///
    /// Where one coordinator runs alone, `dvctl ca rotate` does it while that runs.
    Rotate(File),
}

fn main() -> ExitCode {
    let command = Arguments::parse().command;
    telemetry::init();
    let done = match command {
        Command::Run(file) => run(&file.config).map(|()| true),
        Command::Backup { to, file } => upkeep::backup(&file.config, &to).map(|()| true),
        Command::Restore { from, replace, file } => {
            upkeep::restore(&file.config, &from, replace).map(|()| true)
        }
        Command::Check { backup, file } => upkeep::check(&file.config, backup.as_deref()),
        Command::Identity(Authority::Export(file)) => export(&file.config).map(|()| true),
        Command::Identity(Authority::Import { file, replace }) => {
            import(&file.config, replace).map(|()| true)
        }
        Command::Identity(Authority::Rotate(file)) => rotate(&file.config).map(|()| true),
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
async fn run(config: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let mut config = Config::read(config)?;
    config.credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut beside = JoinSet::new();
    let coordinator = tokio::select! {
        coordinator = begin(&config, &mut beside) => coordinator?,
        // Nothing was commanded yet.
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
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
            // systemd starts the program anew, and that opens the store anew, or stands by.
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

/// Begins to serve, and what runs beside.
async fn begin(
    config: &Config,
    beside: &mut JoinSet<()>,
) -> Result<Coordinator, Box<dyn std::error::Error>> {
    let clock = Arc::new(SystemClock);
    match &config.store {
        Place::Sled => {
            let (state_dir, floor) = (config.state_dir.clone(), config.min_free.0);
            let open = move || SledStore::open(&state_dir, floor);
            let store = tokio::task::spawn_blocking(open).await??;
            let store = Arc::new(store);
            let coordinator = Coordinator::start(config, store.clone(), clock.clone()).await?;
            let (state_dir, every) = (&config.state_dir, config.backup_every);
            beside.spawn(local::serve(state_dir.clone(), store.clone()));
            beside.spawn(exports::run(state_dir.clone(), store, clock, every));
            Ok(coordinator)
        }
        Place::Etcd { members, prefix } => {
            let credentials = config.credentials.as_deref();
            let cluster = config.etcd.cluster(members, prefix, credentials)?;
            Ok(Coordinator::stand(config, cluster, clock).await?)
        }
    }
}

fn export(config: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let state_dir = Config::read(config)?.state_dir;
    print!("{}", identity::export(&state_dir.join("identity"))?);
    Ok(())
}

fn import(config: &Path, replace: bool) -> Result<(), Box<dyn std::error::Error>> {
    let directory = Config::read(config)?.state_dir.join("identity");
    let text = std::io::read_to_string(std::io::stdin())?;
    match identity::import(&directory, &text, replace)? {
        true => println!("the certificate authority is in {}", directory.display()),
        false => println!("the certificate authority was there already"),
    }
    Ok(())
}

/// In the files alone: a coordinator that runs goes on with what it has.
fn rotate(config: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let directory = Config::read(config)?.state_dir.join("identity");
    identity::rotate(&directory, SystemClock.now())?;
    println!(
        "a new certificate authority is in {}: restart this coordinator, then bring it to the others by `dv-coordinator \
         identity export` and `import`",
        directory.display()
    );
    Ok(())
}

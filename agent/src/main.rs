//! `dv-agent`: see `dv-agent --help`.

use std::{
    io::{self, Read},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use dv_agent::{Until, config::Config, identity::enrol::enrol, logging, policy::Policy};
use dv_types::HostName;

/// The agent of dv: carries out one host's operations, and only those that its policy lists.
///
/// It dials the coordinator and opens no port. To put it on a host: make a token with `dvctl agent token`,
/// write /etc/dv-agent/agent.yaml and /etc/dv-agent/policy.yaml, run `dv-agent enrol`, start the unit.
#[derive(Parser)]
#[command(version, after_help = AFTER_HELP)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

const AFTER_HELP: &str = "\
Files:
  /etc/dv-agent/agent.yaml     coordinator: c.example.com:7443   (needed)
                               state_dir: /var/lib/dv-agent
                               policy: /etc/dv-agent/policy.yaml
                               docker_socket: /var/run/docker.sock
  /etc/dv-agent/policy.yaml    what the agent may touch; root's, and nobody else may write it:
                               units: [debvisor.service]
                               images: [\"registry.example.com:5000/debvisor/debvisor\"]
                               compose: {debvisor: {directory: /srv/debvisor}}
                               trees: {/srv/debvisor-src: {remote: origin}}
                               commands: [[\"/usr/bin/debvisor-cli\", \"db\", \"*\"]]
                               (\"*\" is one argument, \"**\" at the end any rest)
                               files: [/var/backups/debvisor/*.dump]
                               secrets: {panel: {file: /etc/dv-agent/panel.password,
                                                 origins: [\"http://localhost:8080\"]}}
                               signed: {keys: [\"ssh-ed25519 AAAA... alice\"]}
                               (with it, nothing is obeyed that none of these keys has signed)
  ~/.docker/config.json        log-ins for registries, as `docker login` writes them
  /var/lib/dv-agent/           identity/, ledger/, switches/, warrants/ and epoch

Environment:
  RUST_LOG                     what is logged: error, warn, info (usual), debug

Exit codes: 0 done, 1 failed, 2 wrong usage.";

#[derive(Subcommand)]
enum Verb {
    /// Hold the link to the coordinator and obey it. What the unit runs.
    Run {
        #[command(flatten)]
        place: Place,
    },
    /// Get this host its certificate, with a token of `dvctl agent token`.
    Enrol {
        #[command(flatten)]
        place: Place,
        /// Where the token is; `-` for standard input. A token on the command line would be seen by all.
        #[arg(long, value_name = "FILE|-")]
        token_file: PathBuf,
        /// The name to enrol as, if it is not the one in the token.
        #[arg(long, value_name = "NAME")]
        host: Option<HostName>,
    },
    /// Look at this host's policy.
    Policy {
        #[command(subcommand)]
        verb: PolicyVerb,
    },
}

#[derive(Subcommand)]
enum PolicyVerb {
    /// Check a policy file, as the agent would read it.
    Check {
        /// The policy.
        #[arg(default_value = "/etc/dv-agent/policy.yaml")]
        file: PathBuf,
        /// It may belong to the user who checks it, as with `unprivileged: true`.
        #[arg(long)]
        unprivileged: bool,
    },
}

#[derive(clap::Args)]
struct Place {
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = "/etc/dv-agent/agent.yaml")]
    config: PathBuf,
}

fn main() -> ExitCode {
    match perform(Arguments::parse().verb) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dv-agent: {error}");
            ExitCode::FAILURE
        }
    }
}

type Failure = Box<dyn std::error::Error>;

fn perform(verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::Run { place } => {
            let config = Config::load(&place.config)?;
            logging::install();
            let runtime = runtime()?;
            let ended = runtime.block_on(async {
                let until = Until { stop: stop()?, retire: retire()? };
                Ok(dv_agent::run(config, until).await?)
            });
            // A helper thread that hangs in a file system is not waited for.
            runtime.shutdown_background();
            ended
        }
        Verb::Enrol { place, token_file, host } => {
            let config = Config::load(&place.config)?;
            let token = read_token(&token_file)?;
            let host = runtime()?.block_on(enrol(&config, &token, host.as_ref()))?;
            println!("enrolled as {host} with {}", config.coordinator);
            Ok(())
        }
        Verb::Policy { verb: PolicyVerb::Check { file, unprivileged } } => {
            check(&file, unprivileged)
        }
    }
}

fn check(file: &Path, unprivileged: bool) -> Result<(), Failure> {
    if !file.exists() {
        return Err(format!("there is no policy {}: nothing is allowed", file.display()).into());
    }
    let policy = Policy::load(file, unprivileged)?;
    println!(
        "{} is good: {} units, {} images, {} compose projects, {} working trees, {} commands, {} files, \
         {} secrets",
        file.display(),
        policy.units.len(),
        policy.images.len(),
        policy.compose.len(),
        policy.trees.len(),
        policy.commands.len(),
        policy.files.len(),
        policy.secrets.len(),
    );
    match &policy.signed {
        Some(signed) => println!(
            "every command needs the signature of one of {} keys, and questions may run {} commands",
            signed.keys.len(),
            signed.ask.len()
        ),
        None => println!("no command needs a signature"),
    }
    Ok(())
}

fn read_token(file: &Path) -> Result<String, Failure> {
    let read = if file == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(file)
    };
    read.map_err(|e| format!("can't read the token from {}: {e}", file.display()).into())
}

/// One thread: an agent waits far more than it works.
fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// Ends at SIGTERM or SIGINT.
fn stop() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Ends at SIGHUP, which the package sends when it has put another program in the place of this one.
fn retire() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut hang_up = signal(SignalKind::hangup())?;
    Ok(async move {
        hang_up.recv().await;
    })
}

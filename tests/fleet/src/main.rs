//! `dv-fleet`: a fleet of simulated hosts, and what it costs a coordinator.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use dv_fleet::{Result, bare, bench};

/// A fleet of simulated hosts, and what it costs a coordinator.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Measure a coordinator with a fleet beside a server that only echoes, and print the ratios.
    Bench {
        /// Hosts.
        #[arg(long, default_value_t = 10_000)]
        hosts: usize,
        /// Times that each echo and each command is measured.
        #[arg(long, default_value_t = 5)]
        rounds: usize,
        /// The coordinator; the one beside this program, if not given.
        #[arg(long, value_name = "FILE")]
        coordinator: Option<PathBuf>,
        /// Measure only these: broadcast, memory, restart, batches.
        #[arg(long, value_delimiter = ',')]
        only: Vec<String>,
    },
    /// Serve as what `bench` compares with.
    #[command(hide = true)]
    Bare {
        /// The coordinator's identity.
        #[arg(long)]
        identity: PathBuf,
    },
}

fn main() -> ExitCode {
    match perform(Arguments::parse().verb) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dv-fleet: {error}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn perform(verb: Verb) -> Result<()> {
    match verb {
        Verb::Bench { hosts, rounds, coordinator, only } => {
            let own = std::env::current_exe()?;
            let coordinator = match coordinator {
                Some(program) => program,
                None => own.with_file_name("dv-coordinator"),
            };
            bench::run(bench::Wish { own, coordinator, hosts, rounds: rounds.max(1), only }).await
        }
        Verb::Bare { identity } => bare::serve(&identity).await,
    }
}

//! `dv-sim run --seeds 0..10000`, `dv-sim replay SEED`, `dv-sim hunt`.

mod hunt;

use std::{
    ops::Range,
    process::ExitCode,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use clap::{Parser, Subcommand};
use dv_sim::{Reach, Simulator};

/// The real coordinator and the real agents on simulated time, network, disks and hosts, from a seed.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Play many seeds, and print those in which an invariant does not hold.
    Run {
        /// From the first seed to the one before the last.
        #[arg(long, value_name = "FROM..TO", default_value = "0..10000", value_parser = range)]
        seeds: Range<u64>,
        /// How many at once: as many as there are processors, if not given.
        #[arg(long)]
        jobs: Option<usize>,
        /// Go on after so many that fail.
        #[arg(long, default_value_t = 10)]
        failures: usize,
    },
    /// Plant known bugs, one at a time, and say which invariant catches each.
    Hunt {
        /// Among these seeds each must be caught.
        #[arg(long, value_name = "FROM..TO", default_value = "0..5000")]
        seeds: String,
        /// This bug only.
        #[arg(long)]
        bug: Option<String>,
    },
    /// Play one seed, and tell what happens step by step.
    Replay {
        /// The seed.
        seed: u64,
    },
}

fn range(text: &str) -> Result<Range<u64>, String> {
    let (from, to) = text.split_once("..").ok_or("write it like 0..10000")?;
    let number = |text: &str| text.parse().map_err(|_| format!("{text:?} is no number"));
    Ok(number(from)?..number(to)?)
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Run { seeds, jobs, failures } => run(seeds, jobs, failures),
        Command::Hunt { seeds, bug } => match hunt::hunt(&seeds, bug.as_deref()) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(why) => {
                eprintln!("dv-sim: {why}");
                ExitCode::FAILURE
            }
        },
        Command::Replay { seed } => replay(seed),
    }
}

fn replay(seed: u64) -> ExitCode {
    let outcome = Simulator::new().play(seed, true);
    outcome.story.iter().for_each(|line| println!("{line}"));
    match outcome.violation {
        None => ExitCode::SUCCESS,
        Some(violation) => {
            eprintln!("seed {seed}: {} does not hold: {}", violation.invariant, violation.what);
            ExitCode::FAILURE
        }
    }
}

fn run(seeds: Range<u64>, jobs: Option<usize>, most: usize) -> ExitCode {
    let jobs = jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, Into::into));
    let (began, count) = (Instant::now(), seeds.end.saturating_sub(seeds.start));
    let (next, played) = (AtomicU64::new(seeds.start), AtomicU64::new(0));
    let (reach, failures) = (Mutex::new(Reach::default()), Mutex::new(0_usize));
    let simulator = Simulator::new();
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let enough = *failures.lock().expect("no panic under it") >= most;
                    if seed >= seeds.end || enough {
                        return;
                    }
                    let outcome = simulator.play(seed, false);
                    played.fetch_add(1, Ordering::Relaxed);
                    *reach.lock().expect("no panic under it") += outcome.reach;
                    if let Some(violation) = outcome.violation {
                        *failures.lock().expect("no panic under it") += 1;
                        println!(
                            "seed {seed}: {} does not hold: {}",
                            violation.invariant, violation.what
                        );
                        println!("    cargo run -p dv-sim -- replay {seed}");
                    }
                }
            });
        }
    });
    let (reach, failures) =
        (reach.into_inner().unwrap_or_default(), failures.into_inner().unwrap_or_default());
    println!(
        "{} of {count} seeds in {:.1} s, {failures} failed: {} rollouts ({} succeeded, {} failed, {} aborted), \
         {} records, {} effects on hosts",
        played.into_inner(),
        began.elapsed().as_secs_f64(),
        reach.rollouts,
        reach.succeeded,
        reach.failed,
        reach.aborted,
        reach.records,
        reach.effects,
    );
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

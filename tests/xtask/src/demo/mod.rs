//! `cargo demo`: a coordinator and five hosts on this machine, three releases, one of them bad.

mod client;
mod fleet;
mod stage;
mod story;

use std::{process::ExitCode, time::Instant};

use self::{fleet::Fleet, stage::Stage};
use crate::{say, workspace};

/// Where the programs come from.
#[derive(PartialEq, Eq)]
pub(crate) enum Programs {
    /// They are built first.
    Build,
    /// They were built just before.
    AsTheyAre,
}

pub(crate) fn run(programs: Programs) -> ExitCode {
    let result = if programs == Programs::Build { build() } else { Ok(()) };
    match result.and_then(|()| play()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("\n{} {why}", say::red("The demo failed:"));
            ExitCode::FAILURE
        }
    }
}

/// One build for all four, so that what they share is compiled once.
fn build() -> Result<(), String> {
    let mut cargo = workspace::cargo();
    cargo.args(["build", "--locked", "--bins"]);
    for package in ["dv-coordinator", "dv-agent", "dvctl", "dv-demo"] {
        cargo.args(["--package", package]);
    }
    match cargo.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("cargo build: {status}")),
        Err(error) => Err(format!("cargo build: {error}")),
    }
}

fn play() -> Result<(), String> {
    let began = Instant::now();
    let stage = Stage::set().map_err(|e| format!("no folder and no processes for it: {e}"))?;
    let mut fleet = Fleet::new(stage);
    match story::tell(&mut fleet) {
        Ok(seen) => {
            drop(fleet);
            say::heading(format!("What was seen, in {:.0} s", began.elapsed().as_secs_f32()));
            for line in seen {
                say::good(line);
            }
            println!("\nNothing is left behind. How it works: README.md and docs/architecture.md");
            Ok(())
        }
        Err(why) => {
            fleet.stage.keep_folder();
            let mut report = format!("{why}\nThe last lines of the programs:\n");
            for (name, line) in fleet.stage.last_lines() {
                report += &format!("  {name:<14} {line}\n");
            }
            Err(format!("{report}Their logs are kept in {}", fleet.stage.folder().display()))
        }
    }
}

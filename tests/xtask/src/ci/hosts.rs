//! The tests on five real hosts: containers whose first process is systemd, with the agent installed from its package.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use super::{passes, stage::Outcome};
use crate::{
    deb,
    workspace::{cargo, programs, root},
};

/// The bed is CI's own, so that one which somebody works with stays as it is.
const BED: (&str, &str) = ("DV_BED", "dv-ci");

/// What `bed check` ends with where there can be no bed.
const UNAVAILABLE: i32 = 69;

/// Packs the programs as they were built, brings the hosts up, runs the tests, and takes the hosts down again.
pub(crate) fn test() -> Outcome {
    let result = can_be_run().and_then(|()| {
        let packages = root().join("target/deb-ci");
        deb::pack(&programs(), "dev", &packages).map_err(Outcome::Failed)?;
        up(&packages)
    });
    let outcome = match result {
        Ok(()) => passes(cargo().env(BED.0, BED.1).args([
            "nextest",
            "run",
            "--workspace",
            "--locked",
            "--profile",
            "e2e",
        ])),
        Err(Outcome::LeftOut(why)) => return Outcome::LeftOut(why),
        Err(outcome) => outcome,
    };
    match passes(bed().arg("down")) {
        left_behind if matches!(outcome, Outcome::Passed) => left_behind,
        _ => outcome,
    }
}

fn can_be_run() -> Result<(), Outcome> {
    let output = bed().arg("check").stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| Outcome::Failed(format!("bed: {error}")))?;
    let said = String::from_utf8_lossy(&output.stdout);
    match output.status.code() {
        Some(0) => {
            print!("{said}");
            Ok(())
        }
        Some(UNAVAILABLE) => {
            let said = said.trim();
            Err(Outcome::LeftOut(said.strip_prefix("LEFT OUT: ").unwrap_or(said).to_owned()))
        }
        _ => Err(Outcome::Failed(format!("bed check: {}", output.status))),
    }
}

fn up(packages: &Path) -> Result<(), Outcome> {
    match passes(bed().args(["up", "--packages"]).arg(packages)) {
        Outcome::Passed => Ok(()),
        outcome => Err(outcome),
    }
}

fn bed() -> Command {
    let mut bed = Command::new(programs().join("bed"));
    bed.current_dir(root()).env(BED.0, BED.1);
    bed
}

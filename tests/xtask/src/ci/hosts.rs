//! The tests on five real hosts: containers whose first process is systemd, with the agent installed from its package.

use std::{fs::File, io::Write as _, process::Command};

use super::{available, passes, said_to, stage::Outcome};
use crate::{
    deb,
    workspace::{cargo, programs, root},
};

/// The bed is CI's own, so that one which somebody works with stays as it is.
const BED: (&str, &str) = ("DV_BED", "dv-ci");

/// Packs the programs as they were built, and brings the hosts up; all of them or none.
pub(crate) fn up(log: &File) -> Outcome {
    let up = can_be_run(log).and_then(|()| {
        let packages = root().join("target/deb-ci");
        deb::pack(&programs(), "dev", &packages).map_err(Outcome::Failed)?;
        match said_to(bed().args(["up", "--packages"]).arg(packages), log) {
            Outcome::Passed => Ok(()),
            outcome => Err(outcome),
        }
    });
    if let Err(Outcome::Failed(_)) = up {
        // Why there is no bed counts, not how it went down.
        let _ = said_to(bed().arg("down"), log);
    }
    up.err().unwrap_or(Outcome::Passed)
}

/// Runs the tests on hosts that are up.
pub(crate) fn test() -> Outcome {
    passes(cargo().env(BED.0, BED.1).args([
        "nextest",
        "run",
        "--workspace",
        "--locked",
        "--profile",
        "e2e",
    ]))
}

/// Takes down what is up.
pub(crate) fn down() -> Outcome {
    passes(bed().arg("down"))
}

fn can_be_run(mut log: &File) -> Result<(), Outcome> {
    let output = bed().arg("check").output();
    if let Ok(output) = &output {
        // What can't be written down is not what this is about.
        let _ = log.write_all(&output.stdout).and_then(|()| log.write_all(&output.stderr));
    }
    available("bed check", output)
}

fn bed() -> Command {
    let mut bed = Command::new(programs().join("bed"));
    bed.current_dir(root()).env(BED.0, BED.1);
    bed
}

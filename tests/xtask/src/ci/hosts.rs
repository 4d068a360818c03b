//! The tests on five real hosts: containers whose first process is systemd, with the agent installed from its package.

use std::{fs::File, io::Write as _, process::Command};

use super::{available, passes, said_to, stage::Outcome};
use crate::{
    deb,
    workspace::{cargo, programs, root},
};

/// Where a bed's name is said.
const NAME: &str = "DV_BED";

/// Two beds of five hosts, each for one half of the tests: these wait more than they work. They are CI's own, so that
/// one which somebody works with stays as it is.
#[derive(Clone, Copy)]
pub(crate) struct Half(u8);

/// Both.
pub(crate) const HALVES: [Half; 2] = [Half(1), Half(2)];

/// Packs the programs as they were built, and brings the hosts up; all of them or none.
pub(crate) fn up(log: &File) -> Outcome {
    let up = can_be_run(log).and_then(|()| {
        let packages = root().join("target/deb-ci");
        deb::pack(&programs(), "dev", &packages).map_err(Outcome::Failed)?;
        // One after the other: the second finds the images that the first has made.
        HALVES.iter().try_for_each(|half| {
            match said_to(half.bed().args(["up", "--packages"]).arg(&packages), log) {
                Outcome::Passed => Ok(()),
                outcome => Err(outcome),
            }
        })
    });
    if let Err(Outcome::Failed(_)) = up {
        for half in HALVES {
            // Why there is no bed counts, not how it went down.
            let _ = said_to(half.bed().arg("down"), log);
        }
    }
    up.err().unwrap_or(Outcome::Passed)
}

/// Takes down what is up.
pub(crate) fn down() -> Outcome {
    let down = HALVES.map(|half| passes(half.bed().arg("down")));
    down.into_iter().find(|outcome| !matches!(outcome, Outcome::Passed)).unwrap_or(Outcome::Passed)
}

impl Half {
    /// The command that runs this half of the tests on its hosts.
    pub(crate) fn tests(self) -> Command {
        let mut tests = cargo();
        tests.env(NAME, self.name()).args([
            "nextest",
            "run",
            "--workspace",
            "--locked",
            "--profile",
            "e2e",
            "--partition",
        ]);
        tests.arg(format!("count:{}/{}", self.0, HALVES.len()));
        tests
    }

    fn name(self) -> String {
        format!("dv-ci-{}", self.0)
    }

    fn bed(self) -> Command {
        let mut bed = Command::new(programs().join("bed"));
        bed.current_dir(root()).env(NAME, self.name());
        bed
    }
}

fn can_be_run(mut log: &File) -> Result<(), Outcome> {
    let output = HALVES[0].bed().arg("check").output();
    if let Ok(output) = &output {
        // What can't be written down is not what this is about.
        let _ = log.write_all(&output.stdout).and_then(|()| log.write_all(&output.stderr));
    }
    available("bed check", output)
}

//! `cargo ci`: everything that must hold, stage by stage, with a summary at the end.

mod hosts;
mod power;
mod stage;
mod supply;
mod tools;

use std::{
    fs::File,
    io,
    path::Path,
    process::{Command, ExitCode, Output},
};

use self::stage::{Beside, Outcome, Stages};
use crate::workspace::{cargo, root, xtask};

/// All stages. A later one runs although an earlier one failed, unless it needs what that one makes.
pub(crate) fn everything() -> ExitCode {
    let mut stages = Stages::default();
    stages.run("tools", tools::install);
    stages.run("format", || passes(cargo().args(["fmt", "--all", "--check"])));
    stages.run("lints", || {
        let lints = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
        passes(cargo().args(lints))
    });
    stages.run("forge stub", stub);
    // One build of everything: a crate compiled for a part of the workspace has other features, and would be
    // compiled again.
    let built = stages.run("build", || {
        passes(cargo().args(["build", "--workspace", "--all-targets", "--locked"]))
    });
    if built {
        // Their images come over the network, and systemd waits for much: that costs the others little.
        let bed = Beside::begin("five real hosts up", hosts::up);
        stages.run("tests", || tests("not package(dv-arch)"));
        stages.run("architecture", || tests("package(dv-arch)"));
        stages.run("examples in docs", || {
            passes(cargo().args(["test", "--workspace", "--doc", "--locked", "--quiet"]))
        });
        stages.run("demo", || passes(xtask().args(["demo", "--built"])));
        stages.run("power cuts", power::test);
        // The hosts wait more than they work; it takes the time that they leave.
        let simulation = Beside::begin("simulation", simulation);
        let supply = Beside::begin("supply chain", supply::check);
        on_hosts(&mut stages, bed);
        stages.join(supply);
        stages.join(simulation);
    }
    stages.summary()
}

/// The tests on real hosts, when these are up, and the hosts' end.
fn on_hosts(stages: &mut Stages, bed: Beside) {
    if stages.join(bed) {
        stages.run("real hosts", hosts::test);
        stages.run("real hosts down", hosts::down);
    }
}

/// The tests on real hosts only.
pub(crate) fn end_to_end() -> ExitCode {
    let mut stages = Stages::default();
    stages.run("tools", tools::install);
    let built = stages.run("build", || {
        passes(cargo().args(["build", "--workspace", "--all-targets", "--locked"]))
    });
    if built {
        on_hosts(&mut stages, Beside::begin("five real hosts up", hosts::up));
    }
    stages.summary()
}

/// Ten thousand seeds. Its own profile: what is simulated is made fast.
fn simulation(log: &File) -> Outcome {
    let run =
        ["run", "--profile", "sim", "--locked", "--quiet", "--package", "dv-sim", "--", "run"];
    let mut simulation = Command::new("nice");
    simulation.arg("-n19").arg(cargo().get_program()).args(run).args(["--seeds", "0..10000"]);
    said_to(simulation.current_dir(root()), log)
}

/// What stands for the forges in the tests follows what they publish.
fn stub() -> Outcome {
    match Command::new("python3").arg(root().join("tests/forge/selftest.py")).status() {
        Ok(status) if status.success() => Outcome::Passed,
        Ok(status) => Outcome::Failed(format!("tests/forge/selftest.py: {status}")),
        Err(error) => Outcome::LeftOut(format!("python3: {error}")),
    }
}

/// Runs the tests that `filter` (nextest's language) names, all of them even if one fails.
fn tests(filter: &str) -> Outcome {
    let run = ["nextest", "run", "--workspace", "--locked", "--no-fail-fast", "-E", filter];
    passes(cargo().args(run))
}

/// What the check for a stage's surroundings said: they are there, can't be had here, or the check failed.
fn available(check: &str, output: io::Result<Output>) -> Result<(), Outcome> {
    /// What a check ends with where the surroundings can't be had.
    const UNAVAILABLE: i32 = 69;
    let output = output.map_err(|error| Outcome::Failed(format!("{check}: {error}")))?;
    match output.status.code() {
        Some(0) => Ok(()),
        Some(UNAVAILABLE) => {
            let said = String::from_utf8_lossy(&output.stdout);
            let said = said.trim();
            Err(Outcome::LeftOut(said.strip_prefix("LEFT OUT: ").unwrap_or(said).to_owned()))
        }
        _ => Err(Outcome::Failed(format!("{check}: {}", output.status))),
    }
}

/// As [`passes`], with what the command says in a file.
fn said_to(command: &mut Command, log: &File) -> Outcome {
    match (log.try_clone(), log.try_clone()) {
        (Ok(out), Ok(err)) => passes(command.stdout(out).stderr(err)),
        (Err(error), _) | (_, Err(error)) => Outcome::Failed(format!("its log: {error}")),
    }
}

fn passes(command: &mut Command) -> Outcome {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default().to_owned();
    let verb = command.get_args().next().unwrap_or_default().to_owned();
    let name = format!("{} {}", program.display(), verb.display());
    match command.status() {
        Ok(status) if status.success() => Outcome::Passed,
        Ok(status) => Outcome::Failed(format!("{name}: {status}")),
        Err(error) => Outcome::Failed(format!("{name}: {error}")),
    }
}

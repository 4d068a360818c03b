//! The stages that were run, and the table at the end.

use std::{
    env,
    process::ExitCode,
    time::{Duration, Instant},
};

use crate::say;

/// How a stage ended.
pub(crate) enum Outcome {
    /// All is well.
    Passed,
    /// Something is not.
    Failed(String),
    /// It could not be run here.
    LeftOut(String),
}

/// The stages so far.
#[derive(Default)]
pub(crate) struct Stages(Vec<Stage>);

struct Stage {
    name: &'static str,
    outcome: Outcome,
    took: Duration,
}

impl Stages {
    /// Runs a stage; says whether it passed.
    pub(crate) fn run(&mut self, name: &'static str, stage: impl FnOnce() -> Outcome) -> bool {
        say::heading(name);
        let began = Instant::now();
        let outcome = stage();
        let passed = matches!(outcome, Outcome::Passed);
        self.0.push(Stage { name, outcome, took: began.elapsed() });
        passed
    }

    /// Prints one line for each stage. Nothing may be left out where CI runs.
    pub(crate) fn summary(self) -> ExitCode {
        let in_ci = env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false");
        let mut well = true;
        say::heading("summary");
        for Stage { name, outcome, took } in &self.0 {
            let took = say::dim(format!("{:>7.1} s", took.as_secs_f32()));
            match outcome {
                Outcome::Passed => println!("{} {name:<18}{took}", say::green("✓")),
                Outcome::Failed(why) => {
                    well = false;
                    println!("{} {name:<18}{took}  {why}", say::red("✗"));
                }
                Outcome::LeftOut(why) => {
                    well &= !in_ci;
                    let mark = if in_ci { say::red("✗") } else { say::yellow("!") };
                    println!("{mark} {name:<18}{took}  {} {why}", say::yellow("LEFT OUT:"));
                }
            }
        }
        if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

//! The stages that were run, and the table at the end.

use std::{
    env,
    fs::{self, File},
    io,
    path::PathBuf,
    process::ExitCode,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::{say, workspace::root};

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

/// A stage that runs beside others. What it says is kept until it is asked for.
pub(crate) struct Beside {
    name: &'static str,
    log: PathBuf,
    running: JoinHandle<Stage>,
}

impl Beside {
    /// Begins a stage that is given the file for what it says.
    pub(crate) fn begin(
        name: &'static str,
        stage: impl FnOnce(&File) -> Outcome + Send + 'static,
    ) -> Self {
        let log = root().join("target").join(format!("ci-{}.log", name.replace(' ', "-")));
        let file = File::create(&log);
        say::note(format!(
            "{name}: begins, beside what follows; its words are in {}",
            log.display()
        ));
        let running = thread::spawn(move || {
            let began = Instant::now();
            let outcome = match file {
                Ok(file) => stage(&file),
                Err(error) => Outcome::Failed(format!("its log: {error}")),
            };
            Stage { name, outcome, took: began.elapsed() }
        });
        Self { name, log, running }
    }
}

impl Stages {
    /// Waits for a stage that runs beside, and shows what it said; says whether it passed.
    pub(crate) fn join(&mut self, beside: Beside) -> bool {
        let Beside { name, log, running } = beside;
        let stage = running.join().unwrap_or_else(|_| Stage {
            name,
            outcome: Outcome::Failed("it panicked".to_owned()),
            took: Duration::ZERO,
        });
        say::heading(name);
        if let Err(error) =
            File::open(&log).and_then(|mut log| io::copy(&mut log, &mut io::stdout()))
        {
            say::note(format!("{}: {error}", log.display()));
        }
        let _ = fs::remove_file(log);
        let passed = matches!(stage.outcome, Outcome::Passed);
        self.0.push(stage);
        passed
    }

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
        let in_ci = env::var("CI").is_ok_and(|value| value == "true" || value == "1");
        say::heading("summary");
        for Stage { name, outcome, took } in &self.0 {
            let mark = match outcome {
                Outcome::Passed => say::green("✓"),
                Outcome::LeftOut(_) if !in_ci => say::yellow("!"),
                _ => say::red("✗"),
            };
            let why = match outcome {
                Outcome::Passed => String::new(),
                Outcome::Failed(why) => say::red(why),
                Outcome::LeftOut(why) => format!("{} {why}", say::yellow("LEFT OUT:")),
            };
            let took = say::dim(format!("{:>7.1} s", took.as_secs_f32()));
            println!("{mark} {name:<18}{took}  {why}");
        }
        if self.are_well(in_ci) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn are_well(&self, in_ci: bool) -> bool {
        self.0.iter().all(|stage| match stage.outcome {
            Outcome::Passed => true,
            Outcome::LeftOut(_) => !in_ci,
            Outcome::Failed(_) => false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_fails_in_ci_only_and_what_failed_fails_everywhere() {
        let mut stages = Stages::default();
        assert!(stages.run("format", || Outcome::Passed));
        assert!(stages.are_well(true));
        assert!(!stages.run("real hosts", || Outcome::LeftOut("no Docker".to_owned())));
        assert!(stages.are_well(false) && !stages.are_well(true));
        assert!(!stages.run("tests", || Outcome::Failed("exit status: 1".to_owned())));
        assert!(!stages.are_well(false));
    }

    #[test]
    fn a_stage_beside_others_counts_like_any_other() {
        let mut stages = Stages::default();
        let good = Beside::begin("good beside", |_| Outcome::Passed);
        let bad = Beside::begin("bad beside", |_| Outcome::Failed("no".to_owned()));
        let broken = Beside::begin("broken beside", |_| panic!("on purpose"));
        assert!(stages.join(good) && stages.are_well(true));
        assert!(!stages.join(bad) && !stages.are_well(false));
        assert!(!stages.join(broken));
    }
}

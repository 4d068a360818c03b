//! The tests on five real hosts: containers whose first process is systemd.

use std::process::{Command, Stdio};

use super::{passes, stage::Outcome, tests};
use crate::workspace;

/// Brings the hosts up, runs the tests, and takes the hosts down again.
pub(crate) fn test() -> Outcome {
    if let Err(why) = docker_answers() {
        return Outcome::LeftOut(why);
    }
    let up = bed("up");
    let outcome = if matches!(up, Outcome::Passed) { tests("package(dv-e2e)") } else { up };
    match bed("down") {
        Outcome::Passed => outcome,
        left_behind if matches!(outcome, Outcome::Passed) => left_behind,
        _ => outcome,
    }
}

fn bed(verb: &str) -> Outcome {
    passes(Command::new(workspace::programs().join("bed")).arg(verb).current_dir(workspace::root()))
}

fn docker_answers() -> Result<(), String> {
    let mut docker = Command::new("docker");
    docker.args(["info", "--format", "{{.ServerVersion}}"]).stdin(Stdio::null());
    match docker.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stderr);
            Err(format!(
                "Docker does not answer: {}",
                text.lines().last().unwrap_or("no reason given")
            ))
        }
        Err(error) => Err(format!("Docker is not installed (docker: {error})")),
    }
}

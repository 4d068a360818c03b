//! What is needed besides cargo itself, installed where it is missing.

use std::process::{Command, Stdio};

use super::stage::Outcome;
use crate::{say, workspace::cargo};

/// The test runner's version, so that every machine runs the same.
const NEXTEST: &str = "0.9.151";

/// Installs what is missing, and says so.
pub(crate) fn install() -> Outcome {
    for (subcommand, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if !there_is(subcommand) {
            let mut rustup = Command::new("rustup");
            if let Err(why) = install_by(rustup.args(["component", "add", component])) {
                return Outcome::Failed(format!("`cargo {subcommand}` is missing: {why}"));
            }
        }
    }
    if !there_is("nextest") {
        // Unoptimised, it is there in half the time, and it mostly waits for the tests.
        let mut install = cargo();
        install
            .args(["install", "cargo-nextest", "--locked", "--debug", "--version", NEXTEST])
            .env("CARGO_PROFILE_DEV_DEBUG", "none");
        if let Err(why) = install_by(&mut install) {
            return Outcome::Failed(format!("`cargo nextest` is missing: {why}"));
        }
    }
    if !runs("etcd") {
        let mut apt = Command::new("apt-get");
        apt.args(["install", "--yes", "--no-install-recommends", "etcd-server"]);
        if let Err(why) = install_by(apt.env("DEBIAN_FRONTEND", "noninteractive")) {
            return Outcome::Failed(format!("`etcd` is missing, which tests start: {why}"));
        }
    }
    Outcome::Passed
}

fn runs(program: &str) -> bool {
    let mut version = Command::new(program);
    version.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    version.status().is_ok_and(|status| status.success())
}

pub(super) fn there_is(subcommand: &str) -> bool {
    let mut cargo = cargo();
    cargo.args([subcommand, "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    cargo.status().is_ok_and(|status| status.success())
}

pub(super) fn install_by(command: &mut Command) -> Result<(), String> {
    let arguments: Vec<_> = command.get_args().map(|a| a.to_string_lossy()).collect();
    let line = format!("{} {}", command.get_program().display(), arguments.join(" "));
    say::note(format!("Missing, so it is installed once: {line}"));
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{line}: {status}")),
        Err(error) => Err(format!("{line}: {error}")),
    }
}

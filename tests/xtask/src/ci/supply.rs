//! What may be compiled into dv: licences, sources, forbidden crates, and known faults where the database can be had.

use std::{fs::File, process::Command};

use super::{
    said_to,
    stage::Outcome,
    tools::{install_by, there_is},
};
use crate::workspace::{cargo, root};

/// `cargo deny`'s version, so that every machine judges alike.
const DENY: &str = "0.20.2";

/// Asks `cargo deny`, by `deny.toml`.
pub(crate) fn check(log: &File) -> Outcome {
    if !there_is("deny") {
        let mut install = nice();
        install
            .args(["install", "cargo-deny", "--locked", "--quiet", "--debug", "--version", DENY])
            .env("CARGO_PROFILE_DEV_DEBUG", "none");
        if let Err(why) = install_by(&mut install) {
            return Outcome::Failed(format!("`cargo deny` is missing: {why}"));
        }
    }
    let deny = |what: &[&str]| said_to(nice().args(["deny", "--locked", "check"]).args(what), log);
    match deny(&["licenses", "bans", "sources"]) {
        // Without its database nothing is known, which is no fault of dv's.
        Outcome::Passed if database() => deny(&["advisories"]),
        outcome => outcome,
    }
}

/// Brings the database of known faults; whether it is there.
fn database() -> bool {
    let fetched = nice().args(["deny", "fetch", "db"]).output();
    fetched.is_ok_and(|fetched| fetched.status.success())
}

/// It takes the time that others leave.
fn nice() -> Command {
    let mut nice = Command::new("nice");
    nice.arg("-n19").arg(cargo().get_program()).current_dir(root());
    nice
}

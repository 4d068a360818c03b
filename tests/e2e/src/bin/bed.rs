//! Brings the bed up and down: `bed up [--profile dev|release] [--packages DIRECTORY]`, `bed down`, `bed status`,
//! `bed shell MACHINE`, `bed check`.
//!
//! Exit code 69: this machine can't have a bed; what is left out, and why, is said on standard output.

use std::{
    env,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Command, ExitCode},
};

use dv_e2e::bed::{self, Bed, NoBed};

const USAGE: &str = "\
bed up [--profile dev|release] [--packages DIRECTORY]
                bring up five hosts, a coordinator and what they need
bed down        take them down; the images stay
bed status      say what runs
bed shell NAME  open a shell on h1 to h5, coordinator or infra
bed check       say whether this machine can have a bed, and install what it needs
";

/// As sysexits.h names it: a service that is needed is unavailable.
const UNAVAILABLE: u8 = 69;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["up"] => up("dev", None),
        ["up", "--profile", profile] => up(profile, None),
        ["up", "--packages", directory] => up("dev", Some(Path::new(directory))),
        ["down"] => said(bed::down()),
        ["status"] => said(status()),
        ["check"] => ended(bed::check()),
        ["shell", name] => said(shell(name)),
        _ => {
            eprint!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn up(profile: &str, packages: Option<&Path>) -> ExitCode {
    ended(bed::up(profile, packages).map(drop))
}

fn ended(result: Result<(), NoBed>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(NoBed::Failed(why)) => said(Err(why)),
        Err(NoBed::LeftOut(why)) => {
            println!("{why}");
            ExitCode::from(UNAVAILABLE)
        }
    }
}

fn said(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}

fn status() -> Result<(), String> {
    let bed = Bed::attach()?;
    for machine in bed.machines() {
        let state = machine.exec(&["systemctl", "is-system-running"]);
        println!("{:<12} {:<12} {}", machine.name, machine.address, state.stdout.trim());
    }
    println!("context      {}", bed.dvctl().context().display());
    print!("{}", bed.dvctl().run(&["hosts"]).result()?);
    Ok(())
}

fn shell(name: &str) -> Result<(), String> {
    let bed = Bed::attach()?;
    let machine = bed.machines().find(|machine| machine.name == name);
    let machine = machine.ok_or_else(|| format!("the bed has no machine {name}"))?;
    let why = Command::new("docker").args(["exec", "-it", &machine.container, "bash"]).exec();
    Err(format!("docker can't be run: {why}"))
}

//! What `cargo demo`, `cargo ci` and `cargo xtask` run.
mod ci;
mod deb;
mod demo;
mod say;
mod workspace;

use std::{env, process::ExitCode};

const USAGE: &str = "\
cargo demo          show a rollout through five hosts on this machine, and a rollback
cargo ci            run what CI runs: format, lints, tests, demo, tests on real hosts
cargo xtask e2e     run the tests on real hosts only
cargo xtask deb     build the Debian packages into target/deb
";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["demo"] => demo::run(demo::Programs::Build),
        ["demo", "--built"] => demo::run(demo::Programs::AsTheyAre),
        ["ci"] => ci::everything(),
        ["e2e"] => ci::end_to_end(),
        ["deb"] => packages("release"),
        ["deb", "--profile", profile] => packages(profile),
        ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            ExitCode::SUCCESS
        }
        _ => {
            eprint!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn packages(profile: &str) -> ExitCode {
    match deb::build(profile, &workspace::root().join("target/deb")) {
        Ok(packages) => {
            for package in packages {
                println!("{}", package.display());
            }
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{} {why}", say::red("error:"));
            ExitCode::FAILURE
        }
    }
}

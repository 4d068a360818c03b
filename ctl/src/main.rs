//! `dvctl`, the operator's command line of dv.

use std::process::ExitCode;

fn main() -> ExitCode {
    dvctl::run()
}

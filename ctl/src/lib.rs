//! The operator's command line of dv: it asks the coordinator, and draws what comes back.
//!
//! ```text
//! args ──▶ command ──▶ client ──▶ coordinator
//!             │           │
//!             │           └── records and reports ──▶ follow ──▶ display ──▶ output
//!             └── manifest (YAML, checked offline)
//! ```
//!
//! `display` is pure: documents go in, text comes out. `exit` is the table of exit codes.

mod args;
mod client;
mod command;
mod context;
mod display;
mod dossier;
mod error;
pub mod exit;
mod follow;
mod identity;
mod manifest;
mod output;

use std::process::ExitCode;

use clap::Parser as _;

pub use exit::Exit;

/// Does what the command line says.
#[must_use]
pub fn run() -> ExitCode {
    let args = match args::Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let code = if error.use_stderr() { Exit::Usage } else { Exit::Succeeded };
            // Nothing is left to say where even this can't be said.
            let _ = error.print();
            return code.into();
        }
    };
    let output = output::Output::new(&args.global);
    match command::run(args, &output) {
        Ok(exit) => exit.into(),
        Err(error) => {
            output.error(&error);
            error.exit.into()
        }
    }
}

//! A command that exits with 0.

use crate::{
    limits::Limits,
    process::{self, Program},
};

pub(super) async fn ask(argv: &[String], limits: &Limits) -> Result<(), String> {
    let program = Program { argv, directory: None, environment: &[], on_output: None };
    let finished = process::run(program, limits).await.map_err(|e| e.to_string())?;
    if finished.is_success() {
        return Ok(());
    }
    Err(match finished.last_line() {
        Some(line) => format!("{}: {line}", finished.why()),
        None => finished.why(),
    })
}

//! A command of an operation: run as the policy lists it, what it prints told as it comes.

use dv_types::OpResult;

use super::{Context, Halt, failed};
use crate::{
    limits::Stop,
    process::{self, Finished, Program},
};

/// Runs `argv` until it ends, or the operation must.
pub(super) async fn run(context: &Context, argv: &[String]) -> Result<Finished, Halt> {
    let say = |line: &str| context.progress.say(line);
    let program = Program { argv, directory: None, environment: &[], on_output: Some(&say) };
    (context.ports.programs)
        .run(program, &context.limits)
        .await
        .map_err(|e| failed(format!("can't run {}: {e}", argv.first().map_or("", |a| a))))
}

/// What its end means for the operation.
pub(super) fn result(finished: &Finished) -> OpResult {
    match finished.stopped {
        Some(Stop::TimedOut(limit)) => {
            OpResult::TimedOut(process::stopped_words(limit, finished.leftovers))
        }
        Some(Stop::Cancelled) => OpResult::Cancelled,
        None if finished.is_success() => OpResult::Done,
        None => OpResult::Failed(finished.why()),
    }
}

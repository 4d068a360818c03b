//! Run a command.

use dv_types::{Evidence, OpResult};

use super::{Attempt, Context, Ended, failed};
use crate::{
    limits::Stop,
    process::{self, Program},
};

pub(super) async fn run(context: &Context, argv: &[String]) -> Ended {
    let say = |line: &str| context.progress.say(line);
    let program = Program { argv, directory: None, environment: &[], on_output: Some(&say) };
    let finished = process::run(program, &context.limits)
        .await
        .map_err(|e| failed(format!("can't run {}: {e}", argv.first().map_or("", |a| a))))?;
    let result = match finished.stopped {
        Some(Stop::TimedOut(limit)) => {
            OpResult::TimedOut(process::stopped_words(limit, finished.leftovers))
        }
        Some(Stop::Cancelled) => OpResult::Cancelled,
        None if finished.is_success() => OpResult::Done,
        None => OpResult::Failed(finished.why()),
    };
    let evidence = Evidence::Exit { code: finished.code, signal: finished.signal };
    Ok(Attempt::from(result).with_output(finished.output).with_evidence(evidence))
}

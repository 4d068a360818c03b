//! Run a command.

use dv_types::Evidence;

use super::{Attempt, Context, Ended, command};

pub(super) async fn run(context: &Context, argv: &[String]) -> Ended {
    let finished = command::run(context, argv).await?;
    let evidence = Evidence::Exit { code: finished.code, signal: finished.signal };
    let result = command::result(&finished);
    Ok(Attempt::from(result).with_output(finished.output).with_evidence(evidence))
}

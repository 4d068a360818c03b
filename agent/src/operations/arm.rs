//! Arm the dead-man's switch, and let it go. Its firing is not an operation: nobody commands it.

use dv_types::{Evidence, OpResult, Operation, Span};

use super::{Attempt, Context, Ended, failed};
use crate::switch::Fired;

pub(super) async fn arm(context: &Context, within: Span, revert: &[Operation]) -> Ended {
    let refused = |why: &str| OpResult::Refused(format!("nothing is armed: {why}"));
    if revert.is_empty() {
        return Err(refused("it does not say what takes the host back").into());
    }
    if revert.iter().any(|o| matches!(o, Operation::Arm { .. } | Operation::Confirm)) {
        return Err(refused("the way back of a host can't hold a switch itself").into());
    }
    match context.switches.arm(context.command, within, revert.to_vec()).await {
        Ok(Ok(until)) => Ok(Attempt::done(Evidence::Armed { until })),
        Ok(Err(Fired)) => Err(overtaken()),
        Err(error) => Err(failed(format!("the way back can't be written down: {error}"))),
    }
}

pub(super) async fn confirm(context: &Context) -> Ended {
    match context.switches.confirm(context.command.rollout).await {
        Ok(Ok(())) => Ok(OpResult::Done.into()),
        Ok(Err(Fired)) => Err(overtaken()),
        Err(error) => Err(failed(format!("the switch can't be let go: {error}"))),
    }
}

/// The host goes back at this moment: the runner waits for that, and says so.
fn overtaken() -> super::Halt {
    OpResult::Cancelled.into()
}

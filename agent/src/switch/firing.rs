//! Going back: what a switch does when its time is up.

use std::{sync::Arc, time::Duration};

use dv_types::{OpResult, Operation};
use tokio_util::sync::CancellationToken;

use super::{Begun, Change, State, Switch, Switches};
use crate::{
    ledger::Mark,
    operations::{self, Context, Halt},
    runner::{self, Runner},
};

/// The host may sleep, and the runtime's clock with it: the other clocks are looked at this often.
const LONGEST_NAP: Duration = Duration::from_secs(10);
/// The pause before what can't be written is tried again.
const DISK_PAUSE: Duration = Duration::from_secs(2);

/// Fires each switch whose time is up. Costs nothing where none is armed.
pub(crate) async fn watch(runner: Arc<Runner>) {
    let switches = runner.switches.clone();
    loop {
        // Before the look, so that a change right after it is noticed.
        let changed = switches.inner.changed.notified();
        match switches.next() {
            Some((rollout, Duration::ZERO)) => match switches.fire(rollout).await {
                Ok(Some(switch)) => go_back(&runner, switch).await,
                Ok(None) => {}
                Err(error) => {
                    tracing::error!(%rollout, %error, "the host should go back, and can't write that down; trying again");
                    tokio::time::sleep(DISK_PAUSE).await;
                }
            },
            next => {
                let nap = next.map(|(_, wait)| wait.min(LONGEST_NAP));
                tokio::select! {
                    biased;
                    () = changed => {}
                    () = sleep(nap) => {}
                }
            }
        }
    }
}

async fn sleep(nap: Option<Duration>) {
    match nap {
        Some(nap) => tokio::time::sleep(nap).await,
        None => std::future::pending().await,
    }
}

/// Does what is left of the way back. What has failed does not keep the rest from being done.
async fn go_back(runner: &Arc<Runner>, mut switch: Switch) {
    let rollout = switch.command.rollout;
    tracing::warn!(%rollout, within = %switch.within, "nobody confirmed this host: it goes back");
    runner.call_off_all_of(rollout);
    // Nothing else changes the host meanwhile.
    let _alone = runner.gate.write().await;
    while let State::Firing { results, begun, .. } = &switch.state {
        let begun = begun.clone();
        let change = match switch.revert.get(results.len()).cloned() {
            None => Change::Reverted {},
            Some(operation) => {
                let result = one(runner, &mut switch, &operation, begun).await;
                tracing::warn!(%rollout, %operation, %result, "on the way back");
                Change::ended(result)
            }
        };
        note(&runner.switches, &mut switch, change).await;
    }
}

/// One operation, or what became of it before a crash.
async fn one(
    runner: &Arc<Runner>,
    switch: &mut Switch,
    operation: &Operation,
    begun: Option<Begun>,
) -> OpResult {
    let ready = async {
        // The policy counts as it is now.
        let mut context =
            runner.context(switch.command, operation, CancellationToken::new(), begun.is_some())?;
        match begun {
            Some(begun) => {
                context.mark = begun.mark.clone();
                settle(operation, &context, begun).await?;
            }
            None => {
                let mark = operations::mark(operation, &context).await?;
                context.mark = mark.clone();
                note(&runner.switches, switch, Change::Begun(Begun { mark })).await;
            }
        }
        Ok::<_, Halt>(context)
    };
    match ready.await {
        Ok(context) => {
            runner.perform(switch.command, operation.clone(), context, None).await.result
        }
        Err(halt) => halt.result,
    }
}

/// Whether an operation that the agent died in is to be done: not if it was done, nor if nobody knows.
async fn settle(operation: &Operation, context: &Context, begun: Begun) -> Result<(), Halt> {
    if operation.repeatable() {
        return Ok(());
    }
    match (operation, begun.mark) {
        (Operation::Unit { unit, .. }, Some(Mark::Unit(mark))) => {
            match operations::unit::settle(context, unit, &mark).await {
                Ok(None) => Ok(()),
                Ok(Some(attempt)) => Err(Box::new(attempt)),
                Err(halt) => Err(Box::new(runner::doubtful(*halt))),
            }
        }
        _ => Err(OpResult::Unknown(
            "the agent died while it ran; it may have been done, in part or in full".to_owned(),
        )
        .into()),
    }
}

/// There is room for it: what does not take it is a broken disk. The host is still kept for the way back alone, as nothing
/// else could be written down either.
async fn note(switches: &Switches, switch: &mut Switch, change: Change) {
    loop {
        match switches.note(switch, change.clone()).await {
            Ok(noted) => return *switch = noted,
            Err(error) => {
                tracing::error!(%error, "how far the way back has come can't be written; trying again");
                tokio::time::sleep(DISK_PAUSE).await;
            }
        }
    }
}

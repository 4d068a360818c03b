//! Act on a systemd unit, wait for the job's result, and see whether the unit holds.

use std::time::Duration;

use dv_types::{Evidence, OpResult, Span, operation::UnitVerb, outcome::Output};

use super::{Attempt, Context, Ended, Halt};
use crate::{
    ledger::UnitMark,
    limits::{Limits, Stop},
    ports::{UnitState, Units},
    process::Program,
};

/// A `Type=simple` unit counts as started before its program runs. One that can't run at all has failed
/// after this time; more is for the probes to find out.
const PROOF: Duration = Duration::from_millis(10);
/// How long systemd may take to say how a unit is.
const MARKING: Duration = Duration::from_secs(10);
/// The same once the time is up: the outcome is wanted soon, and what systemd does not say is left out of it.
const LAST_LOOK: Duration = Duration::from_secs(3);
const JOURNAL_LINES: &str = "20";

pub(super) async fn act(context: &Context, unit: &str, verb: UnitVerb) -> Ended {
    let units = context.units();
    let work = async {
        let job = units.act(unit, verb).await?;
        Ok::<_, Halt>((job, settled(units, unit, verb).await?))
    };
    match context.limits.within(work).await {
        Ok(ended) => {
            let (job, state) = ended?;
            Ok(judge(context, unit, verb, job, state).await)
        }
        Err(Stop::TimedOut(limit)) => Err(overdue(context, unit, limit).await),
        Err(stop) => Err(stop.into()),
    }
}

/// Which run of the unit there is, before it is acted on.
pub(super) async fn mark(context: &Context, unit: &str) -> Result<UnitMark, Halt> {
    let limits = context.limits.at_most(MARKING);
    let state = limits.within(context.units().state(unit)).await??;
    Ok(UnitMark { invocation: state.invocation })
}

/// What became of a restart that the agent died in: its outcome if the unit was restarted since `mark`,
/// nothing if it was not.
pub(crate) async fn settle(
    context: &Context,
    unit: &str,
    mark: &UnitMark,
) -> Result<Option<Attempt>, Halt> {
    let units = context.units();
    let state = context
        .limits
        .within(async {
            // A job that is under way may be the restart itself.
            loop {
                let state = units.state(unit).await?;
                if !state.has_job {
                    return Ok::<_, Halt>(state);
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await??;
    // After a reboot a unit that nothing has started since has no run at all.
    if state.invocation == mark.invocation || state.invocation.is_empty() {
        return Ok(None);
    }
    Ok(Some(judge(context, unit, UnitVerb::Restart, "done".to_owned(), state).await))
}

async fn settled(units: &dyn Units, unit: &str, verb: UnitVerb) -> Result<UnitState, Halt> {
    let state = units.state(unit).await?;
    if verb == UnitVerb::Stop || !state.unproven || state.active != "active" {
        return Ok(state);
    }
    tokio::time::sleep(PROOF).await;
    Ok(units.state(unit).await?)
}

async fn judge(
    context: &Context,
    unit: &str,
    verb: UnitVerb,
    job: String,
    state: UnitState,
) -> Attempt {
    let result = verdict(unit, verb, &job, &state);
    let output = if result.is_done() { Output::default() } else { journal(context, unit).await };
    let UnitState { active, sub, main_pid, .. } = state;
    Attempt::from(result).with_output(output).with_evidence(Evidence::Unit {
        job,
        active,
        sub,
        main_pid,
    })
}

fn verdict(unit: &str, verb: UnitVerb, job: &str, state: &UnitState) -> OpResult {
    let is = format!("{unit} is {} ({})", state.active, state.sub);
    let holds = match verb {
        UnitVerb::Stop => matches!(&*state.active, "inactive" | "failed"),
        // A oneshot without RemainAfterExit is done when it is inactive again.
        UnitVerb::Restart | UnitVerb::Start => {
            matches!(
                (&*state.active, &*state.sub),
                ("active" | "reloading", _) | ("inactive", "dead")
            )
        }
    };
    match job {
        "done" if holds => OpResult::Done,
        "done" => OpResult::Failed(format!("systemd's job was done, but {is}")),
        "timeout" => OpResult::TimedOut(format!("systemd's job timed out; {is}")),
        other => OpResult::Failed(format!("systemd's job ended with {other:?}; {is}")),
    }
}

/// The job is not done in time. It is left to systemd, which has a limit of its own for it.
async fn overdue(context: &Context, unit: &str, limit: Span) -> Halt {
    let is = match Limits::of(LAST_LOOK).within(context.units().state(unit)).await {
        Ok(Ok(state)) => format!("; {unit} is {} ({})", state.active, state.sub),
        _ => String::new(),
    };
    let result = OpResult::TimedOut(format!("systemd's job was not done within {limit}{is}"));
    Box::new(Attempt::from(result).with_output(journal(context, unit).await))
}

/// The unit's last words.
async fn journal(context: &Context, unit: &str) -> Output {
    let argv: Vec<String> =
        ["journalctl", "-u", unit, "-n", JOURNAL_LINES, "-o", "short-iso", "--no-pager", "-q"]
            .map(str::to_owned)
            .into();
    let program = Program { argv: &argv, directory: None, environment: &[], on_output: None };
    match context.ports.programs.run(program, &Limits::of(LAST_LOOK)).await {
        Ok(finished) => finished.output,
        Err(e) => Output { tail: format!("(the journal can't be read: {e})"), dropped: 0 },
    }
}

#[cfg(test)]
mod tests;

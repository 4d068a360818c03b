//! Where a database's schema stands, by the manifest's own command.

mod printed;

use std::{collections::BTreeMap, time::Duration};

use dv_types::{MigrationKind, OpResult, Schema, outcome::Output};

use super::{Attempt, Context, Halt};
use crate::{
    limits::{Limits, Stop},
    ports::Programs,
    process::{self, Program},
};

/// What a manifest says of migrations by their names.
pub(crate) type Kinds = BTreeMap<String, MigrationKind>;

/// The last look, after a command that was stopped or took all of the time, may take so long.
const LAST_LOOK: Duration = Duration::from_secs(5);

/// Why it is not known where the schema stands.
pub(crate) struct Unseen {
    stop: Option<Stop>,
    pub(crate) why: String,
    output: Output,
}

impl Unseen {
    fn new(why: String, output: Output) -> Self {
        Self { stop: None, why, output }
    }
}

/// Asks `check` where the schema stands.
pub(crate) async fn look(
    programs: &dyn Programs,
    check: &[String],
    kinds: &Kinds,
    limits: &Limits,
) -> Result<Schema, Unseen> {
    let program = Program { argv: check, directory: None, environment: &[], on_output: None };
    let finished = programs.run(program, limits).await.map_err(|e| {
        let name = check.first().map_or("", |a| a);
        Unseen::new(format!("can't run {name}: {e}"), Output::default())
    })?;
    if !finished.is_success() {
        let why = match finished.last_line() {
            Some(line) => format!("`{}`: {}: {line}", check.join(" "), finished.why()),
            None => format!("`{}`: {}", check.join(" "), finished.why()),
        };
        return Err(Unseen { stop: finished.stopped, why, output: finished.output });
    }
    if finished.stdout.len() >= process::STDOUT_KEPT {
        let why = format!(
            "`{}` printed more than {} KiB, so some of what is pending may be missing; let it print less",
            check.join(" "),
            process::STDOUT_KEPT / 1024
        );
        return Err(Unseen::new(why, finished.output));
    }
    printed::read(&finished.stdout, kinds)
        .map_err(|why| Unseen::new(format!("`{}` {why}", check.join(" ")), finished.output))
}

/// The look before anything is begun: without it nothing is.
pub(super) async fn before(
    context: &Context,
    check: &[String],
    kinds: &Kinds,
) -> Result<Schema, Halt> {
    context.progress.say("looks where the schema stands");
    look(&*context.ports.programs, check, kinds, &context.limits).await.map_err(|unseen| {
        let why = format!("{}; nothing was begun", unseen.why);
        let result = match unseen.stop {
            None => OpResult::Failed(why),
            Some(Stop::TimedOut(_)) => OpResult::TimedOut(why),
            Some(Stop::Cancelled) => OpResult::Cancelled,
        };
        Halt::new(Attempt::from(result).with_output(unseen.output))
    })
}

/// The look afterwards, whatever became of the change: it alone says what was done.
pub(super) async fn after(
    context: &Context,
    check: &[String],
    kinds: &Kinds,
) -> Result<Schema, Unseen> {
    context.progress.say("looks where the schema stands now");
    let programs = &*context.ports.programs;
    match look(programs, check, kinds, &context.limits.afterwards(LAST_LOOK)).await {
        // It was called off while it looked; what was done is to be known all the same.
        Err(Unseen { stop: Some(Stop::Cancelled), .. }) => {
            look(programs, check, kinds, &context.limits.afterwards(LAST_LOOK)).await
        }
        looked => looked,
    }
}

/// Nobody can say what `change` has done, which ended with `result`.
pub(super) fn unknown(change: &str, result: &OpResult, unseen: &Unseen) -> OpResult {
    OpResult::Unknown(format!(
        "where the schema stands is not known: the {change}: {result}; the check after it: {}",
        unseen.why
    ))
}

/// A head for a message.
pub(super) fn named(head: Option<&str>) -> &str {
    head.unwrap_or("empty")
}

#[cfg(test)]
mod tests;

//! What to do with a command, given what the ledger knows of it. Pure.

use dv_types::{Command, OpResult, Operation, Outcome, operation::UnitVerb};

use crate::ledger::{Entry, Known, Mark, UnitMark};

/// What is done with a command.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It is new: do it.
    Do,
    /// It was begun before a crash and does no harm when done again.
    Again(Entry),
    /// It was begun before a crash; systemd knows whether the unit was restarted since.
    AskSystemd { entry: Entry, unit: String, mark: UnitMark },
    /// It has an outcome: repeat it word for word.
    Repeat(Outcome),
    /// Nothing is done, and this is its outcome from now on.
    Close(OpResult),
    /// Nothing is done, and what the ledger says of the number stays.
    Refuse(OpResult),
}

/// What to do with `command`.
pub(crate) fn decide(known: Known, command: &Command) -> Decision {
    match known {
        Known::Nothing => Decision::Do,
        Known::Damaged(why) => Decision::Close(damaged(&why)),
        Known::Intent(entry) | Known::Ended(entry) => match &entry.operation {
            Some(other) if *other != command.operation => Decision::Refuse(contradicts(other)),
            _ if is_of_another_time(&entry, command) => Decision::Refuse(forgotten(&entry)),
            _ => known_as(entry, command),
        },
    }
}

/// The coordinator's store has gone back in time, and gives the number anew. What was done under it then, before others
/// did more, says nothing of now.
fn is_of_another_time(entry: &Entry, command: &Command) -> bool {
    entry.given.zip(command.given).is_some_and(|(then, now)| then != now)
}

fn known_as(entry: Entry, command: &Command) -> Decision {
    if let Some(outcome) = entry.outcome {
        Decision::Repeat(outcome)
    } else if command.operation.repeatable() {
        Decision::Again(entry)
    } else {
        ask_systemd(entry, "it may have been done, in part or in full")
    }
}

/// What to do when a command is called off that does not run. Once it has an outcome, it is not begun
/// any more, should it come late.
pub(crate) fn call_off(known: Known) -> Decision {
    match known {
        Known::Nothing => Decision::Close(OpResult::Cancelled),
        Known::Damaged(why) => Decision::Close(damaged(&why)),
        Known::Intent(entry) | Known::Ended(entry) => match entry.outcome {
            Some(outcome) => Decision::Repeat(outcome),
            None => {
                ask_systemd(entry, "it was called off, and may have been done in part or in full")
            }
        },
    }
}

/// systemd knows of a restart; of anything else nobody does.
fn ask_systemd(entry: Entry, otherwise: &str) -> Decision {
    match (&entry.operation, &entry.mark) {
        (Some(Operation::Unit { unit, verb: UnitVerb::Restart, .. }), Some(Mark::Unit(mark))) => {
            Decision::AskSystemd { unit: unit.clone(), mark: mark.clone(), entry }
        }
        _ => {
            Decision::Close(OpResult::Unknown(format!("the agent died while it ran; {otherwise}")))
        }
    }
}

fn damaged(why: &str) -> OpResult {
    OpResult::Unknown(format!(
        "this host's record of it is damaged, so it is not done (again): {why}"
    ))
}

fn contradicts(other: &Operation) -> OpResult {
    OpResult::Refused(format!(
        "this host knows the number as `{other}`: the coordinator's store has gone back in time; start a new rollout"
    ))
}

/// Not simply refused: it may have been done, and some things must not be done twice.
fn forgotten(entry: &Entry) -> OpResult {
    let became = match &entry.outcome {
        Some(outcome) => outcome.result.to_string(),
        None => "it is not known what became of it".to_owned(),
    };
    OpResult::Unknown(format!(
        "this host did the same under this number at {}, in a time that the coordinator's store has forgotten ({became}), \
         and does not do it again; start a new rollout",
        entry.began
    ))
}

#[cfg(test)]
mod tests;

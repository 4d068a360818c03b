//! No effect before its record.

use std::collections::{BTreeMap, BTreeSet};

use dv_types::{Command, CommandId, HostName, RolloutId};

use super::{Verdict, fold::Seen, violated};

const NAME: &str = "record-before-effect";

/// A command is in the journal before it is sent.
pub(super) fn command(
    rollouts: &BTreeMap<RolloutId, Seen>,
    host: &HostName,
    json: &str,
) -> Verdict {
    let command: Command = serde_json::from_str(json).expect("a command can be read");
    let given = rollouts.get(&command.id.rollout).and_then(|seen| seen.given.get(&command.id));
    match given {
        Some(given) if given.host == *host => Ok(()),
        _ => violated(NAME, format!("{host} is sent {}, which is not in the journal", command.id)),
    }
}

/// An outcome is kept before it is acknowledged.
pub(super) fn acknowledge(
    rollouts: &BTreeMap<RolloutId, Seen>,
    late: &BTreeSet<(CommandId, HostName)>,
    host: &HostName,
    command: &str,
) -> Verdict {
    let id: CommandId = command.parse().expect("a number can be read");
    let Some(seen) = rollouts.get(&id.rollout) else { return Ok(()) };
    let kept = seen.given.get(&id).is_some_and(|given| given.result.is_some());
    if kept || late.contains(&(id, host.clone())) {
        return Ok(());
    }
    violated(NAME, format!("{id} of {host} is acknowledged, and is not kept"))
}

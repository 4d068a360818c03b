//! What happens once happens once, unless a person says that it was not done.

use std::collections::BTreeMap;

use dv_types::{CommandId, Fact, Record, RolloutId};

use super::{Verdict, fold::Seen, violated};
use crate::host::Host;

/// As commanded.
pub(super) fn check(seen: &Seen, record: &Record) -> Verdict {
    let Fact::OnceCommanded { once, host, .. } = &record.fact else { return Ok(()) };
    let commanded = seen.given.values().filter(|given| given.once == Some(*once)).count() as u32;
    within(seen, *once, commanded + 1, &format!("{host} is told"))
}

/// As done.
pub(super) fn begun(
    rollouts: &mut BTreeMap<RolloutId, Seen>,
    host: &Host,
    command: CommandId,
) -> Verdict {
    let Some(seen) = rollouts.get_mut(&command.rollout) else { return Ok(()) };
    let Some(once) = seen.given.get(&command).and_then(|given| given.once) else { return Ok(()) };
    let begun = seen.once_begun.entry(once).or_default();
    *begun.entry(command).or_default().entry(host.machine.clone()).or_default() += 1;
    // A command each: two machines with one identity are not kept from that.
    let times = begun.values().filter_map(|machines| machines.values().max()).sum();
    within(seen, once, times, &format!("{} does it", host.name))
}

fn within(seen: &Seen, once: u32, times: u32, what: &str) -> Verdict {
    let name = &seen.plan.once[once as usize].name;
    let most = 1 + seen.not_done.get(name).copied().unwrap_or_default();
    if times > most {
        let id = seen.id;
        return violated("once", format!("{id}: {name} for the {times}th time, of {most}: {what}"));
    }
    Ok(())
}

//! `max_parallel` and `min_available` by what hosts serve and do themselves, whatever the journal says of them. A host that a fault has
//! just touched counts for the rollout: nobody can know how it is.

use std::time::Duration;

use dv_types::{CommandId, Fact, HostName, Operation, Record};

use super::{
    Verdict, effects,
    fold::{Given, Seen},
    violated,
};
use crate::{host::Host, world::World};

/// So long after a fault a coordinator may not know yet what became of a host, or holds it for lost.
const LATELY: Duration = Duration::from_secs(300);

/// No host is taken out that serves, unless enough others do.
pub(super) fn left(seen: &Seen, world: &World, record: &Record) -> Verdict {
    let Fact::Commanded { host, step, .. } = &record.fact else { return Ok(()) };
    let disrupts = seen.operation(host, *step).is_some_and(Operation::disrupts);
    let serves = |host: &HostName| world.hosts[host].is_well(world);
    // Who is out already, and not yet shown to be well, counts for nothing; nor does who is there twice, or lies of itself.
    if !disrupts || !world.is_plain(host) || seen.hosts[host].out || !serves(host) {
        return Ok(());
    }
    let counts = |other: &HostName| serves(other) || is_excused(world, other);
    let left = seen.hosts.keys().filter(|other| *other != host && counts(other)).count();
    let least = seen.plan.limits.min_available as usize;
    if left < least {
        let what = format!("{}: {host} is taken out, and {left} of {least} serve", seen.id);
        return violated("min_available", what);
    }
    Ok(())
}

/// No more hosts at once do what they were told than may.
pub(super) fn at_once(seen: &Seen, world: &World, host: &Host, command: CommandId) -> Verdict {
    let step = seen.given.get(&command).and_then(|given| given.step);
    if step.is_none() || !world.is_plain(&host.name) {
        return Ok(());
    }
    let other = |other: &&HostName| **other != host.name && !is_excused(world, other);
    let busy = seen.hosts.keys().filter(other).filter(|other| {
        let open = effects::open(&world.hosts[*other], seen.id);
        // What a full disk did not take was told all the same.
        let at_work = |given: &Given| given.step.is_some() && given.result.is_none();
        open.iter().any(|id| seen.given.get(id).is_some_and(at_work))
    });
    let busy: Vec<_> = busy.collect();
    let most = super::limits::most(seen);
    if busy.len() + 1 > most {
        let (id, name) = (seen.id, &host.name);
        let what = format!("{id}: {name} does {command} while {busy:?} are at work, of {most}");
        return violated("max_parallel", what);
    }
    Ok(())
}

fn is_excused(world: &World, host: &HostName) -> bool {
    !world.is_plain(host) || world.hosts[host].was_touched(world, LATELY)
}

//! No host is left on a version that was rolled back, unless it is reported so, or the host ran just that before: a
//! rollback takes each host back to what it ran, whatever its number says.

use std::collections::BTreeMap;

use dv_types::{
    Evidence, Fact, HostName, RolloutId, plan::Kind, record::Verdict as End, report::Phase,
};

use super::{Verdict, fold::Seen, violated};
use crate::world::World;

pub(super) fn check(rollouts: &BTreeMap<RolloutId, Seen>, world: &World) -> Verdict {
    // What came last to a host decides what it should run.
    let Some((_, last)) = rollouts.iter().next_back() else { return Ok(()) };
    let Kind::Reversal { of } = last.plan.kind else { return Ok(()) };
    if last.verdict() != Some(End::Succeeded) {
        return Ok(());
    }
    let (report, taken_back) = (last.machine.report(), &rollouts[&of]);
    for touched in taken_back.machine.report().hosts.iter().filter(|host| host.touched) {
        let name = &touched.name;
        // What one machine has said, the other need not have done, and what a liar says nobody has.
        if !world.is_plain(name) {
            continue;
        }
        let back = report.hosts.iter().find(|host| host.name == *name);
        let said = back.is_none_or(|host| host.phase != Phase::Healthy) && back.is_some();
        let version = &taken_back.plan.version;
        let same = back.is_some_and(|host| host.to.as_ref() == Some(version))
            || ran_it_already(taken_back, name);
        let runs = world.hosts[name].runs();
        if runs.as_ref() == Some(version) && !said && !same && !touched.reverted {
            let what =
                format!("{of} was taken back by {}, and {name} still runs {version}", last.id);
            return violated("rolled-back", what);
        }
    }
    Ok(())
}

/// Whether a rollout found on a host what it brought there.
fn ran_it_already(rollout: &Seen, name: &HostName) -> bool {
    let tags = rollout.records.iter().find_map(|record| match &record.fact {
        Fact::Reported { host, outcome } if host == name => match &outcome.evidence {
            Some(Evidence::Tags { before, after }) => Some((before, after)),
            _ => None,
        },
        _ => None,
    });
    tags.is_some_and(|(before, after)| before.latest == after.latest)
}

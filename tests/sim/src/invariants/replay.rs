//! The journal is the state: what its fold says is what the coordinator says, and it always says what it waits on.

use std::collections::BTreeMap;

use dv_types::{Fact, Record, Report, RolloutId};

use super::{Verdict, fold::Seen, violated};

/// Takes a record into the machine's own fold.
pub(super) fn follow(seen: &mut Seen, record: &Record) -> Verdict {
    let id = seen.id;
    if let Err(why) = seen.machine.apply(record) {
        return violated("replay", format!("{id}: {why}"));
    }
    let ended = matches!(record.fact, Fact::Ended { .. });
    let waits = !seen.machine.report().waiting.is_empty();
    if waits == ended {
        let what = format!("{id}: ended {ended}, and waits {waits}, after {:?}", record.fact);
        return violated("explain", what);
    }
    Ok(())
}

/// What a coordinator says of a rollout.
pub(super) fn reported(rollouts: &BTreeMap<RolloutId, Seen>, report: &Report) -> Verdict {
    let id = report.rollout;
    let Some(seen) = rollouts.get(&id) else {
        return violated("replay", format!("{id} is reported, and was never made"));
    };
    let (known, told) = (seen.machine.last_record(), report.record);
    if told > known {
        return violated(
            "replay",
            format!("{id}: {told} records are told of, and {known} are kept"),
        );
    }
    let own = Report { reversed_by: report.reversed_by, ..seen.machine.report() };
    if told == known && own != *report {
        return violated(
            "replay",
            format!("{id}: reported {report:?}, and the journal says {own:?}"),
        );
    }
    Ok(())
}

//! Canary, then batches, then the rest; and on each host one step after the other.

use dv_types::{Fact, Record, plan::WaveKind};

use super::{Verdict, fold::Seen, violated};

pub(super) fn check(seen: &Seen, canary: Option<u32>, record: &Record) -> Verdict {
    let id = seen.id;
    match &record.fact {
        Fact::Commanded { host, command, attempt, .. } => {
            // A host that was out of reach is told again what it has not answered.
            let open = seen.given.iter().find(|(other, given)| {
                let same = given.host == *host && given.attempt == *attempt;
                same && given.step.is_some() && given.result.is_none() && *other != command
            });
            if let Some((open, _)) = open {
                let what = format!("{id}: {host} goes on, and has not answered {open}");
                return violated("order", what);
            }
            let wave = seen.wave_of(host);
            if !wave.is_some_and(|wave| seen.waves.contains(&wave)) {
                return violated("order", format!("{id}: {host} goes before its wave {wave:?}"));
            }
            let canary = canary.filter(|_| seen.is_forward() && !seen.waves.contains(&1));
            let fresh = !seen.begun.contains(host);
            if canary.is_some_and(|canary| fresh && seen.begun.len() >= canary as usize) {
                let what = format!("{id}: {host} goes, and the canary is {:?}", seen.begun);
                return violated("order", what);
            }
            Ok(())
        }
        Fact::WaveStarted { wave } => {
            let earlier = &seen.plan.waves[..*wave as usize];
            let hosts = earlier.iter().flat_map(|wave| &wave.hosts);
            if let Some(open) = hosts.into_iter().find(|host| !seen.settled.contains(*host)) {
                let what = format!("{id}: wave {wave} begins, and {open} has not come to an end");
                return violated("order", what);
            }
            let after_canary = earlier.last().is_some_and(|wave| wave.kind == WaveKind::Canary);
            if after_canary && !seen.promoted && !seen.plan.limits.auto_promote {
                return violated("order", format!("{id}: wave {wave} begins without a promotion"));
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

//! `max_parallel`, `min_available` and the budget of failures.

use dv_types::{Fact, HostName, Operation, Record, manifest::OnFailure, plan::WaveKind};

use super::{Verdict, fold::Seen, violated};

pub(super) fn check(seen: &Seen, record: &Record) -> Verdict {
    match &record.fact {
        Fact::Commanded { host, step, .. } => {
            budget(seen, record)?;
            max_parallel(seen, host)?;
            min_available(seen, host, *step)
        }
        Fact::OnceCommanded { .. } => budget(seen, record),
        _ => Ok(()),
    }
}

fn budget(seen: &Seen, record: &Record) -> Verdict {
    let id = seen.id;
    if let Some(why) = &seen.stopped {
        return violated("budget", format!("{id}: {:?} although {why}", record.fact));
    }
    let (failed, tolerated) = (seen.failed.len(), seen.plan.limits.max_failures as usize);
    let goes_on = seen.plan.limits.on_failure == OnFailure::Continue;
    if failed > tolerated.max(seen.forgiven) + seen.forgiven.min(tolerated) && !goes_on {
        let what = format!("{id}: {:?} although {failed} have failed", record.fact);
        return violated("budget", what);
    }
    Ok(())
}

/// The most hosts that may be under way.
pub(super) fn most(seen: &Seen) -> usize {
    let waves = seen.plan.waves.iter();
    let waves = waves.filter(|wave| seen.is_forward() || wave.kind == WaveKind::Batch);
    waves.map(|wave| wave.max_parallel).max().unwrap_or(1) as usize
}

fn max_parallel(seen: &Seen, host: &HostName) -> Verdict {
    let most = most(seen);
    let under_way = seen.working.iter().filter(|other| *other != host).count() + 1;
    if under_way > most {
        let what = format!("{}: {host} is the {under_way}th under way, of {most}", seen.id);
        return violated("max_parallel", what);
    }
    Ok(())
}

fn min_available(seen: &Seen, host: &HostName, step: u32) -> Verdict {
    let disrupts = seen.operation(host, step).is_some_and(Operation::disrupts);
    if !disrupts || !seen.is_available(host) {
        return Ok(());
    }
    let left = seen.hosts.keys().filter(|other| *other != host && seen.is_available(other)).count();
    let least = seen.plan.limits.min_available as usize;
    if left < least {
        let what = format!("{}: {host} is taken out, and {left} of {least} are left", seen.id);
        return violated("min_available", what);
    }
    Ok(())
}

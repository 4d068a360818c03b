//! A host is called healthy only after every operation of its program was done in that attempt; and what became of a command
//! only the host may say that got it.

use dv_types::{Fact, Operation, Record};

use super::{Verdict, fold::Seen, violated};

pub(super) fn check(seen: &Seen, record: &Record) -> Verdict {
    if let Fact::Reported { host, outcome } | Fact::OnceReported { host, outcome, .. } =
        &record.fact
        && seen.given.get(&outcome.command).is_none_or(|given| given.host != *host)
    {
        let (id, command) = (seen.id, outcome.command);
        return violated(
            "honest",
            format!("{id}: {host} is believed about {command}, which it never got"),
        );
    }
    let Fact::HostHealthy { host } = &record.fact else { return Ok(()) };
    let Some(planned) = seen.plan.hosts.iter().find(|planned| planned.name == *host) else {
        return violated("honest", format!("{}: {host} is none of its hosts", seen.id));
    };
    let attempt = seen.hosts[host].attempt;
    let done = |step: u32| {
        seen.given.values().any(|given| {
            let this = given.host == *host && given.attempt == attempt && given.step == Some(step);
            this && given.result.as_ref().is_some_and(dv_types::OpResult::is_done)
        })
    };
    let program = seen.plan.operations(planned);
    // After a migration that the old version may not live with, no switch is armed.
    let migrates = seen.plan.once.iter().any(|o| matches!(o.operation, Operation::Migrate { .. }));
    let left_out = |step: u32| migrates && matches!(program[step as usize], Operation::Arm { .. });
    match (0..program.len() as u32).find(|&step| !done(step) && !left_out(step)) {
        Some(step) => {
            let what = format!(
                "{}: {host} is called healthy, and did not {}",
                seen.id, program[step as usize]
            );
            violated("honest", what)
        }
        None => Ok(()),
    }
}

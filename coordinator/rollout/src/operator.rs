//! Which verb is possible when, and what to do instead where it is not.

use dv_types::{HostName, plan::Kind, record::Verb, report::Phase};

use crate::{
    Rollout,
    rollout::{Mode, Promotion},
};

impl Rollout {
    /// Whether a person may say `verb` now.
    pub(crate) fn may(&self, verb: &Verb) -> Result<(), String> {
        let id = self.id;
        match &self.mode {
            Mode::Ended { verdict, .. } => {
                return Err(match verb {
                    Verb::Rollback => {
                        format!("{id} has {verdict}; take it back with `dvctl rollback {id}`")
                    }
                    _ => format!("{id} has {verdict}: there is nothing left to {verb}"),
                });
            }
            Mode::Ending { verdict, .. } => {
                return Err(format!("{id} is ending ({verdict}): wait until it has ended"));
            }
            Mode::New | Mode::Running | Mode::Paused(_) => {}
        }
        let paused = matches!(self.mode, Mode::Paused(_));
        match verb {
            Verb::Pause if paused => Err(format!("{id} is paused already")),
            Verb::Resume if !paused => Err(format!("{id} is not paused")),
            Verb::Promote if self.promotion != Promotion::Awaited => {
                Err(format!("{id} has no canary that waits to be promoted"))
            }
            Verb::Promote if paused => Err(format!("{id} is paused: resume it first")),
            Verb::Promote => match self.bad_canary() {
                Some((host, why)) => Err(format!(
                    "the canary is not well: {host} {why}; promote it when it is well again, or take it back with `dvctl rollback {id}`"
                )),
                None => Ok(()),
            },
            Verb::Rollback if matches!(self.plan.kind, Kind::Reversal { .. }) => Err(format!(
                "{id} is a rollback, and a rollback is never rolled back: abort it, or start a rollout of the version that you want"
            )),
            Verb::Retry { host } => self.phase_is(
                host,
                &[Phase::Failed, Phase::Skipped],
                "only a host that failed or was skipped can be tried again",
            ),
            Verb::Skip { host } => self.phase_is(
                host,
                &[Phase::Pending, Phase::Failed, Phase::Unreachable],
                "only a host that is pending, failed or unreachable can be skipped",
            ),
            _ => Ok(()),
        }
    }

    fn phase_is(&self, name: &HostName, phases: &[Phase], rule: &str) -> Result<(), String> {
        let i = self.host(name).ok_or_else(|| format!("{} has no host {name}", self.id))?;
        let phase = self.hosts[i].phase;
        if phases.contains(&phase) {
            return Ok(());
        }
        Err(format!("{name} is {phase}; {rule}"))
    }
}

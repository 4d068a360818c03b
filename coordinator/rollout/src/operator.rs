//! Which verb is possible when, and what to do instead where it is not.

use dv_types::{HostName, Operation, plan::Kind, record::Verb, report::Phase};

use crate::{
    Rollout,
    once::State,
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
            Verb::Resume => self.may_resume(),
            Verb::Override { gate } => self.may_override(gate),
            Verb::Resolve { once, .. } => self.may_resolve(once),
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
            Verb::MakeWay if !matches!(self.plan.kind, Kind::CatchUp { .. }) => {
                Err(format!("{id} is no catch-up: it makes way for nothing"))
            }
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

    /// Going on does not answer what a person must say.
    fn may_resume(&self) -> Result<(), String> {
        let id = self.id;
        for (planned, once) in self.plan.once.iter().zip(&self.once) {
            let (name, smoke) =
                (&planned.name, matches!(planned.operation, Operation::Smoke { .. }));
            let says = match &once.state {
                State::Unknown(known) => format!("nobody knows whether {name} was done ({known})"),
                State::Failed(why) if !smoke => format!("{name} was not done ({why})"),
                _ => continue,
            };
            return Err(format!(
                "{says}: look, and say so with `dvctl rollout resolve {id} {name} --as done|not-done --reason WHY`"
            ));
        }
        Ok(())
    }

    /// Whether the plan has such a gate.
    pub(crate) fn is_gate(&self, gate: &str) -> Result<(), String> {
        if self.plan.gates.iter().any(|known| known == gate) {
            return Ok(());
        }
        let known = match self.plan.gates.as_slice() {
            [] => "it has none".to_owned(),
            gates => format!("it has {}", gates.join(", ")),
        };
        Err(format!("{} has no gate {gate}: {known}", self.id))
    }

    fn may_override(&self, gate: &str) -> Result<(), String> {
        let id = self.id;
        self.is_gate(gate)?;
        if self.wave.is_some() {
            return Err(format!("the gates of {id} have been passed already"));
        }
        Ok(())
    }

    fn may_resolve(&self, name: &str) -> Result<(), String> {
        let id = self.id;
        let Some(k) = self.once_named(name) else {
            let names: Vec<_> = self.plan.once.iter().map(|once| once.name.as_str()).collect();
            let known = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
            return Err(format!("{id} does no {name} once: it does {known}"));
        };
        match &self.once[k].state {
            State::Unknown(_) | State::Failed(_) => Ok(()),
            State::Pending => Err(format!("{name} has not begun: there is nothing to resolve")),
            State::Working(flight) => Err(format!(
                "{name} is under way on {}: wait for its outcome, which is unknown only when the host is lost",
                flight.host
            )),
            State::Done => Err(format!("{name} is done: there is nothing to resolve")),
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

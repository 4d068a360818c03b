//! The state, made to be read.

use dv_types::{
    Report, WaitingOn,
    report::{HostReport, Phase, State, StepReport},
};

use crate::{
    Rollout,
    rollout::{Mode, Promotion},
};

/// Operations that are named one by one when a person asks what is waited for.
const NAMED: usize = 20;

impl Rollout {
    /// Where the rollout stands.
    #[must_use]
    pub fn report(&self) -> Report {
        Report {
            hosts: (0..self.hosts.len()).map(|i| self.host_report(i)).collect(),
            ..self.summary()
        }
    }

    /// The same without the hosts.
    #[must_use]
    pub fn summary(&self) -> Report {
        Report {
            rollout: self.id,
            service: self.plan.service.clone(),
            version: self.plan.version.clone(),
            kind: self.plan.kind.clone(),
            plan: self.plan_hash.clone(),
            by: self.by.clone(),
            record: self.last_record,
            began: self.began,
            ended: self.ended,
            state: self.state(),
            wave: (self.wave.map_or(0, |w| w + 1), self.plan.waves.len() as u32),
            totals: self.index.totals,
            hosts: Vec::new(),
            waiting: self.waiting(),
            rollback: matches!(
                self.mode,
                Mode::Ending { rollback: true, .. } | Mode::Ended { rollback: true, .. }
            ),
            reversed_by: None,
        }
    }

    fn state(&self) -> State {
        match &self.mode {
            Mode::New | Mode::Running if self.awaits_promotion() => State::AwaitingPromotion,
            Mode::New | Mode::Running => State::Running,
            Mode::Paused(why) => State::Paused(why.clone()),
            Mode::Ending { verdict, .. } => State::Ending(*verdict),
            Mode::Ended { verdict, .. } => State::Ended(*verdict),
        }
    }

    /// A canary that is bad now is not to be promoted: what is awaited is that it gets well.
    fn awaits_promotion(&self) -> bool {
        self.promotion == Promotion::Awaited && self.held().is_none()
    }

    /// What the rollout as a whole waits on: never nothing while it is unfinished.
    fn waiting(&self) -> Vec<WaitingOn> {
        let mut waiting = Vec::new();
        match &self.mode {
            Mode::Ended { .. } => return waiting,
            Mode::Paused(why) => waiting.push(WaitingOn::Resume { why: why.clone() }),
            Mode::Ending { .. } => waiting.push(WaitingOn::Settling {
                hosts: self
                    .index
                    .working
                    .iter()
                    .take(NAMED)
                    .map(|&i| self.name(i).clone())
                    .collect(),
            }),
            Mode::New | Mode::Running if self.awaits_promotion() => {
                waiting.push(WaitingOn::Promotion);
            }
            Mode::New | Mode::Running => waiting.extend(self.held()),
        }
        let under_way = self.index.working.iter().take(NAMED);
        waiting.extend(under_way.filter_map(|&i| self.host_waits(i)));
        let out_of_contact = self.index.alarms.iter().take(NAMED).map(|&(_, i)| i);
        waiting.extend(
            out_of_contact
                .filter(|&i| self.hosts[i].phase == Phase::Pending)
                .filter_map(|i| self.reconnect(i)),
        );
        if waiting.is_empty() {
            let next = self.index.startable.first().and_then(|&i| self.may_begin(i).err());
            waiting.push(next.or_else(|| self.recovery()).unwrap_or(WaitingOn::Coordinator));
        }
        waiting
    }

    /// What a host waits on.
    fn host_waits(&self, i: usize) -> Option<WaitingOn> {
        let host = &self.hosts[i];
        match host.phase {
            Phase::Pending | Phase::Working if !host.connected => self.reconnect(i),
            Phase::Pending => Some(self.may_begin(i).err().unwrap_or(WaitingOn::Coordinator)),
            Phase::Working => Some(match &host.flight {
                Some(flight) => WaitingOn::Operation {
                    host: self.name(i).clone(),
                    operation: self.operations(i)[flight.step as usize].to_string(),
                    since: flight.since,
                    until: flight.limit.after(flight.since),
                },
                None => self.may_continue(i).err().unwrap_or(WaitingOn::Coordinator),
            }),
            _ => None,
        }
    }

    fn reconnect(&self, i: usize) -> Option<WaitingOn> {
        let host = &self.hosts[i];
        (!host.connected).then(|| WaitingOn::Reconnect {
            host: self.name(i).clone(),
            since: host.contact,
            until: self.plan.limits.lost_after.after(host.contact),
        })
    }

    fn host_report(&self, i: usize) -> HostReport {
        let (host, planned) = (&self.hosts[i], self.planned(i));
        let operations = self.operations(i);
        let step = host.given.last().map(|last| StepReport {
            command: last.command,
            number: last.step + 1,
            of: operations.len() as u32,
            operation: operations[last.step as usize].to_string(),
            since: last.since,
            outstanding: host.flight.is_some(),
        });
        HostReport {
            name: planned.name.clone(),
            wave: self.places[i].wave as u32 + 1,
            phase: host.phase,
            connected: host.connected,
            good: host.good,
            touched: host.touched,
            attempt: host.attempt,
            from: planned.from.clone(),
            to: planned.to.clone(),
            began: host.began,
            ended: host.ended,
            step,
            waiting: if self.is_ended() { None } else { self.host_waits(i) },
            why: host.why.clone(),
        }
    }
}

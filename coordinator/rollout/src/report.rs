//! The state, made to be read.

use dv_types::{
    Report, WaitingOn,
    plan::{Turn, WaveKind},
    report::{
        GateReport, HostReport, MonitorReport, OnceReport, OnceState, Phase, State as Stands,
        StepReport,
    },
};

use crate::{
    Rollout,
    once::State,
    rollout::{Mode, Promotion},
    watching::Watch,
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
            gates: self.gate_reports(),
            once: self.once_reports(),
            migrations: self.migrations(),
            database: self.plan.database.clone(),
            monitor: self.monitor_reports(),
            waiting: self.waiting(),
            made_way: self.made_way,
            rollback: matches!(
                self.mode,
                Mode::Ending { rollback: true, .. } | Mode::Ended { rollback: true, .. }
            ),
            reversed_by: None,
        }
    }

    fn state(&self) -> Stands {
        match &self.mode {
            Mode::New | Mode::Running if self.awaits_promotion() => Stands::AwaitingPromotion,
            Mode::New | Mode::Running => Stands::Running,
            Mode::Paused(why) => Stands::Paused(why.clone()),
            Mode::Ending { verdict, .. } => Stands::Ending(*verdict),
            Mode::Ended { verdict, .. } => Stands::Ended(*verdict),
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
            Mode::Ending { .. } => {
                let working = self.index.working.iter().take(NAMED);
                let hosts: Vec<_> = working.map(|&i| self.name(i).clone()).collect();
                // Else it is something that happens once, which is told below.
                if !hosts.is_empty() {
                    waiting.push(WaitingOn::Settling { hosts });
                }
            }
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
        waiting.extend(self.waiting_besides_hosts());
        // Hosts that wait for the same are one line.
        let mut said = Vec::new();
        waiting.retain(|wait| {
            let news = !said.contains(wait);
            said.push(wait.clone());
            news
        });
        if waiting.is_empty() {
            let next = self.index.startable.first().and_then(|&i| self.may_begin(i).err());
            waiting.push(next.or_else(|| self.recovery()).unwrap_or(WaitingOn::Coordinator));
        }
        waiting
    }

    /// Gates, what happens once, and the monitor.
    fn waiting_besides_hosts(&self) -> Vec<WaitingOn> {
        let mut waiting = Vec::new();
        let gates = self.open_gates();
        if self.wave.is_none() && !gates.is_empty() {
            waiting.push(WaitingOn::Gates { gates });
        }
        let under_way = self.once_in_flight().map(|(k, _)| k);
        if let Some(k) = under_way.or_else(|| self.once_without_host()) {
            waiting.push(self.waiting_on_once(k));
        }
        if let Some((_, until)) = self.watch_under_way() {
            waiting.push(WaitingOn::Monitor { until });
        }
        waiting
    }

    /// A step whose turn it is, and that no host in contact may do.
    fn once_without_host(&self) -> Option<usize> {
        if self.mode != Mode::Running || self.held().is_some() {
            return None;
        }
        let Some(wave) = self.wave else {
            let before = self.gates_hold() && self.once_before_hosts().is_some();
            return before.then(|| self.open_once(Turn::Steps)).flatten();
        };
        let under_way = self.index.ready.iter().map(|&(_, i)| i);
        let mut come_to_it = under_way.chain(self.index.startable.first().copied());
        if let Some(k) = come_to_it.find_map(|i| self.barrier(i)) {
            return Some(k);
        }
        let passed = self.index.open[..=wave as usize].iter().all(|&open| open == 0);
        let canary = self.plan.waves[wave as usize].kind == WaveKind::Canary;
        let last = wave as usize + 1 == self.plan.waves.len();
        let turns = [(Turn::Canary, canary && !self.empty_canary_accepted), (Turn::End, last)];
        let turns = turns.into_iter().filter(|(_, due)| passed && *due);
        turns.filter_map(|(turn, _)| self.open_once(turn)).next()
    }

    fn gate_reports(&self) -> Vec<GateReport> {
        let gates = self.plan.gates.iter().zip(&self.gates);
        gates
            .map(|(name, gate)| GateReport {
                gate: name.clone(),
                answer: gate.answer.clone(),
                overridden: gate.overridden.clone(),
            })
            .collect()
    }

    fn once_reports(&self) -> Vec<OnceReport> {
        let steps = self.plan.once.iter().zip(&self.once);
        steps
            .map(|(planned, once)| {
                let last = once.last();
                let answer = last.and_then(|given| given.answer.as_ref());
                OnceReport {
                    name: planned.name.clone(),
                    operation: planned.operation.to_string(),
                    state: match once.state {
                        State::Pending => OnceState::Pending,
                        State::Working(_) => OnceState::Working,
                        State::Done => OnceState::Done,
                        State::Failed(_) => OnceState::Failed,
                        State::Unknown(_) => OnceState::Unknown,
                    },
                    host: last.map(|given| given.host.clone()),
                    command: last.map(|given| given.command),
                    since: last.map(|given| given.since),
                    took: answer.map(|answer| answer.took),
                    result: answer.map(|answer| answer.result.clone()),
                    evidence: answer.and_then(|answer| answer.evidence.clone()),
                    resolved_by: once.resolved_by.clone(),
                }
            })
            .collect()
    }

    fn monitor_reports(&self) -> Vec<MonitorReport> {
        let until = |watch: &Watch| self.watch_window(watch.watching).after(watch.since);
        self.watches
            .iter()
            .map(|watch| MonitorReport {
                watching: watch.watching,
                since: watch.since,
                until: until(watch),
                samples: watch.samples.len() as u32,
                last: watch.samples.last().cloned(),
                judgement: watch.judgement.clone(),
            })
            .collect()
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
            reverted: host.went_back(),
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

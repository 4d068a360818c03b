//! May a host be commanded now? If not, what is it waiting on?

use dv_types::{
    Fact, WaitingOn,
    monitor::Watching,
    plan::{Turn, WaveKind},
    record::PauseWhy,
};

use crate::{
    Rollout,
    rollout::{Mode, Promotion},
};

impl Rollout {
    /// Whether the next pending host may begin.
    pub(crate) fn may_begin(&self, i: usize) -> Result<(), WaitingOn> {
        match &self.mode {
            Mode::Running => {}
            Mode::Paused(why) => return Err(WaitingOn::Resume { why: why.clone() }),
            _ => return Err(WaitingOn::Coordinator),
        }
        if let Some(held) = self.held() {
            return Err(held);
        }
        let wave = self.places[i].wave as u32;
        let Some(current) = self.wave else {
            return Err(self.before_hosts());
        };
        if wave > current {
            return Err(if self.promotion == Promotion::Awaited {
                WaitingOn::Promotion
            } else {
                WaitingOn::Wave { wave: current + 1 }
            });
        }
        if let Some(k) = self.barrier(i) {
            return Err(self.waiting_on_once(k));
        }
        let max_parallel = self.current_wave().map_or(1, |w| w.max_parallel);
        let under_way = self.index.totals.working;
        if under_way >= max_parallel {
            return Err(WaitingOn::Slot { under_way, max_parallel });
        }
        self.enough_without(i)
    }

    /// What the first host waits for.
    fn before_hosts(&self) -> WaitingOn {
        let gates = self.open_gates();
        if !gates.is_empty() {
            return WaitingOn::Gates { gates };
        }
        let once = self.gates_hold().then(|| self.once_before_hosts()).flatten();
        let once = once.and_then(|_| self.open_once(Turn::Steps));
        once.map_or(WaitingOn::Coordinator, |k| self.waiting_on_once(k))
    }

    /// Whether a host under way may be given its next operation.
    pub(crate) fn may_continue(&self, i: usize) -> Result<(), WaitingOn> {
        match &self.mode {
            Mode::Running => {}
            // What has begun is brought to its end, so that no host is left half-way; but a spent budget
            // means that going on is what does the harm.
            Mode::Paused(why) if self.has_stopped() => {
                return Err(WaitingOn::Resume { why: why.clone() });
            }
            Mode::Paused(_) => {}
            _ => return Err(WaitingOn::Coordinator),
        }
        if let Some(k) = self.barrier(i) {
            return Err(self.waiting_on_once(k));
        }
        let next = self.operations(i).get(self.next_step(i) as usize);
        if next.is_some_and(dv_types::Operation::disrupts) {
            return self.enough_without(i);
        }
        Ok(())
    }

    /// Whether `min_available` holds without this host. A host that does not serve can be worked on freely:
    /// nothing is taken from the fleet, and the work may be what brings it back.
    fn enough_without(&self, i: usize) -> Result<(), WaitingOn> {
        if !self.hosts[i].available() {
            return Ok(());
        }
        let min_available = self.plan.limits.min_available;
        let available = self.index.totals.available - 1;
        if available >= min_available {
            return Ok(());
        }
        Err(WaitingOn::MinAvailable { available, min_available })
    }

    /// Whether the wave under way has passed, and what follows.
    pub(crate) fn after_wave(&self) -> Option<Fact> {
        let Some(wave) = self.wave else {
            return Some(match self.plan.waves.len() {
                _ if let Some(fact) = self.once_before_hosts() => return fact,
                0 => self.end(),
                _ => Fact::WaveStarted { wave: 0 },
            });
        };
        if self.index.open[..=wave as usize].iter().any(|&n| n > 0) {
            return None;
        }
        let last = wave as usize + 1 == self.plan.waves.len();
        if self.held().is_some() || (last && self.recovery().is_some()) {
            return None;
        }
        if self.plan.waves[wave as usize].kind == WaveKind::Canary {
            let proven = self.index.healthy[wave as usize] > 0;
            match self.promotion {
                _ if !proven && self.empty_canary_accepted => {}
                _ if !proven => return Some(Fact::Paused { why: PauseWhy::EmptyCanary }),
                _ if proven && let Some(fact) = self.proof_of_canary(wave as usize) => {
                    return fact;
                }
                Promotion::Given => {}
                _ if self.plan.limits.auto_promote => {}
                Promotion::NotYet => return Some(Fact::CanaryHealthy { wave }),
                Promotion::Awaited => return None,
            }
        }
        Some(match wave as usize + 1 < self.plan.waves.len() {
            true => Fact::WaveStarted { wave: wave + 1 },
            false => match self.proof_of_fleet() {
                Some(fact) => return fact,
                None => self.end(),
            },
        })
    }

    /// What the canary must still show before the others begin: the next fact, or the wait for it.
    fn proof_of_canary(&self, wave: usize) -> Option<Option<Fact>> {
        let first = self.index.proven.first().copied().filter(|&i| self.places[i].wave == wave);
        self.once_after(Turn::Canary, first).or_else(|| self.watched(Watching::Canary))
    }

    /// The same of the whole fleet, before the rollout can be called a success.
    fn proof_of_fleet(&self) -> Option<Option<Fact>> {
        if self.index.totals.healthy == 0 {
            return None;
        }
        let last = self.index.proven.last().copied();
        self.once_after(Turn::End, last).or_else(|| self.watched(Watching::Fleet))
    }
}

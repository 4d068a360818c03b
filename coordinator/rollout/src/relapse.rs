//! A host that was called healthy and turned bad since: what is held for it, and when it counts as failed.

use dv_types::{
    Fact, HostName, Plan, Span, Timestamp, WaitingOn,
    plan::{Kind, WaveKind},
    report::Phase,
};

use crate::{
    Rollout,
    host::{ANSWER_GRACE, Host},
};

/// Hosts that are named one by one.
const NAMED: usize = 20;

/// Since its probes turned bad.
#[derive(Debug, Clone)]
pub(crate) struct Relapse {
    pub(crate) since: Timestamp,
    /// Good again since then, but not for long enough to be believed.
    good: Option<Timestamp>,
    /// The last bad answer.
    why: Option<String>,
}

/// The times that decide when something becomes news of a host.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    pub(crate) lost_after: Span,
    min_healthy_time: Span,
    healthy_deadline: Span,
}

impl Patience {
    pub(crate) fn of(plan: &Plan) -> Self {
        let strategy = &plan.manifest.strategy;
        Self {
            lost_after: plan.limits.lost_after,
            min_healthy_time: strategy.min_healthy_time,
            healthy_deadline: strategy.healthy_deadline,
        }
    }
}

impl Host {
    /// Its probes turned. A relapse keeps its beginning until it is over: a service that comes and goes is
    /// not well in between.
    pub(crate) fn turn(&mut self, good: bool, why: Option<&String>, at: Timestamp) {
        self.good = Some(good);
        match &mut self.relapse {
            Some(relapse) if good => relapse.good = Some(at),
            Some(relapse) => (relapse.good, relapse.why) = (None, why.cloned()),
            None if !good && self.phase == Phase::Healthy => {
                self.relapse = Some(Relapse { since: at, good: None, why: why.cloned() });
            }
            None => {}
        }
    }

    /// When its relapse is over, one way or the other: the same standard as of its verification. A run of
    /// good rounds that has begun may be finished. A host that is newly in contact is first heard.
    pub(crate) fn relapse_ends(&self, patience: Patience) -> Option<Timestamp> {
        let relapse = self.relapse.as_ref()?;
        let deadline = patience.healthy_deadline.after(relapse.since);
        Some(match relapse.good.filter(|_| self.connected) {
            Some(good) => {
                patience.min_healthy_time.after(good).max(ANSWER_GRACE.after(self.contact))
            }
            None if self.connected => deadline.max(ANSWER_GRACE.after(self.contact)),
            None => deadline.max(patience.lost_after.after(self.contact)),
        })
    }
}

impl Rollout {
    /// How a relapse that is over ended.
    pub(crate) fn relapse_ended(&self, i: usize) -> Option<Fact> {
        let relapse = self.hosts[i].relapse.as_ref()?;
        let host = self.name(i).clone();
        if self.hosts[i].connected && relapse.good.is_some() {
            return Some(Fact::HostHealthy { host });
        }
        Some(Fact::HostFailed { host, why: self.told(i, relapse) })
    }

    fn told(&self, i: usize, relapse: &Relapse) -> String {
        let mut text = format!("was healthy, and turned bad at {:.0}", relapse.since);
        if let Some(why) = &relapse.why {
            text.push_str(&format!(" ({why})"));
        }
        let within = self.plan.manifest.strategy.healthy_deadline;
        match self.hosts[i].connected {
            true => text.push_str(&format!("; it did not get well for good within {within}")),
            false => text.push_str(&format!("; not in contact since {:.0}", self.hosts[i].contact)),
        }
        text
    }

    /// What the end of the rollout waits for: that it is known of each host how its relapse ends.
    pub(crate) fn recovery(&self) -> Option<WaitingOn> {
        let relapsed = &self.index.relapsed;
        let since = relapsed.iter().filter_map(|&i| Some(self.hosts[i].relapse.as_ref()?.since));
        let since = since.min()?;
        let until = relapsed.iter().filter_map(|&i| self.hosts[i].relapse_ends(self.patience()));
        Some(WaitingOn::Recovery {
            hosts: relapsed.iter().take(NAMED).map(|&i| self.name(i).clone()).collect(),
            since,
            until: until.min()?,
        })
    }

    /// What every further host, wave and promotion waits for. A rollback is not held: a host that does not
    /// get well on the release before is no reason to leave another on the one that was found bad.
    pub(crate) fn held(&self) -> Option<WaitingOn> {
        match self.plan.kind {
            Kind::Reversal { .. } => None,
            Kind::Forward | Kind::CatchUp { .. } => self.recovery(),
        }
    }

    /// A canary that may not be promoted now, and why.
    pub(crate) fn bad_canary(&self) -> Option<(&HostName, String)> {
        let in_canary = |i: usize| self.plan.waves[self.places[i].wave].kind == WaveKind::Canary;
        let &i = self.index.relapsed.iter().find(|&&i| in_canary(i))?;
        let relapse = self.hosts[i].relapse.as_ref()?;
        let mut text = match relapse.good {
            None => format!("turned bad at {:.0}", relapse.since),
            Some(good) => {
                format!("turned bad at {:.0} and is good again only since {good:.0}", relapse.since)
            }
        };
        if let Some(why) = &relapse.why {
            text.push_str(&format!(" ({why})"));
        }
        Some((self.name(i), text))
    }

    fn patience(&self) -> Patience {
        self.index.patience
    }
}

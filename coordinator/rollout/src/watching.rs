//! The service is watched after the canary and after the last host, and judged by what was seen.

use dv_types::{
    Fact, HostName, Judgement, Sample, Timestamp,
    monitor::{MonitorVerdict, Watching},
    record::{Condemner, PauseWhy},
    report::Phase,
};

use crate::{Effect, Rollout, judge, rollout::Mode};

/// One time that the service is watched.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    pub(crate) watching: Watching,
    pub(crate) since: Timestamp,
    pub(crate) samples: Vec<Sample>,
    pub(crate) judgement: Option<Judgement>,
    /// A person goes on in spite of it.
    pub(crate) accepted: bool,
}

impl Watch {
    fn has_passed(&self) -> bool {
        let passes = |judgement: &Judgement| judgement.verdict == MonitorVerdict::Pass;
        self.accepted || self.judgement.as_ref().is_some_and(passes)
    }
}

impl Rollout {
    /// How long the service is watched then.
    fn window(&self, watching: Watching) -> Option<dv_types::Span> {
        let monitor = self.plan.monitor.as_ref()?;
        let span = match watching {
            Watching::Canary => monitor.canary,
            Watching::Fleet => monitor.duration,
        };
        (span > dv_types::Span::ZERO).then_some(span)
    }

    /// The same, whether or not it is watched at all.
    pub(crate) fn watch_window(&self, watching: Watching) -> dv_types::Span {
        self.window(watching).unwrap_or_default()
    }

    /// Watches, where that is due: the next fact, or the wait for it; nothing where it has passed.
    pub(crate) fn watched(&self, watching: Watching) -> Option<Option<Fact>> {
        self.window(watching)?;
        match self.watches.iter().find(|watch| watch.watching == watching) {
            None => Some(Some(Fact::MonitorStarted { watching })),
            Some(watch) => (!watch.has_passed()).then_some(None),
        }
    }

    /// What the monitor finds, and what follows. It is asked whatever the hosts do meanwhile, and while the rollout is
    /// paused: a bad version is bad as soon as that is plain.
    pub(crate) fn verdict_of_monitor(&self, now: Timestamp) -> Option<Fact> {
        if let Some((watch, until)) = self.watch_under_way() {
            let (monitor, watching) = (self.plan.monitor.as_ref()?, watch.watching);
            let window = self.window(watching)?;
            let judgement = judge::judge(monitor, &watch.samples, window, until <= now)?;
            return Some(Fact::Judged { watching, judgement });
        }
        let watch = self.watches.last().filter(|watch| !watch.has_passed())?;
        let judgement = watch.judgement.as_ref()?;
        let why = judgement.why.clone();
        match judgement.verdict {
            MonitorVerdict::Fail if !self.has_stopped() => {
                Some(self.condemn(Condemner::Monitor, why))
            }
            MonitorVerdict::Inconclusive if self.mode == Mode::Running => {
                Some(Fact::Paused { why: PauseWhy::Inconclusive { why } })
            }
            _ => None,
        }
    }

    /// A person goes on in spite of what was found last.
    pub(crate) fn accept_judgement(&mut self) {
        if let Some(watch) = self.watches.last_mut() {
            watch.accepted = watch.judgement.is_some();
        }
    }

    /// The watch that is under way, and when it ends at the latest.
    pub(crate) fn watch_under_way(&self) -> Option<(&Watch, Timestamp)> {
        let watch = self.watches.last().filter(|watch| watch.judgement.is_none())?;
        Some((watch, self.window(watch.watching)?.after(watch.since)))
    }

    /// Whether a watch is under way that has not all its samples: a rollout that is paused for a week needs no
    /// more of them.
    pub(crate) fn awaits_samples(&self) -> bool {
        let (Some((watch, _)), Some(monitor)) = (self.watch_under_way(), &self.plan.monitor) else {
            return false;
        };
        watch.samples.len() < judge::looks(monitor, self.watch_window(watch.watching))
    }

    pub(crate) fn watch_mut(&mut self, watching: Watching) -> Result<&mut Watch, String> {
        let watch = self.watches.iter_mut().rev().find(|w| w.watching == watching);
        watch.ok_or_else(|| format!("nothing watches the {watching}"))
    }

    /// Has samples taken while a watch is under way.
    pub(crate) fn observe_service(&self) -> Option<Effect> {
        self.watch_under_way().filter(|_| matches!(self.mode, Mode::Running | Mode::Paused(_)))?;
        let monitor = self.plan.monitor.clone()?;
        let of = |phase: Phase| -> Vec<HostName> {
            let hosts = (0..self.hosts.len()).filter(|&i| self.hosts[i].phase == phase);
            hosts.map(|i| self.name(i).clone()).collect()
        };
        let (new, old) = (of(Phase::Healthy), of(Phase::Pending));
        Some(Effect::Sample { monitor, new, old })
    }
}

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
    pub(crate) fn watched(&self, watching: Watching, now: Timestamp) -> Option<Option<Fact>> {
        let window = self.window(watching)?;
        let Some(watch) = self.watches.iter().find(|w| w.watching == watching) else {
            return Some(Some(Fact::MonitorStarted { watching }));
        };
        let Some(judgement) = &watch.judgement else {
            let monitor = self.plan.monitor.as_ref()?;
            let judgement =
                judge::judge(monitor, &watch.samples, window, window.after(watch.since) <= now);
            return Some(judgement.map(|judgement| Fact::Judged { watching, judgement }));
        };
        if watch.accepted {
            return None;
        }
        let why = judgement.why.clone();
        match judgement.verdict {
            MonitorVerdict::Pass => None,
            MonitorVerdict::Fail => Some(Some(self.condemn(Condemner::Monitor, why))),
            MonitorVerdict::Inconclusive => {
                Some(Some(Fact::Paused { why: PauseWhy::Inconclusive { why } }))
            }
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

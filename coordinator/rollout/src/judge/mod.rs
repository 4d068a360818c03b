//! Judges what was seen of a service. Pure: samples in, a judgement out.
//!
//! There is one look after each interval, and each look asks the same questions again. So that this makes no false
//! alarms out of chance, `significance` is divided among all looks and questions: whatever depends on whatever, the
//! share of false alarms over the whole window is not more than the sum.

mod compare;
mod figures;
mod tail;
mod thresholds;

use dv_types::{Judgement, Sample, Span, manifest::Monitor, monitor::MonitorVerdict};

use figures::{Figures, percent, time};

/// Looks in a window: samples beyond it are not taken.
pub(crate) fn looks(monitor: &Monitor, window: Span) -> usize {
    let interval = monitor.interval.get().as_nanos().max(1);
    usize::try_from(window.get().as_nanos() / interval).unwrap_or(usize::MAX).max(1)
}

/// The judgement over a window of this length, as soon as it is plain; nothing where more must be seen. `over` says
/// that the window has ended.
#[must_use]
pub fn judge(monitor: &Monitor, samples: &[Sample], window: Span, over: bool) -> Option<Judgement> {
    let case = Case::new(monitor, samples, window);
    let found = case
        .errors_exceed()
        .or_else(|| case.latency_exceeds(over))
        .or_else(|| case.more_errors_than_old())
        .or_else(|| case.slower_than_old());
    let (verdict, why) = match found {
        Some(why) => (MonitorVerdict::Fail, why),
        None if !over => return None,
        None => match case.cannot_tell() {
            Some(why) => (MonitorVerdict::Inconclusive, why),
            None => (MonitorVerdict::Pass, case.all_is_well()),
        },
    };
    Some(Judgement { verdict, why })
}

/// What is judged.
struct Case<'a> {
    monitor: &'a Monitor,
    samples: &'a [Sample],
    looks: usize,
    new: Figures,
    old: Figures,
    /// There are old hosts, and they are compared with.
    compared: bool,
    /// The share of false alarms that one question may spend at one look.
    share: f64,
}

impl<'a> Case<'a> {
    fn new(monitor: &'a Monitor, samples: &'a [Sample], window: Span) -> Self {
        let looks = looks(monitor, window);
        let olds = samples.iter().filter_map(|sample| sample.old.as_ref());
        let compared = monitor.compare.enabled && samples.iter().any(|sample| sample.old.is_some());
        let limited = monitor.thresholds.error_percent.is_some();
        let questions = if compared { 2 } else { 0 } + usize::from(limited);
        Self {
            monitor,
            samples,
            looks,
            new: Figures::of(samples.iter().map(|sample| &sample.new)),
            old: Figures::of(olds),
            compared,
            share: monitor.compare.significance / (questions.max(1) * looks) as f64,
        }
    }

    /// Why nothing can be told, if so.
    fn cannot_tell(&self) -> Option<String> {
        let trouble = self.samples.iter().rev().find_map(|sample| sample.trouble.as_ref());
        let because = trouble.map(|trouble| format!(": {trouble}")).unwrap_or_default();
        let (looks, new) = (self.looks, &self.new);
        let interval = self.monitor.interval;
        if 2 * new.answered < looks {
            return Some(format!(
                "something was seen in {} of {looks} intervals of {interval} only, and it must be half of them{because}",
                new.answered
            ));
        }
        if new.requests < self.monitor.min_requests as f64 {
            return Some(format!(
                "{:.0} requests were seen in {looks} intervals of {interval}, and min_requests is {}{because}",
                new.requests, self.monitor.min_requests
            ));
        }
        if let Some(limit) = self.monitor.thresholds.latency_p99
            && new.p99.is_none()
        {
            return Some(format!(
                "the latency was never seen, and the threshold is {limit}{because}"
            ));
        }
        if let Some(limit) = self.monitor.thresholds.error_percent
            && new.error_rate() * 100.0 > limit
        {
            return Some(format!(
                "{}: more than the threshold, but so few that it may be chance",
                self.errors()
            ));
        }
        self.nothing_to_judge_by()
    }

    /// Neither limits nor old hosts.
    fn nothing_to_judge_by(&self) -> Option<String> {
        let thresholds = &self.monitor.thresholds;
        if thresholds.error_percent.is_some() || thresholds.latency_p99.is_some() {
            return None;
        }
        let seen = self.intervals_of_both();
        let why = match self.compared {
            true if seen >= compare::FEWEST => return None,
            true => format!(
                "the new and the old hosts both had requests in {seen} intervals only, and {} are needed to compare them",
                compare::FEWEST
            ),
            false if self.monitor.compare.enabled => {
                "there are no old hosts to compare with".to_owned()
            }
            false => "monitor.compare is off".to_owned(),
        };
        Some(format!(
            "{}, but nothing judges that: {why}, and monitor.thresholds has no limit",
            self.errors()
        ))
    }

    fn all_is_well(&self) -> String {
        let thresholds = &self.monitor.thresholds;
        let mut by = Vec::new();
        if thresholds.error_percent.is_some() || thresholds.latency_p99.is_some() {
            by.push("by thresholds".to_owned());
        }
        let seen = self.intervals_of_both();
        match self.compared {
            true if seen >= compare::FEWEST => by.push("against the old hosts".to_owned()),
            true => by.push(format!(
                "not against the old hosts, which had requests in {seen} intervals only"
            )),
            false => {}
        }
        let latency = self.latency().map(|latency| format!("; {latency}")).unwrap_or_default();
        format!("{}{latency}; judged {}", self.errors(), by.join(" and "))
    }

    /// The errors in words.
    fn errors(&self) -> String {
        let limit = self.monitor.thresholds.error_percent;
        let limit = limit.map(|limit| format!(" (threshold {limit} %)")).unwrap_or_default();
        let old = if self.old.requests > 0.0 {
            format!(", old hosts {}", percent(self.old.error_rate()))
        } else {
            String::new()
        };
        let requests = self.new.requests;
        format!("{} of {requests:.0} requests failed{limit}{old}", percent(self.new.error_rate()))
    }

    /// The latency in words.
    fn latency(&self) -> Option<String> {
        let limit = self.monitor.thresholds.latency_p99;
        let limit = limit.map(|limit| format!(" (threshold {limit})")).unwrap_or_default();
        let old = self.old.p99.map(|old| format!(", old hosts {}", time(old))).unwrap_or_default();
        Some(format!("p99 latency {}{limit}{old}", time(self.new.p99?)))
    }
}

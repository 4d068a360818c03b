//! No metrics: the agents' probes stand for the requests of others. Each round of a host is a request, a bad one is an
//! error, and the latency is the time that a good one took.

use std::{collections::HashMap, time::Duration};

use dv_types::{
    Finding, HostName, Sample, Span, Subject,
    monitor::{Reading, Seen},
    probe::Probing,
};

use super::{Troubles, Watched, deadline};
use crate::fleet::{Facts, Fleet, Question};

/// Asks for rounds of probes, one after the other, and sums them up at the end of each interval.
pub(super) struct Probed<'a> {
    fleet: &'a Fleet,
    question: Question,
    deadline: Duration,
    interval: Span,
    new: Rounds<'a>,
    old: Rounds<'a>,
    troubles: Troubles,
}

/// The rounds of one group in one interval.
struct Rounds<'a> {
    hosts: &'a [HostName],
    /// Of each host that answered: rounds, and bad ones.
    counts: HashMap<HostName, (u32, u32)>,
    times: Vec<f64>,
}

impl<'a> Probed<'a> {
    pub(super) fn new(fleet: &'a Fleet, watched: &Watched<'a>) -> Self {
        let interval = watched.monitor.interval;
        let question = Question {
            subjects: vec![Subject::Metrics { metrics: None }],
            probing: watched.probing.cloned(),
        };
        let rounds = |hosts| Rounds { hosts, counts: HashMap::new(), times: Vec::new() };
        let longest = watched.probing.map_or(Duration::ZERO, longest_round);
        Self {
            fleet,
            question,
            deadline: deadline(interval.get()).min(longest),
            interval,
            new: rounds(watched.new),
            old: rounds(watched.old),
            troubles: Troubles::default(),
        }
    }

    /// From one round to the next: as often as the manifest has the probes asked anyway.
    pub(super) fn pace(&self) -> Span {
        let often =
            self.question.probing.as_ref().map_or(self.interval, |probing| probing.interval);
        often.clamp(Span::from_millis(100).min(self.interval), self.interval)
    }

    /// One round of all hosts.
    pub(super) async fn look(&mut self) {
        if self.question.probing.is_none() {
            self.troubles.add(|| "there are no probes to ask: give `health`".to_owned());
            return;
        }
        let hosts: Vec<_> = self.new.hosts.iter().chain(self.old.hosts).cloned().collect();
        let mut answers = self.fleet.inspect(&hosts, self.question.clone(), self.deadline).await;
        self.new.add(&mut answers, &mut self.troubles);
        self.old.add(&mut answers, &mut self.troubles);
    }

    /// The rounds since the sample before.
    pub(super) fn sample(&mut self) -> Sample {
        Sample {
            new: self.new.sum_up(),
            old: (!self.old.hosts.is_empty()).then(|| self.old.sum_up()),
            trouble: std::mem::take(&mut self.troubles).told(),
        }
    }
}

impl Rounds<'_> {
    fn add(&mut self, answers: &mut HashMap<HostName, Facts>, troubles: &mut Troubles) {
        for host in self.hosts {
            let Some(facts) = answers.remove(host) else {
                troubles.add(|| format!("{host} did not answer in time"));
                continue;
            };
            let (reading, why) = match facts.findings.into_iter().next() {
                Some(Finding::Metrics(reading)) => (Some(reading), None),
                Some(Finding::Refused(why) | Finding::Failed(why)) => (None, Some(why)),
                _ => (None, None),
            };
            let measured = reading.as_ref().and_then(|reading: &Reading| reading.good);
            let Some(good) = measured.or(facts.healthy) else {
                let why = why.unwrap_or_else(|| "its agent did not ask the probes".to_owned());
                troubles.add(|| format!("{host}: {why}"));
                continue;
            };
            let (rounds, bad) = self.counts.entry(host.clone()).or_default();
            *rounds += 1;
            *bad += u32::from(!good);
            // How soon a service fails says nothing about how fast it is.
            let took = reading.and_then(|reading| reading.probe).filter(|_| good);
            self.times.extend(took.map(|took| took.get().as_secs_f64()));
        }
    }

    fn sum_up(&mut self) -> Seen {
        let counts = std::mem::take(&mut self.counts);
        let mut times = std::mem::take(&mut self.times);
        times.sort_by(f64::total_cmp);
        // The nearest rank: of less than a hundred rounds it is the slowest.
        let rank = (0.99 * times.len() as f64).ceil() as usize;
        Seen {
            hosts: counts.len() as u32,
            requests: counts.values().map(|(rounds, _)| f64::from(*rounds)).sum(),
            errors: counts.values().map(|(_, bad)| f64::from(*bad)).sum(),
            latency_p99: times.get(rank.saturating_sub(1)).copied(),
        }
    }
}

/// When a round of probes has ended even if none of them was answered, and a little time for the way.
fn longest_round(probing: &Probing) -> Duration {
    let probes = u32::try_from(probing.probes.len()).unwrap_or(u32::MAX);
    probing.timeout.get().saturating_mul(probes) + Duration::from_secs(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(good: bool, millis: u64) -> Facts {
        let reading = Reading {
            requests: None,
            errors: None,
            buckets: Vec::new(),
            probe: Some(Span::from_millis(millis)),
            good: Some(good),
        };
        Facts { findings: vec![Finding::Metrics(reading)], healthy: None }
    }

    #[test]
    fn rounds_are_requests() {
        let hosts = ["web1", "web2"].map(|name| HostName::new(name).unwrap());
        let mut rounds = Rounds { hosts: &hosts, counts: HashMap::new(), times: Vec::new() };
        let mut troubles = Troubles::default();
        for round in 0..20 {
            let mut answers =
                HashMap::from([(hosts[0].clone(), facts(round % 5 != 0, 10 + round))]);
            rounds.add(&mut answers, &mut troubles);
        }
        // An agent that can't measure says at least whether the probes are good.
        let plain = Facts { findings: vec![Finding::Failed("no".to_owned())], healthy: Some(true) };
        rounds.add(&mut HashMap::from([(hosts[1].clone(), plain)]), &mut troubles);
        let seen = Seen { hosts: 2, requests: 21.0, errors: 4.0, latency_p99: Some(0.029) };
        assert_eq!(rounds.sum_up(), seen);
        assert_eq!(rounds.sum_up(), Seen::default(), "each counts once");
        assert_eq!(troubles.told().unwrap(), "web2 did not answer in time, and 20 more");
    }
}

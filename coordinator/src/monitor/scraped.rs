//! The service's own metrics, scraped by the agents. Counters grow for ever: what counts is by how much.

use std::{collections::HashMap, time::Duration};

use dv_types::{
    Finding, HostName, Sample, Subject,
    manifest::Metrics,
    monitor::{Reading, Seen},
};

use super::{Troubles, Watched, deadline, histogram::Histogram};
use crate::fleet::{Facts, Fleet, Question};

/// Scrapes at each interval.
pub(super) struct Scraped<'a> {
    fleet: &'a Fleet,
    question: Question,
    deadline: Duration,
    new: &'a [HostName],
    old: &'a [HostName],
    before: Before,
}

/// What each host's counters were when it answered last.
#[derive(Default)]
pub(super) struct Before {
    readings: HashMap<HostName, Reading>,
    /// There was a look before: what is not seen now is missing.
    looked: bool,
}

impl<'a> Scraped<'a> {
    pub(super) fn new(fleet: &'a Fleet, metrics: &Metrics, watched: &Watched<'a>) -> Self {
        let subject = Subject::Metrics { metrics: Some(metrics.clone()) };
        Self {
            fleet,
            question: Question { subjects: vec![subject], probing: None },
            deadline: deadline(watched.monitor.interval.get()),
            new: watched.new,
            old: watched.old,
            before: Before::default(),
        }
    }

    pub(super) async fn look(&mut self) -> Option<Sample> {
        let hosts: Vec<_> = self.new.iter().chain(self.old).cloned().collect();
        let answers = self.fleet.inspect(&hosts, self.question.clone(), self.deadline).await;
        self.before.sample(self.new, self.old, answers)
    }
}

impl Before {
    /// What came since the look before; nothing at the first one.
    pub(super) fn sample(
        &mut self,
        new: &[HostName],
        old: &[HostName],
        mut answers: HashMap<HostName, Facts>,
    ) -> Option<Sample> {
        let mut troubles = Troubles::default();
        let mut of = |hosts: &[HostName]| {
            let (mut seen, mut latencies) = (Seen::default(), Histogram::default());
            for host in hosts {
                let now = match answers.remove(host).map(reading) {
                    Some(Ok(now)) => now,
                    Some(Err(why)) => {
                        troubles.add(|| format!("{host}: {why}"));
                        continue;
                    }
                    None => {
                        troubles.add(|| format!("{host} did not answer in time"));
                        continue;
                    }
                };
                // A host that was not heard at first begins to count now.
                let Some(before) = self.readings.insert(host.clone(), now.clone()) else {
                    continue;
                };
                let more = Growth::between(&before, &now);
                seen.hosts += 1;
                seen.requests += more.requests;
                seen.errors += more.errors;
                if !latencies.add(&more.latencies) {
                    troubles.add(|| format!("{host}: its histogram has other bounds"));
                }
            }
            seen.latency_p99 = latencies.quantile(0.99);
            seen
        };
        let sample = Sample {
            new: of(new),
            old: (!old.is_empty()).then(|| of(old)),
            trouble: troubles.told(),
        };
        std::mem::replace(&mut self.looked, true).then_some(sample)
    }
}

/// What a host said of its metrics.
fn reading(facts: Facts) -> Result<Reading, String> {
    match facts.findings.into_iter().next() {
        Some(Finding::Metrics(reading)) if reading.requests.is_some() => Ok(reading),
        Some(Finding::Metrics(_)) => Err("its metrics do not have that counter".to_owned()),
        Some(Finding::Refused(why) | Finding::NotFound(why) | Finding::Failed(why)) => Err(why),
        _ => Err("its agent did not say what the metrics are".to_owned()),
    }
}

/// By how much a host's counters grew.
struct Growth {
    requests: f64,
    errors: f64,
    latencies: Histogram,
}

impl Growth {
    fn between(before: &Reading, now: &Reading) -> Self {
        let fell =
            |before: Option<f64>, now: Option<f64>| now.unwrap_or(0.0) < before.unwrap_or(0.0);
        let bucket_fell = |(bound, count): &(f64, f64)| {
            now.buckets.iter().any(|(other, now)| other == bound && now < count)
        };
        // The process began anew, and all that it counts is of this interval.
        let restarted = fell(before.requests, now.requests)
            || fell(before.errors, now.errors)
            || before.buckets.iter().any(bucket_fell);
        let begun =
            Reading { requests: None, errors: None, buckets: Vec::new(), probe: None, good: None };
        let before = if restarted { &begun } else { before };
        let grew =
            |before: Option<f64>, now: Option<f64>| now.unwrap_or(0.0) - before.unwrap_or(0.0);
        Self {
            requests: grew(before.requests, now.requests),
            errors: grew(before.errors, now.errors),
            latencies: Histogram::between(&before.buckets, &now.buckets),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INF: f64 = f64::INFINITY;

    fn names(names: &[&str]) -> Vec<HostName> {
        names.iter().map(|name| HostName::new(*name).unwrap()).collect()
    }

    fn counters(requests: f64, errors: f64, slow: f64) -> Finding {
        Finding::Metrics(Reading {
            requests: Some(requests),
            errors: Some(errors),
            buckets: vec![(0.1, requests - slow), (1.0, requests), (INF, requests)],
            probe: None,
            good: None,
        })
    }

    /// The sample after these answers.
    fn look<const N: usize>(before: &mut Before, answers: [(&str, Finding); N]) -> Option<Sample> {
        let answers = answers.into_iter().map(|(host, finding)| {
            let facts = Facts { findings: vec![finding], healthy: None };
            (HostName::new(host).unwrap(), facts)
        });
        before.sample(&names(&["web1", "web2"]), &names(&["web3"]), answers.collect())
    }

    #[test]
    fn the_growth_of_all_hosts_is_added_up() {
        let mut before = Before::default();
        let first = [
            ("web1", counters(1000.0, 7.0, 100.0)),
            ("web2", counters(50.0, 0.0, 0.0)),
            ("web3", counters(9.0, 9.0, 0.0)),
        ];
        assert_eq!(look(&mut before, first), None, "nothing is known of the time before");
        let second = [
            ("web1", counters(1060.0, 8.0, 102.0)),
            ("web2", counters(90.0, 2.0, 0.0)),
            ("web3", counters(109.0, 9.0, 0.0)),
        ];
        let sample = look(&mut before, second).unwrap();
        // 98 of 100 are within 0.1 s: the 99th is half-way through the next bucket.
        let latency_p99 = Some(0.1 + 0.9 * 0.5);
        let new = Seen { hosts: 2, requests: 100.0, errors: 3.0, latency_p99 };
        let old = Seen { hosts: 1, requests: 100.0, errors: 0.0, latency_p99: Some(0.1 * 0.99) };
        assert_eq!(sample, Sample { new, old: Some(old), trouble: None });
    }

    #[test]
    fn a_counter_that_fell_has_begun_anew() {
        let mut before = Before::default();
        look(&mut before, [("web1", counters(1000.0, 7.0, 0.0))]);
        let sample = look(&mut before, [("web1", counters(40.0, 1.0, 0.0))]).unwrap();
        assert_eq!((sample.new.requests, sample.new.errors), (40.0, 1.0));
        // Few requests, and all of them bad: the errors alone tell.
        look(&mut before, [("web1", counters(40.0, 1.0, 0.0))]);
        let sample = look(&mut before, [("web1", counters(41.0, 0.0, 0.0))]).unwrap();
        assert_eq!((sample.new.requests, sample.new.errors), (41.0, 0.0));
    }

    #[test]
    fn a_host_that_says_nothing_is_left_out_and_named() {
        let mut before = Before::default();
        let all = |n: f64| [("web1", counters(n, 0.0, 0.0)), ("web2", counters(n, 0.0, 0.0))];
        look(&mut before, all(10.0));
        let refused = Finding::Refused("the policy lists no metrics".to_owned());
        let sample = look(&mut before, [("web1", counters(20.0, 0.0, 0.0)), ("web2", refused)]);
        let sample = sample.unwrap();
        assert_eq!((sample.new.hosts, sample.new.requests), (1, 10.0));
        assert_eq!(sample.old, Some(Seen::default()));
        assert_eq!(sample.trouble.unwrap(), "web2: the policy lists no metrics, and 1 more");
        // When it answers again, nothing that it did is lost.
        let sample = look(&mut before, all(30.0)).unwrap();
        assert_eq!((sample.new.hosts, sample.new.requests), (2, 10.0 + 20.0));
        assert_eq!(sample.trouble.unwrap(), "web3 did not answer in time");
    }

    #[test]
    fn a_service_without_the_counter_is_told_apart_from_an_idle_one() {
        let mut before = Before::default();
        let none =
            Reading { requests: None, errors: None, buckets: vec![], probe: None, good: None };
        look(&mut before, [("web1", Finding::Metrics(none.clone()))]);
        let sample = look(&mut before, [("web1", Finding::Metrics(none))]).unwrap();
        assert_eq!(sample.new.hosts, 0);
        assert!(sample.trouble.unwrap().contains("do not have that counter"));
    }
}

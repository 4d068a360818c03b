//! A client from outside that asks the service on every host all the time, and says who answered when.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::{
    http::{self, Limits},
    machine::Machine,
};

/// Time between two questions to one host.
const PACE: Duration = Duration::from_millis(20);
/// A host that takes longer does not answer. A slow answer is one; so an outage may be seen to end as late as the
/// read limit says, and tests that count hosts need a `min_healthy_time` above it ([`STEADY`]).
const LIMITS: Limits = Limits { connect: Duration::from_millis(250), read: Duration::from_secs(2) };
/// A `min_healthy_time` with which the outage of one host is seen to end before the next host's begins.
pub const STEADY: &str = "3s";
/// What ends for one host and begins for another within this time is not seen apart.
const MOMENT: Duration = Duration::from_millis(200);
/// Longer without a question, and nobody knows what happened in between.
const GAP: Duration = Duration::from_millis(1500);

/// A client that is asking.
#[derive(Debug)]
pub struct Client {
    stop: Arc<AtomicBool>,
    began: Instant,
    threads: Vec<(String, JoinHandle<Vec<Sample>>)>,
}

#[derive(Debug, Clone)]
struct Sample {
    asked: Duration,
    answered: Duration,
    trouble: Option<String>,
}

impl Client {
    /// Starts to ask `/health/ready` on `port` of each host.
    #[must_use]
    pub fn start(hosts: &[Machine], port: u16) -> Self {
        let (stop, began) = (Arc::new(AtomicBool::new(false)), Instant::now());
        let threads = hosts
            .iter()
            .map(|host| {
                let address: SocketAddr =
                    format!("{}:{port}", host.address).parse().expect("an address");
                let stop = Arc::clone(&stop);
                (host.name.clone(), thread::spawn(move || ask(address, began, &stop)))
            })
            .collect();
        Self { stop, began, threads }
    }

    /// Ends, and gives what was seen.
    #[must_use]
    pub fn stop(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        let hosts = self
            .threads
            .into_iter()
            .map(|(name, thread)| (name, thread.join().expect("the client does not panic")))
            .collect();
        Seen { hosts, took: self.began.elapsed() }
    }
}

fn ask(address: SocketAddr, began: Instant, stop: &AtomicBool) -> Vec<Sample> {
    let mut samples = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let asked = began.elapsed();
        let trouble = match http::get(address, "/health/ready", LIMITS) {
            Ok((200, _)) => None,
            Ok((status, body)) => Some(format!("{status} {}", body.trim())),
            Err(why) => Some(why.to_string()),
        };
        samples.push(Sample { asked, answered: began.elapsed(), trouble });
        thread::sleep(PACE);
    }
    samples
}

/// What a client saw.
#[derive(Debug)]
pub struct Seen {
    hosts: Vec<(String, Vec<Sample>)>,
    took: Duration,
}

/// A time in which a host did not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outage {
    /// The host.
    pub host: String,
    /// From the first question that was not answered, since the client's start.
    pub from: Duration,
    /// To the next one that was.
    pub to: Duration,
    /// What came instead of an answer, first.
    pub why: String,
}

impl Seen {
    /// Every outage, in order.
    #[must_use]
    pub fn outages(&self) -> Vec<Outage> {
        let mut outages = Vec::new();
        for (host, samples) in &self.hosts {
            let mut open: Option<Outage> = None;
            for sample in samples {
                match (&sample.trouble, &mut open) {
                    (Some(why), None) => {
                        let (from, to) = (sample.asked, self.took);
                        open = Some(Outage { host: host.clone(), from, to, why: why.clone() });
                    }
                    (None, Some(_)) => {
                        outages.extend(open.take().map(|o| Outage { to: sample.answered, ..o }));
                    }
                    _ => {}
                }
            }
            outages.extend(open);
        }
        outages.sort_by_key(|outage| outage.from);
        outages
    }

    /// The fewest hosts that answered at the same time.
    #[must_use]
    pub fn fewest(&self) -> usize {
        let outages = self.outages();
        let most_out = outages
            .iter()
            .map(|at| outages.iter().filter(|o| o.from <= at.from && at.from < o.to).count())
            .max();
        self.hosts.len() - most_out.unwrap_or(0)
    }

    /// The most of these hosts that were out at the same time, for longer than a moment.
    #[must_use]
    pub fn most_out(&self, hosts: &[&str]) -> usize {
        let mut outages = self.outages();
        outages.retain(|outage| hosts.contains(&outage.host.as_str()));
        let out_at = |at: Duration| {
            let out = outages.iter().filter(|o| o.from + MOMENT <= at && at < o.to);
            out.map(|outage| &outage.host).collect::<BTreeSet<_>>().len()
        };
        outages.iter().map(|outage| out_at(outage.from + MOMENT)).max().unwrap_or(0)
    }

    /// The test ends here unless so many hosts answered all the time.
    #[track_caller]
    pub fn always_at_least(&self, hosts: usize) {
        for (host, samples) in &self.hosts {
            let mut last = Duration::ZERO;
            for sample in samples {
                let gap = sample.asked.saturating_sub(last);
                assert!(gap < GAP, "{host} was not asked for {gap:?}: nothing can be said");
                last = sample.answered;
            }
            assert!(!samples.is_empty(), "{host} was never asked");
        }
        assert!(
            self.fewest() >= hosts,
            "fewer than {hosts} hosts answered at some time\n{}",
            self.story()
        );
    }

    /// Who did not answer when, a line each.
    #[must_use]
    pub fn story(&self) -> String {
        let mut text = String::new();
        for Outage { host, from, to, why } in self.outages() {
            let _ = writeln!(
                text,
                "{:8.3} s to {:8.3} s  {host} did not answer: {why}",
                from.as_secs_f64(),
                to.as_secs_f64()
            );
        }
        let asked: usize = self.hosts.iter().map(|(_, samples)| samples.len()).sum();
        let _ = writeln!(
            text,
            "asked {asked} times in {:.1} s; at least {} of {} hosts answered at any time",
            self.took.as_secs_f64(),
            self.fewest(),
            self.hosts.len()
        );
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(hosts: &[&[(u64, bool)]]) -> Seen {
        let sample = |&(at, good): &(u64, bool)| Sample {
            asked: Duration::from_millis(at),
            answered: Duration::from_millis(at + 1),
            trouble: (!good).then(|| "refused".to_owned()),
        };
        Seen {
            hosts: (1..)
                .zip(hosts)
                .map(|(n, samples)| (format!("h{n}"), samples.iter().map(sample).collect()))
                .collect(),
            took: Duration::from_millis(100),
        }
    }

    #[test]
    fn counts_hosts_that_are_out_together() {
        let one_after_the_other =
            seen(&[&[(0, true), (10, false), (20, true)], &[(0, true), (30, false), (40, true)]]);
        assert_eq!(one_after_the_other.fewest(), 1);
        let together =
            seen(&[&[(0, true), (10, false), (20, true)], &[(0, true), (15, false), (40, true)]]);
        assert_eq!(together.fewest(), 0);
        let never = seen(&[&[(0, true)], &[(0, true)]]);
        assert_eq!(never.fewest(), 2);
    }

    #[test]
    fn an_outage_that_does_not_end_lasts_to_the_end() {
        let outages = seen(&[&[(0, true), (10, false)]]).outages();
        assert_eq!(outages.len(), 1);
        assert_eq!(outages[0].to, Duration::from_millis(100));
    }
}

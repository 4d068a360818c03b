//! What a gate hears from the hosts of a plan, one by one.

use dv_types::{HostName, Plan, gate::Answer};

use super::Reply;
use crate::rollouts::Rollouts;

/// So many hosts are named in a line; the evidence has them all.
const NAMED: usize = 5;

/// The hosts, by what they said.
#[derive(Debug, Default)]
pub(super) struct Poll {
    /// Those that are as they should be.
    pub(super) good: Vec<String>,
    /// Those that are not.
    pub(super) bad: Vec<String>,
    /// Those that are in contact and have not said it.
    pub(super) unclear: Vec<String>,
    /// Those out of contact.
    pub(super) away: Vec<HostName>,
}

impl Poll {
    /// The plan's hosts that are in contact, and a poll that knows the others.
    pub(super) fn of(rollouts: &Rollouts, plan: &Plan) -> (Self, Vec<HostName>) {
        let hosts = plan.hosts.iter().map(|host| host.name.clone());
        let (present, away) = hosts.partition(|host| rollouts.fleet.session(host).is_some());
        (Self { away, ..Self::default() }, present)
    }

    pub(super) fn tell(&mut self, host: &HostName, answer: Answer, text: impl std::fmt::Display) {
        let side = match answer {
            Answer::Pass => &mut self.good,
            Answer::Fail => &mut self.bad,
            Answer::CannotTell => &mut self.unclear,
        };
        side.push(format!("{host}: {text}"));
    }

    /// One host that is not as it should be is enough. Hosts out of contact are left out as long as the rollout goes on
    /// without so many.
    pub(super) fn reply(mut self, max_unreachable: u32, holds: &str) -> Reply {
        for side in [&mut self.good, &mut self.bad, &mut self.unclear] {
            side.sort();
        }
        let mut away: Vec<_> = self.away.iter().map(HostName::to_string).collect();
        away.sort();
        let named = |hosts: &[String]| match hosts.len() {
            n if n > NAMED => format!("{} and {} more", hosts[..NAMED].join("; "), n - NAMED),
            _ => hosts.join("; "),
        };
        let reply = if !self.bad.is_empty() {
            Reply::fail(named(&self.bad))
        } else if !self.unclear.is_empty() {
            Reply::cannot_tell(named(&self.unclear))
        } else if away.len() > max_unreachable as usize {
            Reply::cannot_tell(format!(
                "out of contact, and max_unreachable is {max_unreachable}: {}",
                named(&away)
            ))
        } else if self.good.is_empty() {
            Reply::cannot_tell("no host is in contact")
        } else if away.is_empty() {
            Reply::pass(format!("{holds} on all {} hosts", self.good.len()))
        } else {
            let asked = self.good.len();
            Reply::pass(format!("{holds} on {asked} hosts; out of contact: {}", named(&away)))
        };
        let away = away.into_iter().map(|host| format!("{host}: out of contact"));
        reply.with(self.bad).with(self.unclear).with(self.good).with(away)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll(good: usize, bad: usize, unclear: usize, away: usize) -> Reply {
        let mut poll = Poll::default();
        let mut next = 0;
        let mut host = || {
            next += 1;
            HostName::new(format!("web{next}")).unwrap()
        };
        for (count, answer) in
            [(good, Answer::Pass), (bad, Answer::Fail), (unclear, Answer::CannotTell)]
        {
            for _ in 0..count {
                poll.tell(&host(), answer, "said");
            }
        }
        poll.away = (0..away).map(|_| host()).collect();
        poll.reply(1, "it holds")
    }

    #[test]
    fn what_is_seen_counts_before_what_is_not() {
        for ((good, bad, unclear, away), answer, part) in [
            ((3, 0, 0, 0), Answer::Pass, "on all 3 hosts"),
            ((3, 0, 0, 1), Answer::Pass, "out of contact: web4"),
            ((3, 0, 0, 2), Answer::CannotTell, "max_unreachable is 1"),
            ((3, 0, 1, 0), Answer::CannotTell, "web4: said"),
            ((3, 1, 1, 9), Answer::Fail, "web4: said"),
            ((0, 0, 0, 1), Answer::CannotTell, "no host is in contact"),
            ((0, 7, 0, 0), Answer::Fail, "and 2 more"),
        ] {
            let reply = poll(good, bad, unclear, away);
            assert_eq!(reply.answer, answer, "{reply:?}");
            assert!(reply.why.contains(part), "{reply:?}");
            assert_eq!(reply.evidence.len(), good + bad + unclear + away, "all are in the record");
        }
    }
}

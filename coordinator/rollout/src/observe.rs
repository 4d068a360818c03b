//! An event, and the facts that it is. No decision is made here.

use dv_types::{Fact, HostName, Outcome, Timestamp};

use crate::{Event, Rollout, rollout::Mode};

impl Rollout {
    /// The facts that an event brings: none where it brings nothing new.
    pub(crate) fn observe(&self, event: &Event) -> Result<Vec<Fact>, String> {
        match (event, &self.mode) {
            (Event::Start { by, reason, overrides }, Mode::New) => {
                overrides.iter().try_for_each(|gate| self.is_gate(gate))?;
                Ok(vec![Fact::Started {
                    by: by.clone(),
                    reason: reason.clone(),
                    overrides: overrides.clone(),
                }])
            }
            (Event::Start { .. }, _) => Err(format!("{} has begun already", self.id)),
            (_, Mode::New) => Err(format!("{} has not begun", self.id)),
            (Event::Operator { by, verb, reason }, _) => {
                self.may(verb)?;
                let (by, verb, reason) = (by.clone(), verb.clone(), reason.clone());
                Ok(vec![Fact::Operator { by, verb, reason }])
            }
            (_, Mode::Ended { verdict, .. }) => Err(format!("{} has {verdict}", self.id)),
            (Event::Recover, _) => Ok(vec![Fact::Recovered]),
            (Event::Tick, _) => Ok(Vec::new()),
            (Event::Gate { answer }, _) => {
                let open = self.open_gates().contains(&answer.gate);
                Ok(open
                    .then(|| Fact::GateAnswered { answer: answer.clone() })
                    .into_iter()
                    .collect())
            }
            (Event::Sampled { sample }, _) => {
                let awaited = self.awaits_samples();
                let fact = || Fact::Sampled { sample: sample.clone() };
                Ok(awaited.then(fact).into_iter().collect())
            }
            (Event::Connected { host, enrolled }, _) => {
                self.known_or_helper(host)?;
                let lost = self.forgotten_once(host, *enrolled);
                let news =
                    self.contact_is_news(host).then(|| Fact::Connected { host: host.clone() });
                Ok(lost.into_iter().chain(news).collect())
            }
            (Event::Disconnected { host }, _) => {
                self.known_or_helper(host)?;
                let news = self.contact(host).0;
                Ok(news.then(|| Fact::Disconnected { host: host.clone() }).into_iter().collect())
            }
            (Event::Health { host, good, why }, _) => {
                let i = self.known(host)?;
                let news = self.hosts[i].good != Some(*good);
                let fact = || Fact::Health { host: host.clone(), good: *good, why: why.clone() };
                Ok(news.then(fact).into_iter().collect())
            }
            (Event::Outcome { host, outcome }, _)
                if let Some((k, given)) = self.once_of(host, outcome.command) =>
            {
                is_of(outcome, given.since)?;
                let (once, host, outcome) = (k as u32, host.clone(), outcome.clone());
                let news = given.answer.is_none();
                let fact = || Fact::OnceReported { once, host, outcome };
                Ok(news.then(fact).into_iter().collect())
            }
            (Event::Outcome { host, outcome }, _) => {
                let i = self.known(host)?;
                let given = self.hosts[i]
                    .given(outcome.command)
                    .ok_or_else(|| format!("{host} was never given {}", outcome.command))?;
                is_of(outcome, given.since)?;
                let fact = || Fact::Reported { host: host.clone(), outcome: outcome.clone() };
                Ok((!given.reported).then(fact).into_iter().collect())
            }
        }
    }

    /// Whether anything follows from a host's new connection. Where it was in contact, carries nothing out and is well,
    /// it is greeted, and that is all.
    fn contact_is_news(&self, host: &HostName) -> bool {
        let busy = self
            .host(host)
            .is_some_and(|i| self.hosts[i].flight.is_some() || self.hosts[i].relapse.is_some());
        let busy = busy || self.once_in_flight().is_some_and(|(_, flight)| flight.host == *host);
        busy || !self.contact(host).0
    }

    fn known_or_helper(&self, host: &HostName) -> Result<(), String> {
        if self.helpers.contains_key(host) { Ok(()) } else { self.known(host).map(drop) }
    }

    fn known(&self, host: &HostName) -> Result<usize, String> {
        self.host(host).ok_or_else(|| format!("{} has no host {host}", self.id))
    }
}

/// Refuses the outcome of a command that had the same number, in a time that the store has forgotten.
fn is_of(outcome: &Outcome, since: Timestamp) -> Result<(), String> {
    match outcome.given {
        Some(given) if given != since => Err(format!(
            "the outcome is of another {}, given at {given}: this one was given at {since}",
            outcome.command
        )),
        _ => Ok(()),
    }
}

//! What waits for a driver. Posting never waits: news of the same thing replace older ones, so that it can't
//! grow beyond what the rollout has hosts.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use dv_types::{CommandId, GateAnswer, HostName, Outcome, Report, Sample, record::Verb};
use tokio::sync::{Notify, oneshot};

/// Verbs that may wait.
const VERBS: usize = 64;
/// Samples that may wait.
const SAMPLES: usize = 16;
/// Outcomes that are taken into one turn, so that one append stays small.
const TURN: usize = 512;

/// What became of a verb: taken, or why not.
pub(crate) type Verdict = Result<(), String>;

/// What an operator says.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) by: String,
    pub(super) verb: Verb,
    pub(super) reason: Option<String>,
    pub(super) answer: oneshot::Sender<Verdict>,
}

/// What a host's probes said.
#[derive(Debug, Clone)]
pub(super) struct Turned {
    pub(super) session: u64,
    pub(super) good: bool,
    pub(super) why: Option<String>,
}

/// News for one turn.
#[derive(Debug, Default)]
pub(super) struct Mail {
    pub(super) verbs: Vec<Said>,
    pub(super) outcomes: BTreeMap<(CommandId, HostName), Outcome>,
    /// Hosts that came or went: the fleet knows which.
    pub(super) links: BTreeSet<HostName>,
    pub(super) health: BTreeMap<HostName, Turned>,
    pub(super) reports: Vec<oneshot::Sender<Arc<Report>>>,
    pub(super) gates: Vec<GateAnswer>,
    pub(super) samples: Vec<Sample>,
}

/// What became of an outcome.
#[must_use]
pub(super) enum Posted {
    Taken,
    /// Somebody answers what nobody asked.
    Full,
    /// The rollout is over; the outcome comes back.
    Closed(Outcome),
}

/// A driver's mailbox.
#[derive(Debug)]
pub(super) struct Mailbox {
    /// Nothing, once there is nobody left to read it.
    mail: Mutex<Option<Mail>>,
    bell: Notify,
    /// Outcomes that may wait.
    room: usize,
}

impl Mailbox {
    /// For a rollout of so many hosts.
    pub(super) fn new(hosts: usize) -> Self {
        Self { mail: Mutex::new(Some(Mail::default())), bell: Notify::new(), room: 4 * hosts + 64 }
    }

    fn mail(&self) -> MutexGuard<'_, Option<Mail>> {
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// After the end it is dropped unread, and whoever waits for an answer learns that from its channel.
    fn post(&self, put: impl FnOnce(&mut Mail)) {
        if let Some(mail) = self.mail().as_mut() {
            put(mail);
        }
        self.bell.notify_one();
    }

    pub(super) fn post_outcome(&self, host: HostName, outcome: Outcome) -> Posted {
        let mut mail = self.mail();
        let Some(mail) = mail.as_mut() else { return Posted::Closed(outcome) };
        if mail.outcomes.len() >= self.room {
            return Posted::Full;
        }
        mail.outcomes.insert((outcome.command, host), outcome);
        self.bell.notify_one();
        Posted::Taken
    }

    pub(super) fn post_link(&self, host: HostName) {
        self.post(|mail| {
            mail.links.insert(host);
        });
    }

    pub(super) fn post_health(&self, host: HostName, turned: Turned) {
        self.post(|mail| {
            mail.health.insert(host, turned);
        });
    }

    pub(super) fn post_gate(&self, answer: GateAnswer) {
        self.post(|mail| {
            mail.gates.retain(|other| other.gate != answer.gate);
            mail.gates.push(answer);
        });
    }

    /// What was seen of the service. Samples that nobody has time to read are left out.
    pub(super) fn post_sample(&self, sample: Sample) {
        self.post(|mail| {
            if mail.samples.len() < SAMPLES {
                mail.samples.push(sample);
            }
        });
    }

    pub(super) fn post_verb(&self, said: Said) {
        self.post(|mail| {
            if mail.verbs.len() < VERBS {
                mail.verbs.push(said);
            } else {
                let _ = said.answer.send(Err("too many verbs wait already".to_owned()));
            }
        });
    }

    pub(super) fn ask_report(&self, answer: oneshot::Sender<Arc<Report>>) {
        self.post(|mail| mail.reports.push(answer));
    }

    /// Waits until there is something.
    pub(super) async fn wait(&self) {
        self.bell.notified().await;
    }

    /// Closes it for ever, and gives out what nobody has read.
    pub(super) fn close(&self) -> Mail {
        self.mail().take().unwrap_or_default()
    }

    /// Takes what waits, as much as fits in a turn.
    pub(super) fn take(&self) -> Mail {
        let mut mail = self.mail();
        let Some(mail) = mail.as_mut() else { return Mail::default() };
        let mut taken = std::mem::take(mail);
        if taken.outcomes.len() > TURN
            && let Some(first_left) = taken.outcomes.keys().nth(TURN).cloned()
        {
            mail.outcomes = taken.outcomes.split_off(&first_left);
            self.bell.notify_one();
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use dv_types::{OpResult, RolloutId, Span, Timestamp, outcome::Output};

    use super::*;

    fn outcome(number: u32) -> Outcome {
        Outcome {
            command: CommandId { rollout: RolloutId(1), number },
            given: None,
            result: OpResult::Done,
            began: Timestamp::UNIX_EPOCH,
            took: Span::ZERO,
            output: Output::default(),
            evidence: None,
        }
    }

    fn post(mailbox: &Mailbox, number: u32) -> Posted {
        mailbox.post_outcome(HostName::new("web1").unwrap(), outcome(number))
    }

    #[test]
    fn an_outcome_is_read_or_comes_back() {
        let mailbox = Mailbox::new(1);
        assert!(matches!(post(&mailbox, 1), Posted::Taken));
        assert_eq!(mailbox.close().outcomes.len(), 1);
        assert!(matches!(post(&mailbox, 2), Posted::Closed(back) if back == outcome(2)));
    }

    #[test]
    fn who_waits_for_an_answer_learns_that_there_is_none() {
        let mailbox = Mailbox::new(1);
        mailbox.close();
        let (ask, mut answer) = oneshot::channel();
        mailbox.ask_report(ask);
        assert!(matches!(answer.try_recv(), Err(oneshot::error::TryRecvError::Closed)));
    }

    #[test]
    fn it_is_bounded_and_taken_in_parts() {
        let mailbox = Mailbox::new(1000);
        let taken = (0..10_000).take_while(|n| matches!(post(&mailbox, *n), Posted::Taken)).count();
        assert!((1000..10_000).contains(&taken), "{taken}");
        assert!(matches!(post(&mailbox, 10_000), Posted::Full));
        let mut read = Vec::new();
        while let parts = mailbox.take().outcomes
            && !parts.is_empty()
        {
            assert!(parts.len() <= TURN);
            read.extend(parts.into_keys().map(|(command, _)| command.number));
        }
        assert_eq!(read.len(), taken);
        assert!(read.is_sorted());
    }
}

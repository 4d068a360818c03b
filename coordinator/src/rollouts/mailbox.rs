//! What waits for a driver. Posting never waits: news of the same thing replace older ones, so that it can't
//! grow beyond what the rollout has hosts.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use dv_types::{CommandId, HostName, Outcome, Report, record::Verb};
use tokio::sync::{Notify, oneshot};

/// Verbs that may wait.
const VERBS: usize = 64;
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
}

/// A driver's mailbox.
#[derive(Debug)]
pub(super) struct Mailbox {
    mail: Mutex<Mail>,
    bell: Notify,
    /// Outcomes that may wait.
    room: usize,
}

impl Mailbox {
    /// For a rollout of so many hosts.
    pub(super) fn new(hosts: usize) -> Self {
        Self { mail: Mutex::default(), bell: Notify::new(), room: 4 * hosts + 64 }
    }

    fn mail(&self) -> MutexGuard<'_, Mail> {
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn post(&self, put: impl FnOnce(&mut Mail)) {
        put(&mut self.mail());
        self.bell.notify_one();
    }

    /// False if it is full: then somebody answers what nobody asked.
    #[must_use]
    pub(super) fn post_outcome(&self, host: HostName, outcome: Outcome) -> bool {
        let mut mail = self.mail();
        if mail.outcomes.len() >= self.room {
            return false;
        }
        mail.outcomes.insert((outcome.command, host), outcome);
        drop(mail);
        self.bell.notify_one();
        true
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

    /// Takes what waits, as much as fits in a turn.
    pub(super) fn take(&self) -> Mail {
        let mut mail = self.mail();
        let mut taken = std::mem::take(&mut *mail);
        if taken.outcomes.len() > TURN
            && let Some(first_left) = taken.outcomes.keys().nth(TURN).cloned()
        {
            mail.outcomes = taken.outcomes.split_off(&first_left);
            self.bell.notify_one();
        }
        taken
    }

    /// Puts back what an agent would not say again, because it could not be saved.
    pub(super) fn put_back(&self, outcomes: BTreeMap<(CommandId, HostName), Outcome>) {
        self.post(|mail| {
            for (key, outcome) in outcomes {
                mail.outcomes.entry(key).or_insert(outcome);
            }
        });
    }
}

//! Rollouts that are under way.
//!
//! ```text
//! agents' words, operators' verbs ──▶ Mailbox ──▶ Driver: turn ─▶ append ─▶ effects ──▶ Fleet
//!                                                           │
//!                                     watchers ◀── Feed ◀───┘   (records they read from the journal themselves)
//! ```

mod damper;
mod driver;
mod errands;
mod feed;
mod hands;
mod mailbox;
mod numbers;
mod retry;
mod route;
mod start;
mod watch;
mod way;

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::Duration,
};

use arc_swap::ArcSwapOption;
use dv_types::{HostName, Plan, Report, RolloutId, ServiceName, Timestamp, WaitingOn};
use tokio::sync::{Notify, oneshot, watch as channel};
use tokio_util::sync::CancellationToken;

use crate::{
    config::Config,
    fleet::Fleet,
    ports::Clock,
    refusal::Refusal,
    services::Book,
    store::{Header, Journal},
    tasks::Tasks,
};
use feed::Feed;
use mailbox::Mailbox;

pub(crate) use hands::accept;
pub(crate) use start::{Beginning, Maker};
pub(crate) use watch::Sight;

/// A driver that has no answer by then can't reach its journal.
const ANSWER_BY: Duration = Duration::from_secs(10);

/// All rollouts, and what drives the unfinished ones.
pub(crate) struct Rollouts {
    pub(crate) journal: Journal,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) config: Config,
    book: Mutex<Book>,
    active: RwLock<BTreeMap<RolloutId, Arc<Active>>>,
    /// Who looks what should follow by itself, and how each is woken.
    following: Mutex<BTreeMap<ServiceName, Arc<Notify>>>,
    /// Services of which a person's rollout is about to begin, and how many: no catch-up begins before it.
    awaited: Mutex<BTreeMap<ServiceName, usize>>,
    /// One rollout is made at a time.
    making: Arc<tokio::sync::Mutex<()>>,
    /// Turns whenever a rollout begins or ends, or a release goes another way.
    changed: channel::Sender<()>,
    /// Turns whenever a host comes.
    arrived: channel::Sender<()>,
    /// When this coordinator began: hosts that it never heard of since are out of contact from then on.
    pub(crate) began: Timestamp,
    pub(crate) tasks: Tasks,
    pub(crate) stop: CancellationToken,
}

/// An unfinished rollout.
pub(crate) struct Active {
    pub(crate) header: Header,
    pub(crate) plan: Arc<Plan>,
    hosts: HashSet<HostName>,
    mailbox: Mailbox,
    feed: Feed,
    /// Why its driver could not go on when it tried last.
    trouble: ArcSwapOption<String>,
}

impl Rollouts {
    /// The rollouts of `journal`. None is driven yet: see [`crate::recover`].
    pub(crate) fn new(
        journal: Journal,
        clock: Arc<dyn Clock>,
        fleet: Arc<Fleet>,
        book: Book,
        config: Config,
    ) -> Arc<Self> {
        Arc::new(Self {
            began: clock.now(),
            arrived: channel::Sender::new(()),
            journal,
            clock,
            fleet,
            config,
            book: Mutex::new(book),
            active: RwLock::default(),
            following: Mutex::default(),
            awaited: Mutex::default(),
            making: Arc::default(),
            changed: channel::Sender::new(()),
            tasks: Tasks::default(),
            stop: CancellationToken::new(),
        })
    }

    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn find(&self, id: RolloutId) -> Option<Arc<Active>> {
        self.active.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    fn all_active(&self) -> Vec<Arc<Active>> {
        self.active.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// How many rollouts are unfinished.
    pub(crate) fn unfinished(&self) -> usize {
        self.active.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Resolves whenever a rollout begins or ends after this call.
    pub(crate) fn changes(&self) -> channel::Receiver<()> {
        self.changed.subscribe()
    }

    /// Resolves whenever a host comes after this call.
    pub(crate) fn arrivals(&self) -> channel::Receiver<()> {
        self.arrived.subscribe()
    }

    /// Wakes whoever waits for a rollout to begin or end: something that was due is not any more.
    pub(crate) fn note_change(&self) {
        self.changed.send_replace(());
    }

    /// Where a rollout stands.
    pub(crate) async fn report(&self, id: RolloutId) -> Result<Report, Refusal> {
        let mut report = loop {
            match self.find(id) {
                Some(active) => {
                    let (ask, answer) = oneshot::channel();
                    active.mailbox.ask_report(ask);
                    tokio::select! {
                        biased;
                        report = answer => if let Ok(report) = report {
                            let mut report = Report::clone(&report);
                            let trouble = active.trouble.load_full().filter(|_| !report.waiting.is_empty());
                            let trouble = trouble.map(|why| WaitingOn::Journal { why: why.to_string() });
                            report.waiting.splice(0..0, trouble);
                            break report;
                        },
                        () = tokio::time::sleep(ANSWER_BY) => {
                            let why = active.trouble.load_full();
                            return Err(Refusal::Stuck { rollout: id, why });
                        }
                        () = self.stop.cancelled() => return Err(Refusal::Stopping),
                    }
                    // It ended in between.
                    tokio::task::yield_now().await;
                }
                None => {
                    let end = {
                        let book = self.book();
                        let header = book.known(id)?;
                        header.end.clone()
                    };
                    if let Some(end) = end {
                        break self.journal.last_report(&end).await?;
                    }
                    // Its driver is about to begin, or just ended.
                    tokio::task::yield_now().await;
                }
            }
        };
        report.reversed_by = self.book().reversed_by(id);
        Ok(report)
    }

    /// The same without the hosts.
    pub(crate) async fn summary(&self, id: RolloutId) -> Result<Report, Refusal> {
        let end = self.book().header(id).and_then(|header| header.end.clone());
        match end {
            Some(end) => Ok(Report { reversed_by: self.book().reversed_by(id), ..end.summary }),
            None => Ok(Report { hosts: Vec::new(), ..self.report(id).await? }),
        }
    }

    /// The plan of a rollout.
    pub(crate) async fn plan(&self, id: RolloutId) -> Result<Arc<Plan>, Refusal> {
        if let Some(active) = self.find(id) {
            return Ok(Arc::clone(&active.plan));
        }
        let hash = self.book().known(id)?.plan.clone();
        Ok(Arc::new(self.journal.plan(&hash).await?))
    }
}

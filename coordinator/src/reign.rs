//! A reign: everything that decides, from a store and a clock. It knows no listener, no TLS and no files of its own;
//! [`crate::coordinator`] serves it, and a simulation speaks to it directly.

use std::sync::Arc;

use dv_types::Epoch;
use tokio::sync::watch;
use tokio_util::sync::DropGuard;

use crate::{
    api::{AgentLinkApi, ControlApi, EnrolmentApi},
    config::Config,
    enrolment::{Enrolment, Turns},
    fleet::Fleet,
    identity::Authority,
    operators::Operators,
    ports::{Clock, Store, StoreError},
    recover::recover,
    rollouts::Rollouts,
    services::Book,
    store::{Guarded, Journal},
};

/// A coordinator's time in office, between the taking up of a store and its end. Dropped, it is over at once, with all
/// that it had under way.
pub struct Reign {
    rollouts: Arc<Rollouts>,
    enrolment: Arc<Enrolment>,
    operators: Arc<Operators>,
    /// Turns when a write to the store has failed.
    broken: watch::Receiver<Option<StoreError>>,
    _tasks: DropGuard,
}

impl Reign {
    /// Takes up what the store holds: from here on, every earlier reign over it can write no record any more.
    pub async fn begin(
        config: &Config,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        authority: Arc<Authority>,
    ) -> Result<Self, StoreError> {
        let store = Arc::new(Guarded::new(store));
        let broken = store.broken();
        let journal = Journal::open(store, clock.now()).await?;
        let fleet = Arc::new(Fleet::new(Arc::clone(&clock), journal.hosts().await?));
        let book = Book::read(&journal).await?;
        let rollouts = Rollouts::new(
            journal.clone(),
            Arc::clone(&clock),
            Arc::clone(&fleet),
            book,
            config.clone(),
        );
        tracing::info!(epoch = %journal.epoch(), hosts = fleet.count().1, "a new reign begins");
        recover(&rollouts).await?;
        let operators = Operators::read(
            journal.clone(),
            Arc::clone(&authority),
            Arc::clone(&clock),
            rollouts.tasks.clone(),
        );
        let operators = Arc::new(operators.await?);
        let changing = Turns::default();
        let enrolment = Arc::new(Enrolment { journal, authority, fleet, clock, changing });
        let tasks = rollouts.tasks.end_with();
        Ok(Self { rollouts, enrolment, operators, broken, _tasks: tasks })
    }

    /// Its number, which every command carries.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.rollouts.journal.epoch()
    }

    /// What agents call.
    #[must_use]
    pub fn agent_link(&self) -> AgentLinkApi {
        let (rollouts, enrolment) = self.both();
        AgentLinkApi { rollouts, enrolment }
    }

    /// What operators call.
    #[must_use]
    pub fn control(&self) -> ControlApi {
        let (rollouts, enrolment) = self.both();
        ControlApi { rollouts, enrolment, operators: Arc::clone(&self.operators) }
    }

    /// Those who may call.
    pub(crate) fn operators(&self) -> &Operators {
        &self.operators
    }

    /// What hosts call that want in.
    #[must_use]
    pub fn enrolment(&self) -> EnrolmentApi {
        EnrolmentApi(Arc::clone(&self.enrolment))
    }

    fn both(&self) -> (Arc<Rollouts>, Arc<Enrolment>) {
        (Arc::clone(&self.rollouts), Arc::clone(&self.enrolment))
    }

    /// One line on how it stands.
    #[must_use]
    pub fn status(&self) -> String {
        let (connected, known) = self.rollouts.fleet.count();
        let unfinished = self.rollouts.unfinished();
        format!("{connected} of {known} hosts in contact, {unfinished} rollouts under way")
    }

    /// How many hosts are in contact.
    #[must_use]
    pub fn contact(&self) -> usize {
        self.rollouts.fleet.count().0
    }

    /// Resolves when a write to the store has failed, with why: nothing more can be kept, so nothing more is done.
    pub async fn broken(&self) -> StoreError {
        let mut broken = self.broken.clone();
        match broken.wait_for(Option::is_some).await.map(|why| why.clone()) {
            Ok(Some(why)) => why,
            // The store is gone, which only happens when the reign is.
            _ => std::future::pending().await,
        }
    }

    /// Ends it: streams are told first, and no driver turns any more. Rollouts wait in the store for the next reign.
    pub fn end(&self) {
        self.rollouts.fleet.stop();
        self.rollouts.stop.cancel();
    }

    /// Resolves when all that an ended reign had under way has come to rest.
    pub async fn at_rest(&self) {
        self.rollouts.tasks.at_rest().await;
    }
}

//! The one place that knows who is in contact.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use dv_types::{HostName, Labels, Timestamp};
use tokio::sync::{mpsc, oneshot, watch};

use super::{Facts, Order, Question};
use crate::{
    ports::Clock,
    store::{HostRecord, Revoked},
};

/// Orders that may wait for one agent. A host has few under way; one that takes none is cut.
const QUEUE: usize = 64;
/// Questions that one agent may owe an answer to.
const QUESTIONS: usize = 16;

/// The fleet.
pub struct Fleet {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    hosts: BTreeMap<HostName, Known>,
    last_session: u64,
    last_request: u64,
    stopping: bool,
}

struct Known {
    record: HostRecord,
    session: Option<Session>,
    /// When its contact began, or ended.
    since: Option<Timestamp>,
    agent_version: String,
}

/// A stream that is live.
struct Session {
    number: u64,
    instance: String,
    /// Of the certificate that was shown.
    serial: String,
    // Boxed: a queue takes room for many orders at once, and most of the time there is none.
    orders: mpsc::Sender<Box<Order>>,
    cut: watch::Sender<Option<Cut>>,
    questions: HashMap<u64, oneshot::Sender<Facts>>,
}

/// What an agent says of itself when it connects.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Greeting {
    /// Its version.
    pub agent_version: String,
    /// New at each of its starts.
    pub instance: String,
    /// The serial of the certificate that it shows.
    pub serial: String,
}

/// Why the coordinator ends a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Cut {
    /// The same host has connected anew.
    #[error(
        "this host has connected anew; if you did not expect that, two agents run with one certificate"
    )]
    Replaced,
    /// The agent takes no orders.
    #[error("orders wait for this agent, and it does not take them")]
    Slow,
    /// The agent reports what nobody told it to do.
    #[error("more outcomes were reported than commands were given")]
    Unasked,
    /// The agent says nothing.
    #[error("nothing was heard for three heartbeats")]
    Silent,
    /// An operator has revoked it.
    #[error("this host was revoked: a new token lets it in again")]
    Revoked,
    /// Its certificate authority was retired.
    #[error("the authority of this certificate was retired: a new token lets this host in again")]
    Retired,
    /// The coordinator stops.
    #[error("the coordinator stops; connect again")]
    Stopping,
}

/// Why a host may not connect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAdmitted {
    /// It never enrolled here.
    #[error("host {0} is not known here: enrol it with `dvctl agent token {0}`")]
    Unknown(HostName),
    /// It shows a certificate that was replaced.
    #[error(
        "this certificate of host {0} was replaced by a later one, or its authority was retired: if the host has no other, \
         enrol it with `dvctl agent token {0}`"
    )]
    Replaced(HostName),
    /// It was revoked.
    #[error(
        "host {host} was revoked by {} at {} ({}): `dvctl agent token {host}` lets it in again",
        revoked.by, revoked.at, revoked.reason
    )]
    Revoked {
        /// The host.
        host: HostName,
        /// By whom, when, why.
        revoked: Box<Revoked>,
    },
    /// The coordinator stops.
    #[error("the coordinator stops; connect again")]
    Stopping,
}

/// The coordinator's end of an agent's stream.
#[derive(Debug)]
pub struct Link {
    /// The host.
    pub host: HostName,
    /// The number of this session.
    pub session: u64,
    /// What the agent is to be told.
    pub orders: mpsc::Receiver<Box<Order>>,
    /// Turns when the stream is to end.
    pub cut: watch::Receiver<Option<Cut>>,
}

/// A host, to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostView {
    /// Its name.
    pub name: HostName,
    /// Its labels.
    pub labels: Labels,
    /// In contact.
    pub connected: bool,
    /// When its contact began, or ended.
    pub since: Option<Timestamp>,
    /// The version of its agent, as far as known.
    pub agent_version: String,
    /// Until when the latest of its certificates is good, where that is known.
    pub certificate_until: Option<Timestamp>,
    /// It is let in no more.
    pub revoked: Option<Revoked>,
}

impl HostView {
    /// Since when a host is out of contact for a coordinator that began then and has heard of nobody before.
    #[must_use]
    pub fn away_since(&self, began: Timestamp) -> Timestamp {
        self.since.unwrap_or(began).max(began)
    }
}

impl Fleet {
    /// The fleet of these hosts; none is in contact.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, hosts: Vec<HostRecord>) -> Self {
        let fleet = Self { clock, state: Mutex::default() };
        for host in hosts {
            fleet.know(host);
        }
        fleet
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Knows a host from now on, or knows better.
    pub fn know(&self, record: HostRecord) {
        let mut state = self.state();
        if let Some(known) = state.hosts.get_mut(&record.name) {
            known.record = record;
            return;
        }
        let name = record.name.clone();
        let known = Known { record, session: None, since: None, agent_version: String::new() };
        state.hosts.insert(name, known);
    }

    /// What is stored of a host.
    #[must_use]
    pub fn record(&self, host: &HostName) -> Option<HostRecord> {
        self.state().hosts.get(host).map(|known| known.record.clone())
    }

    /// What is stored of all hosts.
    #[must_use]
    pub fn records(&self) -> Vec<HostRecord> {
        self.state().hosts.values().map(|known| known.record.clone()).collect()
    }

    /// Every host that is in contact.
    #[must_use]
    pub fn in_contact(&self) -> Vec<HostName> {
        let state = self.state();
        let live = state.hosts.iter().filter(|(_, known)| known.session.is_some());
        live.map(|(name, _)| name.clone()).collect()
    }

    /// When a host enrolled last.
    #[must_use]
    pub fn enrolled(&self, host: &HostName) -> Option<Timestamp> {
        self.state().hosts.get(host).map(|known| known.record.enrolled)
    }

    /// Whether `host` may come in with the certificate of this serial.
    pub fn admit(&self, host: &HostName, serial: &str) -> Result<(), NotAdmitted> {
        let state = self.state();
        if state.stopping {
            return Err(NotAdmitted::Stopping);
        }
        let known = state.hosts.get(host).ok_or_else(|| NotAdmitted::Unknown(host.clone()))?;
        if let Some(revoked) = known.record.revoked.clone() {
            return Err(NotAdmitted::Revoked { host: host.clone(), revoked: revoked.into() });
        }
        if !known.is_admitted(serial) {
            return Err(NotAdmitted::Replaced(host.clone()));
        }
        Ok(())
    }

    /// Takes a host into contact. An older stream of the same host ends: the newest is most likely alive.
    pub fn attach(&self, host: &HostName, greeting: Greeting) -> Result<Link, NotAdmitted> {
        let now = self.clock.now();
        let mut state = self.state();
        if state.stopping {
            return Err(NotAdmitted::Stopping);
        }
        state.last_session += 1;
        let number = state.last_session;
        let known = state.hosts.get_mut(host).ok_or_else(|| NotAdmitted::Unknown(host.clone()))?;
        if let Some(old) = known.session.take() {
            if old.instance == greeting.instance {
                tracing::info!(%host, "connected anew before its old stream had ended");
            } else {
                tracing::warn!(
                    %host, old = old.instance, new = greeting.instance,
                    "a second agent of this host connected, the first is cut: \
                     if this repeats, two agents run with one certificate",
                );
            }
            old.cut.send_replace(Some(Cut::Replaced));
        }
        let (orders, receiver) = mpsc::channel(QUEUE);
        let (cut, is_cut) = watch::channel(None);
        known.session = Some(Session {
            number,
            instance: greeting.instance,
            serial: greeting.serial,
            orders,
            cut,
            questions: HashMap::new(),
        });
        known.since = Some(now);
        known.agent_version = greeting.agent_version;
        Ok(Link { host: host.clone(), session: number, orders: receiver, cut: is_cut })
    }

    /// Notes that a session is over. Nothing happens if the host has a newer one.
    pub fn detach(&self, host: &HostName, session: u64) {
        let now = self.clock.now();
        if let Some(known) = self.state().hosts.get_mut(host)
            && known.session.take_if(|live| live.number == session).is_some()
        {
            known.since = Some(now);
        }
    }

    /// The number of the host's live session.
    #[must_use]
    pub fn session(&self, host: &HostName) -> Option<u64> {
        self.state().hosts.get(host)?.session.as_ref().map(|live| live.number)
    }

    /// Tells a host something, if it is in contact. Never waits: who does not take its orders is cut.
    pub fn send(&self, host: &HostName, order: Order) {
        if let Some(live) = self.state().session(host) {
            live.send(host, order);
        }
    }

    pub(super) fn ask(
        &self,
        host: &HostName,
        question: &Arc<Question>,
    ) -> Option<oneshot::Receiver<Facts>> {
        let mut state = self.state();
        state.last_request += 1;
        let request = state.last_request;
        let live = state.session(host)?;
        live.questions.retain(|_, asker| !asker.is_closed());
        if live.questions.len() >= QUESTIONS {
            return None;
        }
        let (asker, answer) = oneshot::channel();
        live.questions.insert(request, asker);
        live.send(host, Order::Inspect { request, question: Arc::clone(question) });
        Some(answer)
    }

    /// Passes a host's answer on to whoever asked.
    pub fn answer(&self, host: &HostName, request: u64, facts: Facts) {
        let asker = self.state().session(host).and_then(|live| live.questions.remove(&request));
        if let Some(asker) = asker {
            // Whoever asked may have given up.
            let _ = asker.send(facts);
        }
    }

    /// Ends a session.
    pub fn cut(&self, host: &HostName, session: u64, why: Cut) {
        if let Some(live) = self.state().session(host).filter(|live| live.number == session) {
            live.cut.send_replace(Some(why));
        }
    }

    /// Ends a host's session, if it has one. Whether it had.
    pub fn cut_now(&self, host: &HostName, why: Cut) -> bool {
        let mut state = self.state();
        let live = state.session(host);
        live.is_some_and(|live| {
            live.cut.send_replace(Some(why));
            true
        })
    }

    /// Ends a host's session if the certificate that was shown for it is worth nothing any more.
    pub fn cut_worthless(&self, host: &HostName, why: Cut) {
        let state = self.state();
        let Some(known) = state.hosts.get(host) else { return };
        if let Some(live) = known.session.as_ref().filter(|live| !known.is_admitted(&live.serial)) {
            live.cut.send_replace(Some(why));
        }
    }

    /// Ends every session, and lets nobody in any more.
    pub fn stop(&self) {
        let mut state = self.state();
        state.stopping = true;
        for live in state.hosts.values().filter_map(|known| known.session.as_ref()) {
            live.cut.send_replace(Some(Cut::Stopping));
        }
    }

    /// Every host, by name.
    #[must_use]
    pub fn view(&self) -> Vec<HostView> {
        self.state().hosts.values().map(Known::view).collect()
    }

    /// One host.
    #[must_use]
    pub fn look(&self, host: &HostName) -> Option<HostView> {
        self.state().hosts.get(host).map(Known::view)
    }

    /// How many hosts there are.
    #[must_use]
    pub fn size(&self) -> usize {
        self.state().hosts.len()
    }

    /// How many hosts are in contact, and how many there are.
    #[must_use]
    pub fn count(&self) -> (usize, usize) {
        let state = self.state();
        let connected = state.hosts.values().filter(|known| known.session.is_some()).count();
        (connected, state.hosts.len())
    }
}

impl Known {
    fn view(&self) -> HostView {
        HostView {
            name: self.record.name.clone(),
            labels: self.record.labels.clone(),
            connected: self.session.is_some(),
            since: self.since,
            agent_version: self.agent_version.clone(),
            certificate_until: self.record.certificates.iter().filter_map(|held| held.until).max(),
            revoked: self.record.revoked.clone(),
        }
    }

    fn is_admitted(&self, serial: &str) -> bool {
        self.record.certificates.iter().any(|held| held.serial == serial)
    }
}

impl State {
    fn session(&mut self, host: &HostName) -> Option<&mut Session> {
        self.hosts.get_mut(host)?.session.as_mut()
    }
}

impl Session {
    fn send(&self, host: &HostName, order: Order) {
        if self.orders.try_send(Box::new(order)).is_err() && self.cut.borrow().is_none() {
            tracing::warn!(%host, "its agent takes no orders: cut");
            self.cut.send_replace(Some(Cut::Slow));
        }
    }
}

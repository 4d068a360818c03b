//! All agents of this process.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{sync::watch, task::JoinSet};

use crate::{
    Result,
    agent::{self, Target},
    enrol::Enrolled,
    host::Host,
};

/// What is counted over all agents.
#[derive(Default)]
pub struct Tally {
    connected: watch::Sender<usize>,
    acknowledged: watch::Sender<usize>,
    commanded: watch::Sender<usize>,
    troubles: AtomicUsize,
}

impl Tally {
    pub(crate) fn connected(&self) {
        self.connected.send_modify(|n| *n += 1);
    }

    pub(crate) fn disconnected(&self) {
        self.connected.send_modify(|n| *n -= 1);
    }

    pub(crate) fn commanded(&self) {
        self.commanded.send_modify(|n| *n += 1);
    }

    pub(crate) fn acknowledged(&self) {
        self.acknowledged.send_modify(|n| *n += 1);
    }

    /// The first few are told; the rest is more of the same.
    pub(crate) fn trouble(&self, host: &str, why: &dyn std::error::Error) {
        if self.troubles.fetch_add(1, Ordering::Relaxed) < 5 {
            eprintln!("{host}: {why}");
        }
    }

    /// How many are in contact.
    #[must_use]
    pub fn in_contact(&self) -> usize {
        *self.connected.borrow()
    }

    /// How many outcomes were acknowledged, which they are when they are durable.
    #[must_use]
    pub fn outcomes(&self) -> usize {
        *self.acknowledged.borrow()
    }

    /// How many commands came, those that came again included.
    #[must_use]
    pub fn commands(&self) -> usize {
        *self.commanded.borrow()
    }

    /// Waits until so many are in contact.
    pub async fn reach(&self, connected: usize) {
        let _ = self.connected.subscribe().wait_for(|n| *n >= connected).await;
    }

    /// Waits until nobody is in contact.
    pub async fn lost(&self) {
        let _ = self.connected.subscribe().wait_for(|n| *n == 0).await;
    }

    /// Waits until so many outcomes were acknowledged in all.
    pub async fn recorded(&self, outcomes: usize) {
        let _ = self.acknowledged.subscribe().wait_for(|n| *n >= outcomes).await;
    }

    /// Waits until so many commands have come in all.
    pub async fn told(&self, commands: usize) {
        let _ = self.commanded.subscribe().wait_for(|n| *n >= commands).await;
    }
}

/// The fleet; dropped, all its connections end.
pub struct Fleet {
    /// The hosts, by number.
    pub hosts: Vec<Arc<Host>>,
    /// What is counted.
    pub tally: Arc<Tally>,
    target: Arc<Target>,
    links: JoinSet<()>,
}

impl Fleet {
    /// A fleet that does not dial yet. Each operation takes `pace`.
    #[must_use]
    pub fn new(target: Target, enrolled: Vec<Enrolled>, pace: Duration) -> Self {
        let tally = Arc::new(Tally::default());
        let host = |Enrolled { name, certificate, key }| {
            Arc::new(Host::new(name, certificate, key, pace, Arc::clone(&tally)))
        };
        let hosts = enrolled.into_iter().map(host).collect();
        Self { hosts, tally, target: Arc::new(target), links: JoinSet::new() }
    }

    /// Lets all dial, and waits until all are in contact; says how long that took.
    pub async fn connect(&mut self) -> Duration {
        let began = Instant::now();
        for host in &self.hosts {
            self.links.spawn(agent::hold(Arc::clone(host), Arc::clone(&self.target)));
        }
        self.tally.reach(self.hosts.len()).await;
        began.elapsed()
    }

    /// An error unless every host carried out exactly these operations so often.
    pub fn assert_each_did(&self, operations: usize) -> Result<()> {
        for host in &self.hosts {
            let did = host.did();
            let mut distinct = did.clone();
            distinct.sort();
            distinct.dedup();
            if did.len() != operations || distinct.len() != operations {
                return Err(format!("{} did {did:?}", host.name).into());
            }
        }
        Ok(())
    }
}

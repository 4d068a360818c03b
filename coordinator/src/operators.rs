//! The operators: who is known, and who is let in no more.
//!
//! Whoever shows an operator's certificate of the fleet's authority is let in, until it is revoked. Revoked is a name, with
//! every certificate that it had until then.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use dv_types::{Span, Timestamp};
use tokio::sync::watch;
use tonic::Status;

use crate::{
    enrolment::{held, is_current},
    identity::{Authority, Identity, Issued, KeyId, Peer},
    ports::{Clock, StoreError},
    refusal::Refusal,
    store::{Held, Journal, OperatorRecord, Revoked},
    tasks::Tasks,
};

/// Certificates of one operator that are written down; older ones are good all the same.
const CERTIFICATES: usize = 16;
/// A clock may be set meanwhile.
const LONGEST_NAP: Duration = Duration::from_secs(60);

/// The operators of a fleet.
pub(crate) struct Operators {
    journal: Journal,
    authority: Arc<Authority>,
    clock: Arc<dyn Clock>,
    tasks: Tasks,
    known: Mutex<BTreeMap<String, OperatorRecord>>,
    /// What is known is changed by one at a time.
    changing: tokio::sync::Mutex<()>,
    /// Turns when somebody is let in no more.
    refusals: watch::Sender<()>,
}

impl Operators {
    /// Those that the store knows.
    pub(crate) async fn read(
        journal: Journal,
        authority: Arc<Authority>,
        clock: Arc<dyn Clock>,
        tasks: Tasks,
    ) -> Result<Self, StoreError> {
        let known = journal.operators().await?;
        let known = known.into_iter().map(|record| (record.name.clone(), record)).collect();
        let (known, changing) = (Mutex::new(known), tokio::sync::Mutex::default());
        let refusals = watch::Sender::new(());
        Ok(Self { journal, authority, clock, tasks, known, changing, refusals })
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, OperatorRecord>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, name: &str) -> Option<OperatorRecord> {
        self.known().get(name).cloned()
    }

    /// All of them, by name.
    pub(crate) fn all(&self) -> Vec<OperatorRecord> {
        self.known().values().cloned().collect()
    }

    /// Lets an operator in, or says why not. One that is new is written down.
    pub(crate) fn admit(self: &Arc<Self>, name: &str, peer: &Peer) -> Result<(), Status> {
        let record = self.record(name);
        self.check(record.as_ref(), name, peer)?;
        let is_known = |record: &OperatorRecord| {
            record.certificates.iter().any(|held| held.serial == peer.serial && held.shown)
        };
        if !record.as_ref().is_some_and(is_known) {
            let (operators, name, peer) = (Arc::clone(self), name.to_owned(), peer.clone());
            self.tasks.spawn(async move {
                if let Err(why) = operators.note(&name, &peer).await {
                    tracing::error!(operator = name, %why, "an operator was not written down");
                }
            });
        }
        Ok(())
    }

    fn check(
        &self,
        record: Option<&OperatorRecord>,
        name: &str,
        peer: &Peer,
    ) -> Result<(), Status> {
        if peer.until < self.clock.now() {
            return Err(Status::unauthenticated(format!(
                "operator {name}'s certificate has expired at {}: get a new context file",
                peer.until
            )));
        }
        if !self.authority.knows(&peer.issuer) {
            return Err(Status::unauthenticated(format!(
                "the authority of operator {name}'s certificate was retired: get a new context file"
            )));
        }
        let Some((record, revoked)) = record.and_then(|r| Some((r, r.revoked.as_ref()?))) else {
            return Ok(());
        };
        // Who may make certificates may make one for a name that was revoked; earlier ones stay worthless.
        let is_listed = record.certificates.iter().any(|held| held.serial == peer.serial);
        if is_listed || peer.since > revoked.at {
            return Ok(());
        }
        Err(Status::permission_denied(format!(
            "operator {name} was revoked by {} at {} ({}): `dvctl operators add {name}` lets in again",
            revoked.by, revoked.at, revoked.reason
        )))
    }

    /// Resolves when whoever this is is let in no more, with why.
    pub(crate) async fn refused(self: Arc<Self>, peer: Option<Peer>) -> Status {
        let mut refusals = self.refusals.subscribe();
        let Some((name, peer)) = peer.and_then(|peer| match peer.identity.clone() {
            Some(Identity::Operator(name)) => Some((name, peer)),
            _ => None,
        }) else {
            return std::future::pending().await;
        };
        loop {
            let record = self.record(&name);
            if let Err(why) = self.check(record.as_ref(), &name, &peer) {
                return why;
            }
            let left = Span::between(self.clock.now(), peer.until).get();
            let nap = left.clamp(Duration::from_millis(100), LONGEST_NAP);
            tokio::select! {
                _ = refusals.changed() => {}
                () = tokio::time::sleep(nap) => {}
            }
        }
    }

    /// Whether it should ask for a new certificate: this one is half over, or the authority has changed.
    pub(crate) fn should_renew(&self, name: &str, peer: &Peer) -> bool {
        let record = self.record(name);
        let certificates = record.iter().flat_map(|record| &record.certificates);
        let held = certificates.into_iter().find(|held| held.serial == peer.serial);
        let now = self.clock.now();
        let left = Span::between(now, peer.until).get();
        left * 2 < Span::between(peer.since, peer.until).get() || !is_current(&self.authority, held)
    }

    async fn note(&self, name: &str, peer: &Peer) -> Result<(), Refusal> {
        let _changing = self.changing.lock().await;
        let record = self.record(name);
        // It may have been revoked meanwhile.
        if self.check(record.as_ref(), name, peer).is_err() {
            return Ok(());
        }
        let mut record = record.unwrap_or_else(|| self.blank(name, None));
        match record.certificates.iter_mut().find(|held| held.serial == peer.serial) {
            Some(held) => held.shown = true,
            None => record.certificates.push(Held {
                issuer: Some(peer.issuer.clone()),
                until: Some(peer.until),
                shown: true,
                ..Held::of_serial(&peer.serial)
            }),
        }
        self.keep(record).await
    }

    fn blank(&self, name: &str, by: Option<String>) -> OperatorRecord {
        let (name, since) = (name.to_owned(), self.clock.now());
        OperatorRecord { name, by, since, certificates: Vec::new(), revoked: None }
    }

    /// A certificate for an operator's own key, and the authorities to trust.
    pub(crate) async fn add(
        &self,
        name: &str,
        request: &str,
        by: String,
    ) -> Result<(String, String), Refusal> {
        check_name(name)?;
        let _changing = self.changing.lock().await;
        let record = self.record(name);
        if record.as_ref().is_some_and(|record| self.has_good(record)) {
            return Err(Refusal::Rejected(format!(
                "there is an operator {name} with a good certificate: choose another name, or revoke that one first"
            )));
        }
        let mut record = record.unwrap_or_else(|| self.blank(name, None));
        tracing::warn!(operator = name, by, "an operator is added");
        record.by = Some(by);
        self.issue(record, request).await
    }

    fn has_good(&self, record: &OperatorRecord) -> bool {
        let now = self.clock.now();
        record.certificates.iter().any(|held| held.is_good(now))
    }

    /// A new certificate for an operator that was let in.
    pub(crate) async fn renew(
        &self,
        name: &str,
        request: &str,
    ) -> Result<(String, String), Refusal> {
        let _changing = self.changing.lock().await;
        let record = self.record(name).unwrap_or_else(|| self.blank(name, None));
        // Between the call's beginning and now.
        if record.revoked.is_some() && record.certificates.is_empty() {
            return Err(Refusal::Rejected(format!("operator {name} was revoked")));
        }
        self.issue(record, request).await
    }

    async fn issue(
        &self,
        mut record: OperatorRecord,
        request: &str,
    ) -> Result<(String, String), Refusal> {
        let name = record.name.clone();
        let issued: Issued = self.authority.certify_operator(&name, request, self.clock.now())?;
        record.certificates.push(held(&self.authority, &issued));
        self.keep(record).await?;
        tracing::info!(operator = name, serial = issued.serial, "an operator's certificate");
        Ok((issued.certificate, self.authority.bundle()))
    }

    /// Lets an operator in no more, with any certificate that it has.
    pub(crate) async fn revoke(
        &self,
        name: &str,
        by: String,
        reason: String,
    ) -> Result<(), Refusal> {
        let _changing = self.changing.lock().await;
        let record = self.record(name);
        let record = record.ok_or_else(|| Refusal::NoOperator(name.to_owned()))?;
        tracing::warn!(operator = name, by, reason, "revoked");
        let revoked = Some(Revoked { by, at: self.clock.now(), reason });
        self.keep(OperatorRecord { certificates: Vec::new(), revoked, ..record }).await?;
        self.refusals.send_replace(());
        Ok(())
    }

    /// Certificates that these keys have signed are worth nothing any more.
    pub(crate) async fn give_up(&self, issuers: &[KeyId]) -> Result<(), Refusal> {
        let _changing = self.changing.lock().await;
        for mut record in self.all() {
            let before = record.certificates.len();
            record.certificates.retain(|held| {
                held.issuer.as_ref().is_some_and(|issuer| !issuers.contains(issuer))
            });
            if record.certificates.len() < before {
                self.keep(record).await?;
            }
        }
        self.refusals.send_replace(());
        Ok(())
    }

    async fn keep(&self, mut record: OperatorRecord) -> Result<(), Refusal> {
        let now: Timestamp = self.clock.now();
        record.certificates.retain(|held| held.is_good(now));
        let old = record.certificates.len().saturating_sub(CERTIFICATES);
        record.certificates.drain(..old);
        self.journal.save_operator(&record).await?;
        self.known().insert(record.name.clone(), record);
        Ok(())
    }
}

fn check_name(name: &str) -> Result<(), Refusal> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-@".contains(c);
    if (1..=64).contains(&name.len()) && name.chars().all(plain) {
        return Ok(());
    }
    Err(Refusal::Invalid(format!(
        "{name:?} is no operator's name: it has 1 to 64 of letters, digits, '.', '_', '-' and '@'"
    )))
}

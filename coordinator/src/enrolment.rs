//! How a host gets in: a token made by an operator, then a certificate, then a new one in time; and how it is kept out.

use std::{sync::Arc, time::Duration};

use dv_types::{HostName, Labels, Span, Timestamp};
use tokio::sync::{Mutex, MutexGuard};

use crate::{
    fleet::{Cut, Fleet},
    identity::{Authority, Issued, KeyId, Peer, Token},
    ports::{Clock, StoreError},
    refusal::Refusal,
    store::{Held, HostRecord, Journal, Revoked, TokenRecord},
};

const DEFAULT_LIFE: Duration = Duration::from_secs(30 * 60);
/// Hosts whose records are changed at once.
const TURNS: usize = 32;
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// The office where hosts get their certificates.
pub(crate) struct Enrolment {
    pub(crate) journal: Journal,
    pub(crate) authority: Arc<Authority>,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) changing: Turns,
}

/// What is known of a host is changed by one at a time.
#[derive(Default)]
pub(crate) struct Turns([Mutex<()>; TURNS]);

impl Turns {
    /// That of one host. A few others share it.
    async fn of(&self, host: &HostName) -> MutexGuard<'_, ()> {
        let sum = host
            .as_str()
            .bytes()
            .fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        self.0[sum % TURNS].lock().await
    }
}

/// What a host gets.
pub(crate) struct Admission {
    pub(crate) host: HostName,
    pub(crate) certificate: String,
    pub(crate) ca: String,
    /// The pins of every CA that the fleet has had.
    pub(crate) lineage: Vec<String>,
}

impl Enrolment {
    /// Makes a token for `host`. Its text is shown now and never again.
    pub(crate) async fn create_token(
        &self,
        host: HostName,
        labels: Labels,
        life: Duration,
        by: String,
    ) -> Result<(Token, Timestamp), Refusal> {
        let life = if life.is_zero() { DEFAULT_LIFE } else { life };
        if life > LONGEST_LIFE {
            return Err(Refusal::Invalid(format!(
                "a token lives {} at most: make it when the host is about to enrol",
                Span::from(LONGEST_LIFE),
            )));
        }
        check_labels(&labels)?;
        let token = Token::new(host.clone(), &self.authority.pin());
        let now = self.clock.now();
        let expires = Span::from(life).after(now);
        let secret_sha256 = token.secret_hash();
        let made = Some(now);
        let record = TokenRecord { host, labels, secret_sha256, by, made, expires, used: None };
        self.journal.save_token(&token.id, &record).await?;
        tracing::info!(host = %record.host, by = record.by, %expires, "made an enrolment token");
        Ok((token, expires))
    }

    /// Gives a host its certificate for a token.
    pub(crate) async fn enrol(
        &self,
        token: &str,
        request: &str,
        claimed: &str,
    ) -> Result<Admission, Refusal> {
        let token: Token = token.parse().map_err(|_| {
            Refusal::Token("it is not a whole token: make one with `dvctl agent token`")
        })?;
        let unknown = Refusal::Token("it is not known here: make one with `dvctl agent token`");
        let Some(record) = self.journal.token(&token.id).await? else { return Err(unknown) };
        if record.secret_sha256 != token.secret_hash() {
            return Err(unknown);
        }
        if record.used.is_some() {
            return Err(Refusal::Token("it was used already: make a new one"));
        }
        let now = self.clock.now();
        if record.expires <= now {
            return Err(Refusal::Token("it has expired: make a new one"));
        }
        if record.host.as_str() != claimed {
            let (allowed, claimed) = (record.host, claimed.chars().take(64).collect());
            return Err(Refusal::WrongHost { allowed, claimed });
        }
        let _changing = self.changing.of(&record.host).await;
        let revoked = self.fleet.record(&record.host).and_then(|host| host.revoked);
        if revoked.is_some_and(|revoked| record.made.is_none_or(|made| made <= revoked.at)) {
            return Err(Refusal::Token("it is from before its host was revoked: make a new one"));
        }
        let issued = self.authority.issue_host(&record.host, request, now)?;
        let host = HostRecord {
            name: record.host.clone(),
            labels: record.labels.clone(),
            enrolled: now,
            // Earlier certificates of this name are worth nothing from now on.
            certificates: vec![self.held(&issued)],
            revoked: None,
        };
        match self.journal.use_token(&token.id, &record, &host).await {
            Err(StoreError::Conflict(_)) => {
                return Err(Refusal::Token("it was used already: make a new one"));
            }
            used => used?,
        }
        self.fleet.know(host);
        tracing::info!(host = %record.host, serial = issued.serial, "enrolled");
        Ok(self.admission(record.host, issued.certificate, &token.pin))
    }

    /// Gives a host a new certificate for the one of serial `shown`.
    pub(crate) async fn renew(
        &self,
        host: &HostName,
        shown: &str,
        request: &str,
    ) -> Result<Admission, Refusal> {
        let _changing = self.changing.of(host).await;
        self.fleet.admit(host, shown).map_err(|why| Refusal::Invalid(why.to_string()))?;
        let Some(record) = self.fleet.record(host) else {
            return Err(Refusal::Invalid(format!("host {host} is not known here")));
        };
        let issued = self.authority.issue_host(host, request, self.clock.now())?;
        // The one that was shown stays good: the answer to this call may get lost.
        let mut certificates = record.certificates.clone();
        certificates.retain(|held| held.serial == shown);
        certificates.iter_mut().for_each(|held| held.shown = true);
        certificates.push(self.held(&issued));
        self.keep(HostRecord { certificates, ..record }).await?;
        tracing::info!(%host, serial = issued.serial, "renewed");
        Ok(self.admission(host.clone(), issued.certificate, &self.authority.pin()))
    }

    /// Takes up a certificate that was issued here and is forgotten, because the store has gone back in time: it lives longer
    /// than the newest that is known, so it is newer. One that was replaced is older, and stays out.
    pub(crate) async fn recognise(&self, host: &HostName, peer: &Peer) -> Result<(), Refusal> {
        let is_forgotten = |record: &HostRecord| {
            let known = &record.certificates;
            let newest = known.iter().map(|held| held.until).max().flatten();
            // The first version wrote down no more than when the host had enrolled.
            let is_newer = newest.map_or(peer.since > record.enrolled, |until| peer.until > until);
            let is_known = known.iter().any(|held| held.serial == peer.serial);
            // Who was shut out on purpose has none.
            !known.is_empty() && record.revoked.is_none() && is_newer && !is_known
        };
        if !self.fleet.record(host).is_some_and(|record| is_forgotten(&record)) {
            return Ok(());
        }
        let _changing = self.changing.of(host).await;
        let Some(record) = self.fleet.record(host).filter(is_forgotten) else { return Ok(()) };
        if !self.authority.knows(&peer.issuer) {
            return Ok(());
        }
        tracing::warn!(
            %host, serial = peer.serial,
            "its certificate is newer than all that the store knows: the store has gone back in time. It is let in",
        );
        let held = Held {
            serial: peer.serial.clone(),
            issuer: Some(peer.issuer.clone()),
            until: Some(peer.until),
            trust: None,
            shown: true,
        };
        self.keep(HostRecord { certificates: vec![held], ..record }).await
    }

    /// Notes that a host has shown this certificate. Answers whether it should get another one, because the authority has
    /// changed since.
    pub(crate) async fn shown(&self, host: &HostName, serial: &str) -> Result<bool, Refusal> {
        let _changing = self.changing.of(host).await;
        let Some(record) = self.fleet.record(host) else { return Ok(false) };
        let mut certificates = record.certificates.clone();
        let Some(held) = certificates.iter_mut().find(|held| held.serial == serial) else {
            return Ok(false);
        };
        let is_current = is_current(&self.authority, Some(held));
        // What the first version issued is told apart by nothing else: its records stay as they are.
        if !held.shown && held.issuer.is_some() {
            held.shown = true;
            self.keep(HostRecord { certificates, ..record }).await?;
        }
        Ok(!is_current)
    }

    /// Lets a host in no more, until it has a new token. Whether it was in contact.
    pub(crate) async fn revoke(
        &self,
        host: &HostName,
        by: String,
        reason: String,
    ) -> Result<bool, Refusal> {
        let _changing = self.changing.of(host).await;
        let record = self.fleet.record(host);
        let record = record.ok_or_else(|| Refusal::NoHost(host.clone()))?;
        tracing::warn!(%host, by, reason, "revoked");
        let revoked = Some(Revoked { by, at: self.clock.now(), reason });
        self.keep(HostRecord { certificates: Vec::new(), revoked, ..record }).await?;
        Ok(self.fleet.cut_now(host, Cut::Revoked))
    }

    /// Certificates that these keys have signed are worth nothing any more.
    pub(crate) async fn give_up(&self, issuers: &[KeyId]) -> Result<(), Refusal> {
        for host in self.fleet.records().into_iter().map(|record| record.name) {
            let _changing = self.changing.of(&host).await;
            let Some(record) = self.fleet.record(&host) else { continue };
            let mut certificates = record.certificates.clone();
            // The first version wrote no issuer: what it wrote is of the oldest.
            certificates.retain(|held| {
                held.issuer.as_ref().is_some_and(|issuer| !issuers.contains(issuer))
            });
            if certificates != record.certificates {
                self.keep(HostRecord { certificates, ..record }).await?;
                self.fleet.cut_worthless(&host, Cut::Retired);
            }
        }
        Ok(())
    }

    async fn keep(&self, record: HostRecord) -> Result<(), Refusal> {
        self.journal.save_host(&record).await?;
        self.fleet.know(record);
        Ok(())
    }

    fn held(&self, issued: &Issued) -> Held {
        held(&self.authority, issued)
    }

    fn admission(&self, host: HostName, certificate: String, pin: &str) -> Admission {
        let (ca, lineage) = (self.authority.bundle_from(pin), self.authority.lineage());
        Admission { host, certificate, ca, lineage }
    }
}

/// What is kept of a certificate.
pub(crate) fn held(authority: &Authority, issued: &Issued) -> Held {
    Held {
        serial: issued.serial.clone(),
        issuer: Some(issued.issuer.clone()),
        until: Some(issued.until),
        trust: Some(authority.trust()),
        shown: false,
    }
}

/// Whether the holder of this certificate trusts what is to be trusted now, as far as is known.
pub(crate) fn is_current(authority: &Authority, held: Option<&Held>) -> bool {
    match held.and_then(|held| held.trust.as_ref()) {
        Some(trust) => *trust == authority.trust(),
        None => authority.is_first(),
    }
}

fn check_labels(labels: &Labels) -> Result<(), Refusal> {
    let plain = |text: &str| {
        (1..=63).contains(&text.len())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c))
    };
    if labels.len() > 64 {
        return Err(Refusal::Invalid(format!("{} labels are too many: 64 at most", labels.len())));
    }
    match labels.iter().find(|(key, value)| !plain(key) || !plain(value)) {
        Some((key, value)) => Err(Refusal::Invalid(format!(
            "{key:?}={value:?} is not a label: key and value are 1 to 63 of letters, digits, '.', '_', '-' and '/'"
        ))),
        None => Ok(()),
    }
}

//! How a host gets in: a token made by an operator, then a certificate, then a new one in time.

use std::{sync::Arc, time::Duration};

use dv_types::{HostName, Labels, Span, Timestamp};

use crate::{
    fleet::Fleet,
    identity::{Authority, Token},
    ports::{Clock, StoreError},
    refusal::Refusal,
    store::{HostRecord, Journal, TokenRecord},
};

const DEFAULT_LIFE: Duration = Duration::from_secs(30 * 60);
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// The office where hosts get their certificates.
pub(crate) struct Enrolment {
    pub(crate) journal: Journal,
    pub(crate) authority: Arc<Authority>,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// What a host gets.
pub(crate) struct Admission {
    pub(crate) host: HostName,
    pub(crate) certificate: String,
    pub(crate) ca: String,
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
        let token = Token::new(host.clone(), self.authority.pin());
        let expires = Span::from(life).after(self.clock.now());
        let secret_sha256 = token.secret_hash();
        let record = TokenRecord { host, labels, secret_sha256, by, expires, used: None };
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
        let issued = self.authority.issue_host(&record.host, request, now)?;
        let host = HostRecord {
            name: record.host.clone(),
            labels: record.labels.clone(),
            enrolled: now,
            // Earlier certificates of this name are worth nothing from now on.
            serials: vec![issued.serial.clone()],
        };
        match self.journal.use_token(&token.id, &record, &host).await {
            Err(StoreError::Conflict(_)) => {
                return Err(Refusal::Token("it was used already: make a new one"));
            }
            used => used?,
        }
        self.fleet.know(host);
        tracing::info!(host = %record.host, serial = issued.serial, "enrolled");
        Ok(self.admission(record.host, issued.certificate))
    }

    /// Gives a host a new certificate for the one of serial `shown`.
    pub(crate) async fn renew(
        &self,
        host: &HostName,
        shown: &str,
        request: &str,
    ) -> Result<Admission, Refusal> {
        let Some(record) = self.fleet.record(host) else {
            return Err(Refusal::Invalid(format!("host {host} is not known here")));
        };
        let issued = self.authority.issue_host(host, request, self.clock.now())?;
        // The one that was shown stays good: the answer to this call may get lost.
        let serials = vec![shown.to_owned(), issued.serial.clone()];
        let record = HostRecord { serials, ..record };
        self.journal.save_host(&record).await?;
        self.fleet.know(record);
        tracing::info!(%host, serial = issued.serial, "renewed");
        Ok(self.admission(host.clone(), issued.certificate))
    }

    fn admission(&self, host: HostName, certificate: String) -> Admission {
        Admission { host, certificate, ca: self.authority.certificate().to_owned() }
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

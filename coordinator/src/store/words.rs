//! What is stored besides records, plans and reports.

use std::fmt;

use dv_types::{
    HostName, Labels, Migration, ReleaseId, ReleaseName, Report, RolloutId, ServiceName, Timestamp,
    Version,
    plan::Kind,
    release::{Course, Ending},
    report::State,
    warrant::SignedWarrant,
};
use serde::{Deserialize, Serialize};

use crate::{identity::KeyId, text::shortened};

/// Bytes of a migration's name in a summary.
const NAME: usize = 100;

/// A rollout, as the list of rollouts shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Its number.
    pub rollout: RolloutId,
    /// The service.
    pub service: ServiceName,
    /// The version that goes out, or that hosts go back to.
    pub version: Version,
    /// Why it was made.
    pub kind: Kind,
    /// The name of the plan's document.
    pub plan: String,
    /// Who started it.
    pub by: String,
    /// Why, where a reason was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Gates that are overridden from the start.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<String>,
    /// The release that it was begun for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseId>,
    /// What an operator has signed for it, where that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing: Option<Signing>,
    /// When it was made.
    pub created: Timestamp,
    /// How it ended. Written together with the last record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<End>,
}

/// In the name of which warrant a rollout is carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signing {
    /// What was signed.
    pub warrant: SignedWarrant,
    /// The rollout for whose plan it was signed; nothing where that is this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<RolloutId>,
    /// This one takes back what was signed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub back: bool,
}

impl Header {
    /// What was signed, for a rollout that does for other hosts what this one does.
    pub(crate) fn signing_of(&self) -> Option<Signing> {
        self.signing
            .clone()
            .map(|signing| Signing { of: signing.of.or(Some(self.rollout)), ..signing })
    }

    /// What was signed, for a rollout that takes this one back.
    pub(crate) fn signing_back(&self) -> Option<Signing> {
        self.signing_of().map(|signing| Signing { back: true, ..signing })
    }
}

/// How a rollout ended: a fold over its records, kept so that nobody folds them again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// The last report, as far as it says how it ended. An entry has a limit, so it is without what grows with the
    /// fleet and with what others say: hosts, gates, steps, monitors. Of its migrations it has the first of each kind.
    pub summary: Report,
    /// The document that holds the last report as a whole.
    pub report: String,
}

impl End {
    /// The end that this last report tells of, which is kept in that document.
    #[must_use]
    pub fn of(last: &Report, document: String) -> Self {
        let mut migrations: Vec<Migration> = Vec::new();
        for migration in &last.migrations {
            if migrations.iter().all(|other| other.kind != migration.kind) {
                let name = shortened(migration.name.clone(), NAME);
                migrations.push(Migration { name, kind: migration.kind });
            }
        }
        let Report { rollout, service, version, kind, plan, by, record, began, .. } = last.clone();
        let Report { ended, state, wave, totals, rollback, made_way, reversed_by, .. } =
            last.clone();
        let summary = Report {
            rollout,
            service,
            version,
            kind,
            plan,
            by,
            record,
            began,
            ended,
            state,
            wave,
            totals,
            hosts: Vec::new(),
            gates: Vec::new(),
            once: Vec::new(),
            migrations,
            database: None,
            monitor: Vec::new(),
            waiting: Vec::new(),
            rollback,
            made_way,
            reversed_by,
        };
        Self { summary, report: document }
    }
}

/// A release of several services: what was wanted, and which way it goes. What it did, its rollouts know: each says
/// in its header that it was begun for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseRecord {
    /// Its number.
    pub release: ReleaseId,
    /// What people call it.
    pub name: ReleaseName,
    /// The document that holds the [`dv_types::Release`].
    pub document: String,
    /// Who started it.
    pub by: String,
    /// Why, where a reason was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether its versions may have been rolled back before.
    #[serde(default)]
    pub force: bool,
    /// Gates that are overridden in every member that has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<String>,
    /// When it was made.
    pub created: Timestamp,
    /// Which way it goes.
    pub course: Course,
    /// Why it no longer goes forward.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// How it ended, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<(Ending, Timestamp)>,
}

/// What is left of a rollout that was dropped, because it was old and nothing needed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// Its number.
    pub rollout: RolloutId,
    /// The service.
    pub service: ServiceName,
    /// The version that went out, or that hosts went back to.
    pub version: Version,
    /// Why it was made.
    pub kind: Kind,
    /// When it was made.
    pub created: Timestamp,
    /// How it ended.
    pub state: State,
    /// When it was dropped.
    pub dropped: Timestamp,
    /// Whether its records are gone.
    #[serde(default)]
    pub cleared: bool,
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rollout, service, version, created, dropped, .. } = self;
        let ended = match &self.state {
            State::Ended(verdict) => verdict.to_string(),
            _ => "ended".to_owned(),
        };
        let (created, dropped) = (created.strftime("%Y-%m-%d"), dropped.strftime("%Y-%m-%d"));
        write!(
            f,
            "{rollout} ({version} of {service}, begun {created}, {ended}) was dropped on {dropped}"
        )
    }
}

/// A version that was rolled back, and needs force to go out again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadMark {
    /// The service.
    pub service: ServiceName,
    /// The version.
    pub version: Version,
    /// The rollout that was rolled back.
    pub rollout: RolloutId,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// A host that enrolled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostRecord {
    /// Its name.
    pub name: HostName,
    /// Its labels, as its token gave them.
    pub labels: Labels,
    /// When it enrolled last.
    pub enrolled: Timestamp,
    /// The certificates that it may show, the latest last.
    #[serde(alias = "serials")]
    pub certificates: Vec<Held>,
    /// It is let in no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Revoked>,
}

/// A certificate that was issued, and that its holder may show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Form")]
pub struct Held {
    /// Its serial, in lower-case hexadecimal.
    pub serial: String,
    /// The key that has signed it, where that was written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<KeyId>,
    /// Until when it is good, where that was written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// The authorities that its holder was told to trust: `Authority::trust`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<String>,
    /// It was shown: its holder has it, and needs no earlier one.
    #[serde(default)]
    pub shown: bool,
}

/// The first version wrote the serial alone.
#[derive(Deserialize)]
#[serde(untagged)]
enum Form {
    Serial(String),
    Whole {
        serial: String,
        issuer: Option<KeyId>,
        until: Option<Timestamp>,
        trust: Option<String>,
        #[serde(default)]
        shown: bool,
    },
}

impl From<Form> for Held {
    fn from(form: Form) -> Self {
        match form {
            Form::Serial(serial) => Self::of_serial(&serial),
            Form::Whole { serial, issuer, until, trust, shown } => {
                Self { serial, issuer, until, trust, shown }
            }
        }
    }
}

impl Held {
    /// One of which nothing but its serial is known.
    #[must_use]
    pub fn of_serial(serial: &str) -> Self {
        let serial = serial.to_owned();
        Self { serial, issuer: None, until: None, trust: None, shown: false }
    }

    /// Whether it is good then, as far as is known.
    #[must_use]
    pub fn is_good(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now <= until)
    }
}

/// By whom, when and why somebody's certificates were made worthless.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    /// Who did it.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}

/// An operator that was added, or was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorRecord {
    /// Its name.
    pub name: String,
    /// Who added it; nobody, where the coordinator made its certificate by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Since when it is known.
    pub since: Timestamp,
    /// The certificates that are known, the latest last.
    pub certificates: Vec<Held>,
    /// Certificates from before are worth nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Revoked>,
}

/// An enrolment token. The secret is not here, only its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRecord {
    /// The only host that may use it.
    pub host: HostName,
    /// The labels that the host gets.
    pub labels: Labels,
    /// SHA-256 of the secret, in hexadecimal.
    pub secret_sha256: String,
    /// Who made it.
    pub by: String,
    /// When it was made, where that was written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<Timestamp>,
    /// From then on it is worth nothing.
    pub expires: Timestamp,
    /// The serial of the certificate that it was used for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<String>,
}

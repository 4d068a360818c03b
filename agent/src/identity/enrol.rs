//! The first certificate: a token for it, a key of our own, and no trust in anybody but the token's CA.

use std::{fs, time::Duration};

use dv_proto::{
    Coordinators,
    dial::DialError,
    v1::{EnrolRequest, enrolment_client::EnrolmentClient},
};
use dv_types::HostName;

use super::{Identity, csr, pin, token::Token, written};
use crate::{adapter::disk::HostDisk, config::Config, durable, ledger, lock::Lock};

pub use super::token::InvalidToken;

const LIMIT: Duration = Duration::from_secs(30);

/// The host got no certificate. Its former identity, if it had one, is untouched.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// The token can't be used.
    #[error(transparent)]
    Token(#[from] InvalidToken),
    /// The agent runs for another coordinator.
    #[error("the agent runs, and for another coordinator: stop it first (systemctl stop dv-agent)")]
    Running,
    /// The coordinator can't be dialled.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// It said no.
    #[error("the coordinator refuses: {0}")]
    Refused(String),
    /// It gave no answer.
    #[error("the coordinator at {at} can't be reached: {why}")]
    Unreachable {
        /// Its address.
        at: String,
        /// Why.
        why: String,
    },
    /// Its answer can't be used.
    #[error("the coordinator's answer can't be used: {0}")]
    Answer(String),
    /// The identity can't be written.
    #[error("the identity can't be written to {at}: {why}")]
    Unwritten {
        /// Where.
        at: String,
        /// Why.
        why: String,
    },
}

/// Enrols this host with `token`, as the host that the token names unless `host` says otherwise. Returns
/// the name that was granted.
pub async fn enrol(
    config: &Config,
    token: &str,
    host: Option<&HostName>,
) -> Result<String, EnrolError> {
    let token_text = token.trim();
    let token: Token = token_text.parse()?;
    let host = host.unwrap_or(&token.host);
    let moves = moves(config, &token.pin)?;
    let key = csr::key().map_err(EnrolError::Answer)?;
    let csr_pem = csr::request(&key, host.as_str()).map_err(EnrolError::Answer)?;

    let coordinators = Coordinators::new(&config.coordinator, &pin::client_tls(&token.pin))?;
    let request =
        EnrolRequest { token: token_text.to_owned(), csr_pem, host: host.as_str().to_owned() };
    let unreachable =
        |why: String| EnrolError::Unreachable { at: config.coordinator.to_string(), why };
    let mut client = EnrolmentClient::new(coordinators);
    let reply = tokio::time::timeout(LIMIT, client.enrol(request))
        .await
        .map_err(|_| unreachable(format!("no answer within {LIMIT:?}")))?
        .map_err(|status| match crate::link::transport_error(&status) {
            Some(why) if why.contains("UnknownIssuer") => unreachable(format!(
                "{why}: it is not the coordinator that made the token, or somebody is in between"
            )),
            Some(why) => unreachable(why),
            None => EnrolError::Refused(status.message().to_owned()),
        })?
        .into_inner();

    if !pin::is_pinned(&reply.ca_pem, &token.pin) {
        return Err(EnrolError::Answer("its CA is not the token's".to_owned()));
    }
    let granted = written(&reply.certificate_pem).map_err(EnrolError::Answer)?;
    let identity = Identity { key, certificate: reply.certificate_pem, ca: reply.ca_pem };
    // Its authority may have been followed by another while this host was away.
    let stays = knows_one_of(config, &reply.lineage);
    save(config, &identity, moves.is_some() && !stays).map_err(|why| EnrolError::Unwritten {
        at: config.state_dir.display().to_string(),
        why: why.to_string(),
    })?;
    Ok(granted.host)
}

fn save(config: &Config, identity: &Identity, moves: bool) -> std::io::Result<()> {
    if moves {
        ledger::forget(&config.ledger_dir())?;
        ledger::forget(&config.switches_dir())?;
        durable::remove(&HostDisk, &config.epoch_file())?;
    }
    identity.save(&config.identity_dir())
}

/// Another CA is another coordinator: its epochs and its commands' numbers mean other things, and an agent
/// that runs must not have the old ones in mind.
fn moves(config: &Config, pin: &str) -> Result<Option<Lock>, EnrolError> {
    match fs::read_to_string(config.identity_dir().join("ca.pem")) {
        Ok(ca) if !pin::is_pinned(&ca, pin) => {
            Lock::take(&config.state_dir).map(Some).map_err(|_| EnrolError::Running)
        }
        _ => Ok(None),
    }
}

/// Whether this host trusts one of these CAs.
fn knows_one_of(config: &Config, lineage: &[String]) -> bool {
    let ca = fs::read_to_string(config.identity_dir().join("ca.pem")).unwrap_or_default();
    pin::pins(&ca).any(|pin| lineage.contains(&pin))
}

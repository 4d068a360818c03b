//! What went wrong between this program and the coordinator, told from the error's chain of causes.

use std::{error::Error as StdError, io};

use dv_proto::{Addresses, was_not_sent};
use rustls::{AlertDescription, CertificateError};
use tonic::{Code, ConnectError, Status};

use crate::{Exit, error::Error};

type Cause<'e> = &'e (dyn StdError + 'static);

/// The ways in which a call can go wrong.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// There was no connection: nothing was asked.
    Unreachable(String),
    /// The connection broke after the call was sent.
    Lost(String),
    /// The coordinator said no.
    Refused(String),
    /// The coordinator, or what stands before it, failed.
    Failed(String),
}

impl Trouble {
    /// Which it was.
    pub(crate) fn of(status: &Status) -> Self {
        let causes: Vec<Cause<'_>> = causes(status).collect();
        if let Some(tls) = causes.iter().find_map(|cause| tls(*cause)) {
            return Self::tls(tls);
        }
        if was_not_sent(status) {
            return Self::Unreachable(connection(&causes));
        }
        let text = status.message().to_owned();
        match status.code() {
            Code::InvalidArgument
            | Code::FailedPrecondition
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::Unauthenticated
            | Code::ResourceExhausted => Self::Refused(text),
            // Said by the coordinator itself, while it starts or stops: it has done nothing.
            Code::Unavailable if causes.len() == 1 => Self::Unreachable(text),
            Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Aborted => {
                Self::Lost(if text.is_empty() { "the connection broke".to_owned() } else { text })
            }
            Code::Unknown if causes.iter().any(|cause| cause.is::<io::Error>()) => {
                Self::Lost("the connection broke".to_owned())
            }
            code => Self::Failed(format!("{text} ({code:?})")),
        }
    }

    /// TLS did not come about.
    pub(crate) fn tls(error: &rustls::Error) -> Self {
        Self::Unreachable(certificate(error))
    }

    /// The error of a call that changes nothing.
    pub(crate) fn asked(self, address: &Addresses) -> Error {
        match self {
            Self::Lost(why) => unreachable(address, &format!("no answer: {why}")),
            other => other.told(address),
        }
    }

    /// The error of a call that changes something.
    pub(crate) fn told(self, address: &Addresses) -> Error {
        match self {
            Self::Unreachable(why) => unreachable(address, &why),
            Self::Lost(why) => Error::new(
                Exit::LostContact,
                format!(
                    "contact with the coordinator at {address} was lost before it answered, so it may have \
                     been done or not: {why}; look with `dvctl rollout history`"
                ),
            ),
            Self::Refused(why) => Error::refused(why),
            Self::Failed(why) => Error::new(
                Exit::Unexpected,
                format!("the coordinator at {address} failed: {why}; its journal says more"),
            ),
        }
    }
}

/// Whether the same call may go well in a while.
pub(crate) fn is_transient(status: &Status) -> bool {
    let causes: Vec<_> = causes(status).collect();
    let broken = causes.iter().any(|c| c.is::<ConnectError>() || c.is::<io::Error>());
    broken
        || matches!(
            status.code(),
            Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Aborted
        )
        || matches!(status.code(), Code::Unknown | Code::Internal) && causes.len() > 1
}

fn unreachable(address: &Addresses, why: &str) -> Error {
    Error::new(Exit::Unreachable, format!("the coordinator at {address} can't be reached: {why}"))
}

/// The error and what it came of. An I/O error hides what it wraps from the chain.
fn causes<'e>(status: &'e Status) -> impl Iterator<Item = Cause<'e>> {
    let next = |error: &Cause<'e>| -> Option<Cause<'e>> {
        let error: Cause<'e> = *error;
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        }
    };
    std::iter::successors(Some(status as Cause<'e>), next)
}

fn tls(error: Cause<'_>) -> Option<&rustls::Error> {
    error.downcast_ref::<rustls::Error>()
}

fn certificate(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(invalid) => match invalid {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "its certificate is not of the CA in your context file: \
                 is it the right coordinator, and the right context?"
                    .to_owned()
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "its certificate has expired: renew it there, or set this machine's clock right".to_owned()
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "its certificate is not valid yet: set this machine's clock right".to_owned()
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "its certificate is for another name: add this name to `names` in the coordinator's \
                 configuration, or use a name that stands there"
                    .to_owned()
            }
            other => format!("its certificate is not valid: {other:?}"),
        },
        rustls::Error::AlertReceived(alert) => match alert {
            AlertDescription::CertificateExpired => {
                "your certificate has expired: get a new context file".to_owned()
            }
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::DecryptError
            | AlertDescription::AccessDenied
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateRequired => {
                "it does not accept your certificate: use an operator's context file of this coordinator"
                    .to_owned()
            }
            other => format!("it broke off the TLS handshake ({other:?})"),
        },
        rustls::Error::InvalidMessage(_) => {
            "what answers there does not speak TLS: is this the coordinator's port?".to_owned()
        }
        other => format!("TLS failed: {other}"),
    }
}

fn connection(causes: &[Cause<'_>]) -> String {
    let io = causes.iter().find_map(|cause| cause.downcast_ref::<io::Error>());
    let Some(io) = io else {
        let timed_out = causes.iter().any(|cause| cause.to_string().contains("deadline"));
        return if timed_out { timeout() } else { last(causes) };
    };
    match io.kind() {
        io::ErrorKind::ConnectionRefused => {
            "nothing listens there: is dv-coordinator running, and is this its address?".to_owned()
        }
        io::ErrorKind::TimedOut => timeout(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
            "it closed the connection at once: is this the coordinator's port?".to_owned()
        }
        _ if io.to_string().contains("lookup address") => {
            "there is no such name in the DNS: check the address in your context file".to_owned()
        }
        _ => io.to_string(),
    }
}

fn timeout() -> String {
    "no answer in time: is the address right, and does a firewall stand between?".to_owned()
}

fn last(causes: &[Cause<'_>]) -> String {
    causes.last().map(ToString::to_string).unwrap_or_default()
}

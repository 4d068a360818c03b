//! Who is at the other end of a connection, as its certificate says.

use std::net::SocketAddr;

use dv_types::{HostName, Timestamp};
use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::{KeyId, anchor::issuer_of, authority::hex, validity::Validity};

/// A name that our CA gave.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Identity {
    /// A person.
    Operator(String),
    /// A host's agent.
    Host(HostName),
}

/// The other end of a connection. It is an extension of each of its requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Where it calls from.
    pub address: SocketAddr,
    /// Who it is; nothing if it showed no certificate, or one without a name that we know.
    pub identity: Option<Identity>,
    /// The serial of its certificate, in lower-case hexadecimal.
    pub serial: String,
    /// The key that has signed its certificate.
    pub issuer: KeyId,
    /// When its certificate was made.
    pub since: Timestamp,
    /// Until when its certificate is good.
    pub until: Timestamp,
    /// There are so many connections already that a host is to come again later.
    pub crowded: bool,
}

impl Peer {
    /// Reads the certificates that a TLS handshake has verified.
    pub(crate) fn new(address: SocketAddr, certificates: Option<&[CertificateDer<'_>]>) -> Self {
        let mut peer = Self {
            address,
            identity: None,
            serial: String::new(),
            issuer: KeyId::default(),
            since: Timestamp::MIN,
            until: Timestamp::MIN,
            crowded: false,
        };
        let first = certificates.and_then(<[_]>::first);
        if let Some((_, certificate)) = first.and_then(|der| X509Certificate::from_der(der).ok()) {
            let validity = Validity::of(&certificate);
            peer.identity = identity(&certificate);
            peer.serial = hex(certificate.raw_serial());
            peer.issuer = issuer_of(&certificate).unwrap_or_default();
            (peer.since, peer.until) = (validity.issued(), validity.until);
        }
        peer
    }
}

/// Exactly one URI names the peer: a second one would make it two.
fn identity(certificate: &X509Certificate<'_>) -> Option<Identity> {
    let names = certificate.subject_alternative_name().ok()??;
    let [GeneralName::URI(uri)] = names.value.general_names.as_slice() else {
        return None;
    };
    let (kind, name) = uri.strip_prefix("spiffe://dv/")?.split_once('/')?;
    match kind {
        "operator" => Some(Identity::Operator(name.to_owned())),
        "host" => HostName::new(name).ok().map(Identity::Host),
        _ => None,
    }
}

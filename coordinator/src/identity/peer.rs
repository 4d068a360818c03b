//! Who is at the other end of a connection, as its certificate says.

use std::net::SocketAddr;

use dv_types::HostName;
use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::authority::hex;

/// A name that our CA gave.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// There are so many connections already that a host is to come again later.
    pub crowded: bool,
}

impl Peer {
    /// Reads the certificates that a TLS handshake has verified.
    pub(crate) fn new(address: SocketAddr, certificates: Option<&[CertificateDer<'_>]>) -> Self {
        let read = certificates
            .and_then(<[_]>::first)
            .and_then(|der| X509Certificate::from_der(der).ok())
            .map(|(_, certificate)| (identity(&certificate), hex(certificate.raw_serial())));
        let (identity, serial) = read.unwrap_or_default();
        Self { address, identity, serial, crowded: false }
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

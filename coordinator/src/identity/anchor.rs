//! A certificate of an authority, as it is trusted.

use dv_types::Timestamp;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use x509_parser::prelude::{FromDer as _, ParsedExtension, X509Certificate};

use super::{IdentityError, authority::hex, validity::Validity};

/// Names a key that signs certificates: the key identifier that those carry, in lower-case hexadecimal.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct KeyId(String);

/// An authority's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// The certificate, PEM.
    pub pem: String,
    /// SHA-256 of its public key, in lower-case hexadecimal.
    pub pin: String,
    /// Its key.
    pub key: KeyId,
    /// Until when it is good.
    pub until: Timestamp,
}

impl Anchor {
    /// Reads the first certificate in `text`, which calls itself `what`.
    pub(super) fn read(what: &'static str, text: &str) -> Result<Self, IdentityError> {
        let unusable = |why: &dyn std::fmt::Display| IdentityError::unusable(what, why);
        let pem = certificates(text).next().ok_or_else(|| unusable(&"there is no certificate"))?;
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|why| unusable(&why))?;
        let (_, read) = X509Certificate::from_der(&der).map_err(|why| unusable(&why))?;
        if !read.is_ca() {
            return Err(unusable(&"the certificate is not that of an authority"));
        }
        let key =
            read.extensions().iter().find_map(|extension| match extension.parsed_extension() {
                ParsedExtension::SubjectKeyIdentifier(id) => Some(KeyId(hex(id.0))),
                _ => None,
            });
        let key = key.ok_or_else(|| unusable(&"it has no subject key identifier"))?;
        let pin = hex(&Sha256::digest(read.public_key().raw));
        Ok(Self { pin, key, until: Validity::of(&read).until, pem })
    }

    /// Reads all certificates in `text`.
    pub(super) fn read_all(what: &'static str, text: &str) -> Result<Vec<Self>, IdentityError> {
        certificates(text).map(|pem| Self::read(what, &pem)).collect()
    }
}

/// The key that has signed a certificate, as that says.
pub(super) fn issuer_of(certificate: &X509Certificate<'_>) -> Option<KeyId> {
    certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(id) => {
            id.key_identifier.as_ref().map(|id| KeyId(hex(id.0)))
        }
        _ => None,
    })
}

/// The certificates in a text, each as it is written.
pub(super) fn certificates(text: &str) -> impl Iterator<Item = String> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    text.split(BEGIN).skip(1).filter_map(|part| {
        let (inside, _) = part.split_once(END)?;
        Some(format!("{BEGIN}{}{END}\n", inside.replace('\r', "")))
    })
}

/// The first private key in a text, as it is written.
pub(super) fn private_key(text: &str) -> Option<String> {
    let (from, to) = ("-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----");
    let begin = text.find(from)?;
    let end = begin + text[begin..].find(to)? + to.len();
    Some(format!("{}\n", &text[begin..end]))
}

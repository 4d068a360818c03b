//! Trust in a CA that is known by the hash of its public key only, as a token gives it.

use std::sync::Arc;

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        Resumption, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    version::TLS13,
};
use sha2::{Digest, Sha256};
use x509_parser::parse_x509_certificate;

/// TLS 1.3 towards a server whose chain holds a CA with this hash, for the name that was dialled.
pub(super) fn client_tls(pin: &str) -> ClientConfig {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Pinned { pin: pin.to_owned(), provider: Arc::clone(&provider) };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .expect("the provider does TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    config
}

/// Whether one of the certificates in `pem` has the key that `pin` is the hash of.
pub(super) fn is_pinned(pem: &str, pin: &str) -> bool {
    pins(pem).any(|hash| hash == pin)
}

/// The hashes of the keys of all certificates in `pem`.
pub(super) fn pins(pem: &str) -> impl Iterator<Item = String> {
    let all = x509_parser::pem::Pem::iter_from_buffer(pem.as_bytes());
    all.filter_map(|pem| spki_hash(&pem.ok()?.contents))
}

/// SHA-256 of the certificate's SubjectPublicKeyInfo, in hexadecimal.
pub(super) fn spki_hash(der: &[u8]) -> Option<String> {
    let (_, certificate) = parse_x509_certificate(der).ok()?;
    let hash = Sha256::digest(certificate.public_key().raw);
    Some(hash.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[derive(Debug)]
struct Pinned {
    pin: String,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let is_ca = |der: &&CertificateDer<'_>| spki_hash(der).as_deref() == Some(&self.pin);
        let ca = intermediates
            .iter()
            .find(is_ca)
            .ok_or(Error::InvalidCertificate(CertificateError::UnknownIssuer))?;
        // From here on it is the usual check, with this CA as the only root.
        let mut roots = RootCertStore::empty();
        roots.add(ca.clone().into_owned())?;
        let provider = Arc::clone(&self.provider);
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|e| Error::General(e.to_string()))?
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

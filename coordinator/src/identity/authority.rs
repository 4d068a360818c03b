//! The coordinator's own certificate authority: ECDSA P-256, made at the first start.

use std::{io, path::Path, time::Duration};

use dv_types::{HostName, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData,
    SanType, SerialNumber, date_time_ymd,
};
use sha2::{Digest as _, Sha256};

use crate::{chance, files};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const CA_LIFE: Duration = DAY.saturating_mul(3650);
const SERVER_LIFE: Duration = DAY.saturating_mul(90);
const OPERATOR_LIFE: Duration = DAY.saturating_mul(365);
const HOST_LIFE: Duration = DAY.saturating_mul(30);
/// Certificates begin in the past: the clocks of a fleet don't agree, and one that is hours behind keeps its host in contact.
const CLOCK_SKEW: Duration = DAY;

/// Something is wrong with an identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file can't be read or written.
    #[error(transparent)]
    File(#[from] io::Error),
    /// A certificate or key can't be used.
    #[error("{what}: {why}")]
    Unusable {
        /// Which.
        what: &'static str,
        /// Why.
        why: String,
    },
    /// A certificate signing request that is not signed with.
    #[error("the certificate signing request is refused: {0}")]
    Request(String),
}

impl IdentityError {
    pub(crate) fn unusable(what: &'static str, why: impl std::fmt::Display) -> Self {
        Self::Unusable { what, why: why.to_string() }
    }
}

/// A certificate that was issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// The certificate, PEM.
    pub certificate: String,
    /// Its serial, in lower-case hexadecimal.
    pub serial: String,
}

/// The CA.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
    pin: String,
}

impl Authority {
    /// Whether there is one in `directory`.
    pub(crate) fn is_in(directory: &Path) -> bool {
        directory.join("ca.pem").exists()
    }

    /// Takes the CA in `directory`, or makes one there.
    pub fn open(directory: &Path, now: Timestamp) -> Result<Self, IdentityError> {
        files::private_directory(directory)?;
        let (certificate_file, key_file) = (directory.join("ca.pem"), directory.join("ca-key.pem"));
        let unusable = |why: rcgen::Error| IdentityError::unusable("the CA", why);
        if !certificate_file.exists() {
            // The certificate is written last: a key alone is an unfinished first start.
            let (key, certificate) = generate(now)?;
            files::write_durably(&key_file, key.serialize_pem().as_bytes())?;
            files::write_durably(&certificate_file, certificate.as_bytes())?;
        }
        let key = KeyPair::from_pem(&files::read_secret(&key_file)?).map_err(unusable)?;
        Self::of(key, std::fs::read_to_string(&certificate_file)?)
    }

    /// A CA that is kept nowhere.
    pub fn passing(now: Timestamp) -> Result<Self, IdentityError> {
        let (key, certificate) = generate(now)?;
        Self::of(key, certificate)
    }

    fn of(key: KeyPair, certificate: String) -> Result<Self, IdentityError> {
        let pin = hex(&Sha256::digest(key.subject_public_key_info()));
        let issuer = Issuer::from_ca_cert_pem(&certificate, key)
            .map_err(|why| IdentityError::unusable("the CA", why))?;
        Ok(Self { issuer, certificate, pin })
    }

    /// The CA's certificate, PEM.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// SHA-256 of the CA's public key (its SubjectPublicKeyInfo), by which an agent knows it at enrolment.
    #[must_use]
    pub fn pin(&self) -> &str {
        &self.pin
    }

    /// A certificate for the server under `names`, with its key.
    pub fn issue_server(
        &self,
        names: &[String],
        now: Timestamp,
    ) -> Result<(Issued, String), IdentityError> {
        let what = "the server's certificate";
        let san = CertificateParams::new(names)
            .map_err(|why| IdentityError::unusable(what, why))?
            .subject_alt_names;
        let usage = ExtendedKeyUsagePurpose::ServerAuth;
        let params = leaf(names.first().map_or("", String::as_str), san, usage, now, SERVER_LIFE);
        self.issue_with_key(what, params)
    }

    /// A certificate for an operator, with its key.
    pub fn issue_operator(
        &self,
        name: &str,
        now: Timestamp,
    ) -> Result<(Issued, String), IdentityError> {
        let what = "the operator's certificate";
        let san = uri(what, &format!("spiffe://dv/operator/{name}"))?;
        let usage = ExtendedKeyUsagePurpose::ClientAuth;
        self.issue_with_key(what, leaf(name, san, usage, now, OPERATOR_LIFE))
    }

    /// A certificate for a host. Of the request, nothing but the public key is used: not its names, not its
    /// extensions.
    pub fn issue_host(
        &self,
        host: &HostName,
        request: &str,
        now: Timestamp,
    ) -> Result<Issued, IdentityError> {
        let request = CertificateSigningRequestParams::from_pem(request)
            .map_err(|why| IdentityError::Request(why.to_string()))?;
        let algorithms = [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ED25519];
        if !algorithms.contains(&request.public_key.algorithm()) {
            let why = "its key is neither ECDSA P-256 nor Ed25519";
            return Err(IdentityError::Request(why.to_owned()));
        }
        let what = "the host's certificate";
        let san = uri(what, &format!("spiffe://dv/host/{host}"))?;
        let usage = ExtendedKeyUsagePurpose::ClientAuth;
        self.sign(what, leaf(host.as_str(), san, usage, now, HOST_LIFE), &request.public_key)
    }

    fn issue_with_key(
        &self,
        what: &'static str,
        params: CertificateParams,
    ) -> Result<(Issued, String), IdentityError> {
        let key = KeyPair::generate().map_err(|why| IdentityError::unusable(what, why))?;
        Ok((self.sign(what, params, &key)?, key.serialize_pem()))
    }

    fn sign(
        &self,
        what: &'static str,
        params: CertificateParams,
        key: &impl PublicKeyData,
    ) -> Result<Issued, IdentityError> {
        let serial = params.serial_number.as_ref().map(SerialNumber::to_bytes).unwrap_or_default();
        let certificate = params
            .signed_by(key, &self.issuer)
            .map_err(|why| IdentityError::unusable(what, why))?;
        Ok(Issued { certificate: certificate.pem(), serial: hex(&serial) })
    }
}

/// Common to all certificates: a life, a name, and a random serial.
fn base(name: &str, now: Timestamp, life: Duration) -> CertificateParams {
    let mut params = CertificateParams::default();
    let start = date_time_ymd(1970, 1, 1)
        + Duration::from_secs(now.as_second().try_into().unwrap_or_default());
    params.not_before = start - CLOCK_SKEW;
    params.not_after = start + life;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let mut serial = chance::bytes::<16>();
    // Positive, and without a leading zero that an encoder would drop.
    serial[0] = serial[0] & 0x3f | 0x40;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params
}

/// A CA's key, and its certificate as PEM.
fn generate(now: Timestamp) -> Result<(KeyPair, String), IdentityError> {
    let unusable = |why: rcgen::Error| IdentityError::unusable("the CA", why);
    let key = KeyPair::generate().map_err(unusable)?;
    let certificate = ca_params(now).self_signed(&key).map_err(unusable)?;
    Ok((key, certificate.pem()))
}

fn ca_params(now: Timestamp) -> CertificateParams {
    let mut params = base("dv CA", now, CA_LIFE);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn leaf(
    name: &str,
    san: Vec<SanType>,
    usage: ExtendedKeyUsagePurpose,
    now: Timestamp,
    life: Duration,
) -> CertificateParams {
    let mut params = base(name, now, life);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    params.subject_alt_names = san;
    params.use_authority_key_identifier_extension = true;
    params
}

fn uri(what: &'static str, uri: &str) -> Result<Vec<SanType>, IdentityError> {
    let uri = uri.try_into().map_err(|why| IdentityError::unusable(what, why))?;
    Ok(vec![SanType::URI(uri)])
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

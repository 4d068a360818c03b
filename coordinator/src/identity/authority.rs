//! The coordinator's certificate authority: what it issues, and what of it is trusted. Its own is ECDSA P-256, made at the
//! first start.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use arc_swap::ArcSwap;
use dv_types::{HostName, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData,
    SanType, SerialNumber, date_time_ymd,
};
use sha2::{Digest as _, Sha256};

use super::{Lives, anchor::Anchor, anchor::KeyId, succession, validity::skew};
use crate::{chance, files};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const CA_LIFE: Duration = DAY.saturating_mul(3650);

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
    /// One authority can't follow another now.
    #[error("the certificate authority stays as it is: {0}")]
    Succession(String),
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
    /// The certificate, and what chains it to the CA, PEM.
    pub certificate: String,
    /// Its serial, in lower-case hexadecimal.
    pub serial: String,
    /// The key that signed it.
    pub issuer: KeyId,
    /// Until when it is good.
    pub until: Timestamp,
}

/// The CA of a fleet: the one that issues, and former ones that are still trusted.
pub struct Authority {
    /// Where it is kept; nowhere, in simulations.
    pub(super) directory: Option<PathBuf>,
    lives: Lives,
    pub(super) state: ArcSwap<State>,
}

/// What an authority is at one moment.
pub(super) struct State {
    pub(super) issuer: Issuer<'static, KeyPair>,
    /// The certificate of the key that signs.
    pub(super) issuing: Anchor,
    /// What everybody trusts: the certificate that signs, or one above it.
    pub(super) anchor: Anchor,
    /// Between the two.
    pub(super) between: Vec<Anchor>,
    pub(super) former: Former,
}

/// What went before the CA that issues.
#[derive(Debug, Clone, Default)]
pub(super) struct Former {
    /// Still trusted, the latest first.
    pub(super) trusted: Vec<Anchor>,
    /// The certificate that signs, as the one before it has signed it: so those trust it who know only that one.
    pub(super) cross: Option<String>,
    /// The pins of those that are trusted no more.
    pub(super) retired: Vec<String>,
}

impl State {
    /// A CA that is its own anchor.
    pub(super) fn own(key: KeyPair, certificate: &str) -> Result<Self, IdentityError> {
        let anchor = Anchor::read("the CA", certificate)?;
        let issuer = Issuer::from_ca_cert_pem(certificate, key)
            .map_err(|why| IdentityError::unusable("the CA", why))?;
        let (issuing, between, former) = (anchor.clone(), Vec::new(), Former::default());
        Ok(Self { issuer, issuing, anchor, between, former })
    }

    /// All that are trusted, the present one first.
    pub(super) fn trusted(&self) -> impl Iterator<Item = &Anchor> {
        std::iter::once(&self.anchor).chain(&self.former.trusted)
    }

    fn bundle<'a>(&'a self, first: &'a str) -> String {
        let (first, rest): (Vec<_>, Vec<_>) =
            self.trusted().partition(|anchor| anchor.pin == first);
        first.into_iter().chain(rest).map(|anchor| anchor.pem.as_str()).collect()
    }
}

impl Authority {
    /// Whether there is one in `directory`.
    pub(crate) fn is_in(directory: &Path) -> bool {
        directory.join("ca.pem").exists()
    }

    /// Takes the CA in `directory`, or makes one there.
    pub fn open(directory: &Path, now: Timestamp) -> Result<Self, IdentityError> {
        files::private_directory(directory)?;
        if !Self::is_in(directory) && !succession::is_pending(directory) {
            // The certificate is written last: a key alone is an unfinished first start.
            let (key, certificate) = Fresh::generate(now)?.into_parts();
            files::write_durably(&directory.join("ca-key.pem"), key.serialize_pem().as_bytes())?;
            files::write_durably(&directory.join("ca.pem"), certificate.as_bytes())?;
        }
        Ok(Self::of(succession::load(directory)?, Some(directory.to_owned())))
    }

    /// A CA that is kept nowhere.
    pub fn passing(now: Timestamp) -> Result<Self, IdentityError> {
        let (key, certificate) = Fresh::generate(now)?.into_parts();
        Ok(Self::of(State::own(key, &certificate)?, None))
    }

    fn of(state: State, directory: Option<PathBuf>) -> Self {
        Self { directory, lives: Lives::default(), state: ArcSwap::from_pointee(state) }
    }

    /// What it issues from now on lives so long.
    #[must_use]
    pub fn with_lives(self, lives: Lives) -> Self {
        Self { lives, ..self }
    }

    /// How long what it issues lives.
    #[must_use]
    pub fn lives(&self) -> Lives {
        self.lives
    }

    /// The certificates that are trusted, PEM: the one that issues first, then former ones.
    #[must_use]
    pub fn bundle(&self) -> String {
        let state = self.state.load();
        state.bundle(&state.anchor.pin)
    }

    /// The same, with the one of this pin first, if it is among them.
    #[must_use]
    pub fn bundle_from(&self, pin: &str) -> String {
        self.state.load().bundle(pin)
    }

    /// SHA-256 of the CA's public key (its SubjectPublicKeyInfo), by which an agent knows it at enrolment.
    #[must_use]
    pub fn pin(&self) -> String {
        self.state.load().anchor.pin.clone()
    }

    /// The key that signs.
    #[must_use]
    pub fn issuer(&self) -> KeyId {
        self.state.load().issuing.key.clone()
    }

    /// Whether certificates that this key has signed are good.
    #[must_use]
    pub fn knows(&self, issuer: &KeyId) -> bool {
        let state = self.state.load();
        state.issuing.key == *issuer || state.trusted().any(|anchor| anchor.key == *issuer)
    }

    /// A name of all that is trusted now: another one whenever that changes.
    #[must_use]
    pub fn trust(&self) -> String {
        let mut hash = Sha256::new();
        self.state.load().trusted().for_each(|anchor| hash.update(&anchor.pin));
        hex(&hash.finalize()[..8])
    }

    /// Whether there never was another one.
    #[must_use]
    pub fn is_first(&self) -> bool {
        let state = self.state.load();
        state.former.trusted.is_empty() && state.former.retired.is_empty()
    }

    /// The pins of every CA that this fleet has had.
    #[must_use]
    pub fn lineage(&self) -> Vec<String> {
        let state = self.state.load();
        let trusted = state.trusted().map(|anchor| anchor.pin.clone());
        trusted.chain(state.former.retired.iter().cloned()).collect()
    }

    /// Those that are trusted, the one that issues first.
    #[must_use]
    pub fn trusted(&self) -> Vec<Anchor> {
        self.state.load().trusted().cloned().collect()
    }

    /// What the server shows after its own certificate: whoever knows any of the CAs finds a way to it, and an agent
    /// that enrols, and knows no more of the CA than its hash, is shown it.
    pub(super) fn chain(&self) -> String {
        let state = self.state.load();
        let between = state.between.iter().map(|anchor| anchor.pem.as_str());
        let anchor = std::iter::once(state.anchor.pem.as_str());
        let former = state.former.trusted.iter().map(|anchor| anchor.pem.as_str());
        between.chain(anchor).chain(state.former.cross.as_deref()).chain(former).collect()
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
        let params = leaf(
            names.first().map_or("", String::as_str),
            san,
            usage,
            now,
            self.lives.server.get(),
        );
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
        self.issue_with_key(what, leaf(name, san, usage, now, self.lives.operators.get()))
    }

    /// A certificate for an operator that has a key. Of the request, nothing but the public key is used.
    pub fn certify_operator(
        &self,
        name: &str,
        request: &str,
        now: Timestamp,
    ) -> Result<Issued, IdentityError> {
        let what = "the operator's certificate";
        let request = read_request(request)?;
        let san = uri(what, &format!("spiffe://dv/operator/{name}"))?;
        let usage = ExtendedKeyUsagePurpose::ClientAuth;
        let params = leaf(name, san, usage, now, self.lives.operators.get());
        self.sign(what, params, &request.public_key)
    }

    /// A certificate for a host. Of the request, nothing but the public key is used: not its names, not its
    /// extensions.
    pub fn issue_host(
        &self,
        host: &HostName,
        request: &str,
        now: Timestamp,
    ) -> Result<Issued, IdentityError> {
        let request = read_request(request)?;
        let what = "the host's certificate";
        let san = uri(what, &format!("spiffe://dv/host/{host}"))?;
        let usage = ExtendedKeyUsagePurpose::ClientAuth;
        self.sign(
            what,
            leaf(host.as_str(), san, usage, now, self.lives.hosts.get()),
            &request.public_key,
        )
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
        let state = self.state.load();
        let serial = params.serial_number.as_ref().map(SerialNumber::to_bytes).unwrap_or_default();
        let until = Timestamp::from_second(params.not_after.unix_timestamp());
        let until = until.map_err(|why| IdentityError::unusable(what, why))?;
        let certificate = params
            .signed_by(key, &state.issuer)
            .map_err(|why| IdentityError::unusable(what, why))?;
        let mut certificate = certificate.pem();
        let above = state.between.iter().map(|anchor| anchor.pem.as_str());
        let itself = (state.issuing.pin != state.anchor.pin).then_some(state.issuing.pem.as_str());
        certificate.extend(itself.into_iter().chain(above));
        Ok(Issued { certificate, serial: hex(&serial), issuer: state.issuing.key.clone(), until })
    }
}

fn read_request(request: &str) -> Result<CertificateSigningRequestParams, IdentityError> {
    let request = CertificateSigningRequestParams::from_pem(request)
        .map_err(|why| IdentityError::Request(why.to_string()))?;
    let algorithms = [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ED25519];
    if !algorithms.contains(&request.public_key.algorithm()) {
        let why = "its key is neither ECDSA P-256 nor Ed25519";
        return Err(IdentityError::Request(why.to_owned()));
    }
    Ok(request)
}

/// Common to all certificates: a life, a name, and a random serial.
fn base(name: &str, now: Timestamp, life: Duration) -> CertificateParams {
    let mut params = CertificateParams::default();
    let start = date_time_ymd(1970, 1, 1)
        + Duration::from_secs(now.as_second().try_into().unwrap_or_default());
    params.not_before = start - skew(life);
    params.not_after = start + life;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let mut serial = chance::bytes::<16>();
    // Positive, and without a leading zero that an encoder would drop.
    serial[0] = serial[0] & 0x3f | 0x40;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params
}

/// A CA that was just made.
pub(super) struct Fresh {
    key: KeyPair,
    params: CertificateParams,
    certificate: String,
}

impl Fresh {
    pub(super) fn generate(now: Timestamp) -> Result<Self, IdentityError> {
        let unusable = |why: rcgen::Error| IdentityError::unusable("the CA", why);
        let key = KeyPair::generate().map_err(unusable)?;
        // Each has a name of its own, so that nobody takes one for another.
        let name = hex(&Sha256::digest(key.subject_public_key_info())[..4]);
        let mut params = base(&format!("dv CA {name}"), now, CA_LIFE);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).map_err(unusable)?.pem();
        Ok(Self { key, params, certificate })
    }

    /// Its certificate, as a former CA signs it.
    pub(super) fn signed_by(&self, former: &State) -> Result<String, IdentityError> {
        let mut params = self.params.clone();
        params.use_authority_key_identifier_extension = true;
        let signed = params.signed_by(&self.key, &former.issuer);
        Ok(signed.map_err(|why| IdentityError::unusable("the new CA", why))?.pem())
    }

    /// Its key, and its certificate as PEM.
    pub(super) fn into_parts(self) -> (KeyPair, String) {
        (self.key, self.certificate)
    }
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

//! A CA for tests.

use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, PublicKeyData, SanType,
};
use sha2::{Digest, Sha256};

pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    ca: String,
    pin: String,
}

/// How much of a certificate's life is left.
#[derive(Clone, Copy)]
pub enum Life {
    Long,
    /// Two thirds are over.
    RenewalDue,
}

impl Authority {
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let pin = Sha256::digest(key.subject_public_key_info());
        let pin = pin.iter().map(|b| format!("{b:02x}")).collect();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let ca = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), ca, pin }
    }

    pub fn ca(&self) -> &str {
        &self.ca
    }

    pub fn pin(&self) -> &str {
        &self.pin
    }

    /// The server's chain and key. The chain ends with the CA, for those who know only its pin.
    pub fn server(&self) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let leaf = params.signed_by(&key, &self.issuer).unwrap().pem();
        (format!("{leaf}{}", self.ca), key.serialize_pem())
    }

    pub fn host(&self, name: &str, life: Life) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        (self.sign(name, &key, life), key.serialize_pem())
    }

    pub fn sign_request(&self, name: &str, csr: &str) -> String {
        let request = CertificateSigningRequestParams::from_pem(csr).unwrap();
        self.sign(name, &request.public_key, Life::Long)
    }

    fn sign(&self, name: &str, key: &impl PublicKeyData, life: Life) -> String {
        let hour = Duration::from_secs(3600);
        let now = SystemTime::now();
        let mut params = CertificateParams::default();
        let uri = format!("spiffe://dv/host/{name}").try_into().unwrap();
        params.subject_alt_names = vec![SanType::URI(uri)];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let (since, left) = match life {
            Life::Long => (hour, 100 * hour),
            Life::RenewalDue => (9 * hour, hour),
        };
        params.not_before = (now - since).into();
        params.not_after = (now + left).into();
        params.signed_by(key, &self.issuer).unwrap().pem()
    }
}

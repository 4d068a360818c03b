//! A key, and the request that shows that the host has it.

use rcgen::{CertificateParams, DnType, KeyPair};

/// A fresh key, PEM.
pub(super) fn key() -> Result<String, String> {
    KeyPair::generate().map(|key| key.serialize_pem()).map_err(|e| e.to_string())
}

/// A request for `host` with this key, PEM. Only its public key will be used.
pub(super) fn request(key: &str, host: &str) -> Result<String, String> {
    let key = KeyPair::from_pem(key).map_err(|e| e.to_string())?;
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, host);
    let request = params.serialize_request(&key).map_err(|e| e.to_string())?;
    request.pem().map_err(|e| e.to_string())
}

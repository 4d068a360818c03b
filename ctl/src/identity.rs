//! An operator's key, and the request that shows that the operator has it.

use rcgen::{CertificateParams, KeyPair};

use crate::{
    Exit,
    error::{Error, Result},
};

/// A fresh key, PEM.
pub(crate) fn key() -> Result<String> {
    KeyPair::generate().map(|key| key.serialize_pem()).map_err(|why| failed(&why))
}

/// A request with this key, PEM. Nothing but its public key is used.
pub(crate) fn request(key: &str) -> Result<String> {
    let key = KeyPair::from_pem(key).map_err(|why| failed(&why))?;
    let request = CertificateParams::default().serialize_request(&key);
    request.and_then(|request| request.pem()).map_err(|why| failed(&why))
}

fn failed(why: &rcgen::Error) -> Error {
    Error::new(Exit::Unexpected, format!("a key can't be used: {why}"))
}

//! The context file with which an operator reaches the coordinator.

use std::{
    io,
    path::{Path, PathBuf},
};

use dv_proto::Addresses;
use dv_types::Timestamp;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use serde::{Deserialize, Serialize};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{Authority, IdentityError, validity::Validity};
use crate::files;

#[derive(Serialize, Deserialize)]
struct Context {
    coordinator: Addresses,
    name: String,
    ca: String,
    certificate: String,
    key: String,
}

/// Makes the context file for operator `name` at `path`, for a coordinator at `address`. Nothing happens if it
/// is there already.
pub fn context_file(
    authority: &Authority,
    path: PathBuf,
    name: &str,
    address: &str,
    now: Timestamp,
) -> Result<PathBuf, IdentityError> {
    if path.exists() {
        return Ok(path);
    }
    if let Some(directory) = path.parent() {
        files::private_directory(directory)?;
    }
    let (issued, key) = authority.issue_operator(name, now)?;
    let context = Context {
        coordinator: address.into(),
        name: name.to_owned(),
        ca: authority.bundle(),
        certificate: issued.certificate,
        key,
    };
    write(&path, &context)?;
    Ok(path)
}

/// Puts a new certificate into the context file at `path` when less than a third of the old one's life is left, or the
/// authority has changed. Whether it did. What else the file says stays; a file that was taken away is not made again.
pub fn renew_context(
    authority: &Authority,
    path: &Path,
    now: Timestamp,
) -> Result<bool, IdentityError> {
    if !path.exists() {
        return Ok(false);
    }
    let what = "the operator's context file";
    let unusable = |why: &dyn std::fmt::Display| {
        IdentityError::unusable(what, format!("{}: {why}", path.display()))
    };
    let text = files::read_secret(path)?;
    let mut context: Context = serde_saphyr::from_str(&text).map_err(|why| unusable(&why))?;
    let der = CertificateDer::from_pem_slice(context.certificate.as_bytes())
        .map_err(|why| unusable(&why))?;
    let (_, certificate) = X509Certificate::from_der(&der).map_err(|why| unusable(&why))?;
    let validity = Validity::of(&certificate);
    // The CAs that it trusts must be those that there are.
    if !validity.is_late(now) && context.ca == authority.bundle() {
        return Ok(false);
    }
    let (issued, key) = authority.issue_operator(&context.name, now)?;
    tracing::info!(
        operator = context.name, serial = issued.serial, file = %path.display(),
        "renewed the operator's certificate: copies of the context file are good until {}", validity.until,
    );
    (context.certificate, context.key) = (issued.certificate, key);
    context.ca = authority.bundle();
    write(path, &context)?;
    Ok(true)
}

fn write(path: &Path, context: &Context) -> Result<(), IdentityError> {
    let text = serde_saphyr::to_string(context).map_err(io::Error::other)?;
    Ok(files::write_durably(path, text.as_bytes())?)
}

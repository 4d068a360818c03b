//! What every connection that the coordinator makes itself has in common: whom it trusts, and how its errors read.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

/// An error with its causes; the first often says only that something went wrong.
pub(crate) fn chain(why: &dyn std::error::Error) -> String {
    let mut text = why.to_string();
    let mut next = why.source();
    while let Some(why) = next {
        text = format!("{text}: {why}");
        next = why.source();
    }
    text
}

/// Trusts the authorities of `ca_file`; without one, those of the system.
pub(crate) fn tls(ca_file: Option<&Path>) -> Result<ClientConfig, String> {
    tls_as(ca_file, None)
}

/// The same, and shows a certificate by its key, where their files are given.
pub(crate) fn tls_as(
    ca_file: Option<&Path>,
    identity: Option<(&Path, &Path)>,
) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(path) => {
            let named = |why: &dyn std::fmt::Display| format!("ca_file {}: {why}", path.display());
            for certificate in CertificateDer::pem_file_iter(path).map_err(|why| named(&why))? {
                let certificate = certificate.map_err(|why| named(&why))?;
                roots.add(certificate).map_err(|why| named(&why))?;
            }
            if roots.is_empty() {
                return Err(named(&"there is no certificate in it"));
            }
        }
        // An address in clear text needs none; with none, every other is refused by name.
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|why| why.to_string())?
        .with_root_certificates(roots);
    let Some((cert_file, key_file)) = identity else { return Ok(builder.with_no_client_auth()) };
    let named = |path: &Path, why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(cert_file).map_err(|why| named(cert_file, &why))?.collect();
    let chain = chain.map_err(|why| named(cert_file, &why))?;
    let key = PrivateKeyDer::from_pem_file(key_file).map_err(|why| named(key_file, &why))?;
    builder.with_client_auth_cert(chain, key).map_err(|why| named(cert_file, &why))
}

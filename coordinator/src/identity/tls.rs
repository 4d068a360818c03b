//! The server's side of TLS: 1.3 only, no resumption, a client's certificate verified where one is shown.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;
use dv_types::Timestamp;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{NoServerSessionStorage, WebPkiClientVerifier},
    version::TLS13,
};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::{Authority, IdentityError, anchor::issuer_of, validity::Validity};
use crate::{files, ports::Clock};

/// The server's certificate, renewed in time. Each connection takes the newest.
pub(crate) struct ServerTls {
    directory: PathBuf,
    names: Vec<String>,
    authority: Arc<Authority>,
    clock: Arc<dyn Clock>,
    served: ArcSwap<Served>,
}

/// What connections take, and the authority as it was then.
struct Served {
    config: Arc<ServerConfig>,
    trust: String,
}

impl ServerTls {
    pub(crate) fn open(
        directory: &Path,
        names: Vec<String>,
        authority: Arc<Authority>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, IdentityError> {
        let served = serve(directory, &names, &authority, clock.now())?;
        let served = ArcSwap::from_pointee(served);
        Ok(Self { directory: directory.to_owned(), names, authority, clock, served })
    }

    /// For a connection that begins now.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        if self.served.load().trust != self.authority.trust()
            && let Err(why) = self.refresh()
        {
            tracing::error!(%why, "the new certificate authority is not served yet");
        }
        Arc::clone(&self.served.load().config)
    }

    /// Renews the certificate if it is time.
    pub(crate) fn refresh(&self) -> Result<(), IdentityError> {
        let served = serve(&self.directory, &self.names, &self.authority, self.clock.now())?;
        self.served.store(Arc::new(served));
        Ok(())
    }
}

fn serve(
    directory: &Path,
    names: &[String],
    authority: &Authority,
    now: Timestamp,
) -> Result<Served, IdentityError> {
    let trust = authority.trust();
    let pair = current(directory, names, authority, now)?;
    Ok(Served { config: Arc::new(server_config(&pair, authority)?), trust })
}

struct Pair {
    certificate: String,
    key: String,
}

/// The pair on disk, or a new one if that does not serve any more.
fn current(
    directory: &Path,
    names: &[String],
    authority: &Authority,
    now: Timestamp,
) -> Result<Pair, IdentityError> {
    // One file, so that certificate and key are never of two generations.
    let file = directory.join("server.pem");
    if file.exists() {
        let text = files::read_secret(&file)?;
        if serves(&text, names, authority, now) {
            return Ok(Pair { certificate: text.clone(), key: text });
        }
    }
    let (issued, key) = authority.issue_server(names, now)?;
    let text = format!("{}{key}", issued.certificate);
    files::write_durably(&file, text.as_bytes())?;
    tracing::info!(names = names.join(" "), serial = issued.serial, "made a server certificate");
    Ok(Pair { certificate: text.clone(), key: text })
}

fn serves(pem: &str, names: &[String], authority: &Authority, now: Timestamp) -> bool {
    let Ok(der) = CertificateDer::from_pem_slice(pem.as_bytes()) else { return false };
    let Ok((_, certificate)) = X509Certificate::from_der(&der) else { return false };
    let issuer = issuer_of(&certificate);
    if Validity::of(&certificate).is_late(now) || issuer != Some(authority.issuer()) {
        return false;
    }
    let Ok(Some(carried)) = certificate.subject_alternative_name() else { return false };
    names.iter().all(|name| {
        carried.value.general_names.iter().any(|carried| match carried {
            GeneralName::DNSName(dns) => dns == name,
            GeneralName::IPAddress(ip) => name.parse().is_ok_and(|name| match name {
                std::net::IpAddr::V4(v4) => v4.octets() == **ip,
                std::net::IpAddr::V6(v6) => v6.octets() == **ip,
            }),
            _ => false,
        })
    })
}

fn server_config(pair: &Pair, authority: &Authority) -> Result<ServerConfig, IdentityError> {
    let unusable =
        |why: &dyn std::fmt::Display| IdentityError::unusable("the server's certificate", why);
    let chain = [pair.certificate.as_bytes(), authority.chain().as_bytes()].concat();
    let chain = CertificateDer::pem_slice_iter(&chain)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|why| unusable(&why))?;
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).map_err(|why| unusable(&why))?;
    let mut roots = RootCertStore::empty();
    for ca in CertificateDer::pem_slice_iter(authority.bundle().as_bytes()) {
        roots.add(ca.map_err(|why| unusable(&why))?).map_err(|why| unusable(&why))?;
    }

    let provider = Arc::new(aws_lc_rs::default_provider());
    // Who shows none may enrol, and nothing else: each call looks for itself.
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .allow_unauthenticated()
            .build()
            .map_err(|why| unusable(&why))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(|why| unusable(&why))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(|why| unusable(&why))?;
    // A resumed session would hide a renewed certificate and pass by a revocation.
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

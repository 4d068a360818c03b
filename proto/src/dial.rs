//! How a program of ours reaches the coordinator: gRPC over TLS 1.3, with a certificate where it has one.

use std::{sync::Arc, time::Duration};

use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    client::Resumption,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    version::TLS13,
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;

use crate::Addresses;

/// Why the coordinator can't be dialled. Refused connections come later, from the channel itself.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The address is not `host:port`.
    #[error("{0:?} is not an address: write host:port, like coordinator.example.com:7443")]
    Address(String),
    /// A PEM text can't be read.
    #[error("the {what} can't be read: {why}")]
    Pem {
        /// Which.
        what: &'static str,
        /// Why.
        why: String,
    },
    /// The certificate and the key can't be used.
    #[error("the certificate and its key can't be used: {0}")]
    Identity(String),
}

/// A certificate chain and its key, PEM.
#[derive(Clone, Copy)]
pub struct Identity<'a> {
    /// The certificate, and what chains it to the CA.
    pub certificate: &'a str,
    /// The key.
    pub key: &'a str,
}

/// TLS 1.3 towards servers of `ca`, showing `identity` where asked. No session is ever resumed: resumption
/// would hide a renewed certificate and pass by a revocation.
pub fn client_tls(ca: &str, identity: Option<Identity<'_>>) -> Result<ClientConfig, DialError> {
    let unreadable =
        |what, why: &dyn std::fmt::Display| DialError::Pem { what, why: why.to_string() };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca.as_bytes()) {
        let certificate = certificate.map_err(|e| unreadable("CA certificate", &e))?;
        roots.add(certificate).map_err(|e| unreadable("CA certificate", &e))?;
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .expect("the provider does TLS 1.3")
        .with_root_certificates(roots);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let chain = CertificateDer::pem_slice_iter(identity.certificate.as_bytes())
                .collect::<Result<Vec<_>, _>>()
                .map_err(|e| unreadable("certificate", &e))?;
            let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes())
                .map_err(|e| unreadable("key", &e))?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|e| DialError::Identity(e.to_string()))?
        }
    };
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// How soon it is noticed that a coordinator does not answer.
struct Patience {
    connect: Duration,
    interval: Duration,
    answer: Duration,
}

/// Where there is nobody else to ask.
const ALONE: Patience = Patience {
    connect: Duration::from_secs(10),
    interval: Duration::from_secs(15),
    answer: Duration::from_secs(10),
};

/// Where another one may lead by now.
const ONE_OF_SEVERAL: Patience = Patience {
    connect: Duration::from_secs(5),
    interval: Duration::from_secs(5),
    answer: Duration::from_secs(5),
};

/// A channel to the coordinator at `host:port`. It connects at the first call, and again when it was cut.
pub fn channel(address: &str, tls: ClientConfig) -> Result<Channel, DialError> {
    connect(address, tls, &ALONE)
}

/// A channel to one of several coordinators.
pub fn one_of(all: &Addresses, address: &str, tls: ClientConfig) -> Result<Channel, DialError> {
    connect(address, tls, if all.are_several() { &ONE_OF_SEVERAL } else { &ALONE })
}

fn connect(address: &str, tls: ClientConfig, patience: &Patience) -> Result<Channel, DialError> {
    let invalid = || DialError::Address(address.to_owned());
    let (host, port) = address.rsplit_once(':').ok_or_else(invalid)?;
    port.parse::<u16>().map_err(|_| invalid())?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(host).map_err(|_| invalid())?;
    let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(|_| invalid())?;

    let mut tls = tls;
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let tls = TlsConnector::from(Arc::new(tls));
    let address: Arc<str> = address.into();
    let connector = service_fn(move |_: http::Uri| {
        let (tls, name, address) = (tls.clone(), name.clone(), Arc::clone(&address));
        async move {
            let tcp = TcpStream::connect(&*address).await?;
            tcp.set_nodelay(true)?;
            tls.connect(name, tcp).await.map(TokioIo::new)
        }
    });
    Ok(endpoint
        .connect_timeout(patience.connect)
        .http2_keep_alive_interval(patience.interval)
        .keep_alive_timeout(patience.answer)
        .keep_alive_while_idle(true)
        .connect_with_connector_lazy(connector))
}

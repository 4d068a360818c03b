//! A CA, a coordinator's certificate and an operator's.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
    version::TLS13,
};

/// Who trusts whom.
pub(crate) struct Trust {
    ca: CertifiedIssuer<'static, KeyPair>,
    /// The name in the coordinator's certificate.
    pub(crate) server_name: &'static str,
    /// Whether the operator's certificate has expired.
    pub(crate) operator_expired: bool,
}

impl Trust {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "test CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self { ca, server_name: "127.0.0.1", operator_expired: false }
    }

    pub(crate) fn server(&self) -> ServerConfig {
        let mut params = CertificateParams::new([self.server_name.to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.ca).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(self.ca.der().clone()).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .unwrap();
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(
                vec![CertificateDer::from_pem_slice(certificate.pem().as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap(),
            )
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        config
    }

    /// A certificate for the key of a request, and the CA.
    pub(crate) fn certify(&self, request: &str) -> (String, String) {
        let request = CertificateSigningRequestParams::from_pem(request).unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "certified");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&request.public_key, &self.ca).unwrap();
        (certificate.pem(), self.ca.pem())
    }

    /// An operator's context file.
    pub(crate) fn context(&self, address: &str) -> String {
        self.context_trusting(self, address)
    }

    /// A context file of this CA's operator that takes `other` for the coordinator's CA.
    pub(crate) fn context_trusting(&self, other: &Self, address: &str) -> String {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "admin");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        if self.operator_expired {
            params.not_before = rcgen::date_time_ymd(2020, 1, 1);
            params.not_after = rcgen::date_time_ymd(2020, 1, 2);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.ca).unwrap();
        let block = |pem: &str| pem.lines().map(|l| format!("  {l}\n")).collect::<String>();
        format!(
            "coordinator: {address}\nname: admin\nca: |\n{}certificate: |\n{}key: |\n{}",
            block(&other.ca.pem()),
            block(&certificate.pem()),
            block(&key.serialize_pem())
        )
    }
}

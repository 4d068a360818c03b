//! Certificates for a whole fleet: each host enrols with a token of its own, many at a time.

use dv_proto::v1::{
    CreateTokenRequest, EnrolRequest, control_client::ControlClient,
    enrolment_client::EnrolmentClient,
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use rcgen::{CertificateParams, KeyPair};

use crate::{Result, coordinator::Context};

/// Hosts that enrol at a time.
const AT_ONCE: usize = 64;

/// A host with its certificate.
#[derive(Debug, Clone)]
pub struct Enrolled {
    /// Its name.
    pub name: String,
    /// Its certificate, PEM.
    pub certificate: String,
    /// The key to it, PEM.
    pub key: String,
}

/// Enrols `count` hosts with label `role: web`; a tenth of them, evenly, has `part: tenth` besides.
pub async fn enrol(context: &Context, count: usize) -> Result<Vec<Enrolled>> {
    let operator = ControlClient::new(context.operator()?);
    let office = EnrolmentClient::new(context.stranger()?);
    stream::iter(0..count)
        .map(|number| {
            let (mut operator, mut office) = (operator.clone(), office.clone());
            async move {
                let name = format!("host{number:05}");
                let mut labels = vec![("role".to_owned(), "web".to_owned())];
                if number % 10 == 0 {
                    labels.push(("part".to_owned(), "tenth".to_owned()));
                }
                let labels = labels.into_iter().collect();
                let ttl_seconds = 3600;
                let request = CreateTokenRequest { host: name.clone(), labels, ttl_seconds };
                let token = operator.create_token(request).await?.into_inner().token;
                let key = KeyPair::generate()?;
                let csr_pem = CertificateParams::default().serialize_request(&key)?.pem()?;
                let request = EnrolRequest { token, csr_pem, host: name.clone() };
                let certificate = office.enrol(request).await?.into_inner().certificate_pem;
                Ok(Enrolled { name, certificate, key: key.serialize_pem() })
            }
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await
}

//! A new certificate for the same name and the same key, long before the old one expires.

use std::{path::Path, time::Duration};

use dv_proto::v1::{RenewRequest, agent_link_client::AgentLinkClient};
use tonic::transport::Channel;

use super::{Identity, csr, written};

const LIMIT: Duration = Duration::from_secs(30);

/// Asks for a new certificate and writes it down. It counts from the next connection on.
pub(crate) async fn renew(
    channel: Channel,
    directory: &Path,
    identity: &Identity,
) -> Result<(), String> {
    let host = identity.written()?.host;
    let csr_pem = csr::request(&identity.key, &host)?;
    let mut client = AgentLinkClient::new(channel);
    let reply = tokio::time::timeout(LIMIT, client.renew(RenewRequest { csr_pem }))
        .await
        .map_err(|_| format!("no answer within {LIMIT:?}"))?
        .map_err(|status| status.message().to_owned())?
        .into_inner();
    let granted = written(&reply.certificate_pem)?;
    if granted.host != host {
        return Err(format!("it is for {}, not for {host}", granted.host));
    }
    let renewed = Identity {
        key: identity.key.clone(),
        certificate: reply.certificate_pem,
        ca: reply.ca_pem,
    };
    // Tried before it is kept: a certificate that can't be used would cut this host off.
    let shown = dv_proto::dial::Identity { certificate: &renewed.certificate, key: &renewed.key };
    dv_proto::dial::client_tls(&renewed.ca, Some(shown)).map_err(|e| e.to_string())?;
    renewed.save_certificate(directory).map_err(|e| e.to_string())
}

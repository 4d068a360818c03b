//! `dvctl hosts`, `dvctl hosts revoke`

use dv_proto::v1;
use dv_types::{HostName, Timestamp};
use serde_json::{Value, json};

use crate::{Exit, client::Client, display, error::Result, output::Output};

/// Lists the fleet.
pub(crate) async fn run(client: &Client, output: &Output) -> Result<Exit> {
    let hosts = client.hosts().await?;
    if output.json() {
        output.document(&hosts.iter().map(document).collect::<Vec<_>>())?;
    } else {
        output.lines(&display::hosts::hosts(&hosts, Timestamp::now()))?;
    }
    Ok(Exit::Succeeded)
}

/// Lets a host in no more.
pub(crate) async fn revoke(
    host: &HostName,
    reason: &str,
    client: &Client,
    output: &Output,
) -> Result<Exit> {
    let was_connected = client.revoke_host(host, reason).await?;
    if output.json() {
        output
            .document(&json!({ "host": host, "revoked": true, "was_connected": was_connected }))?;
        return Ok(Exit::Succeeded);
    }
    let cut = if was_connected { "its connection is cut, and it" } else { "it" };
    output.remark(&format!(
        "{host} is revoked: {cut} is let in no more. What runs on it runs on. A new token lets it in again: dvctl agent token {host}"
    ));
    Ok(Exit::Succeeded)
}

pub(super) fn revocation(revoked: &v1::Revocation) -> Value {
    json!({ "by": revoked.by, "at": revoked.at, "reason": revoked.reason })
}

fn document(host: &v1::Host) -> Value {
    let service = |s: &v1::HostService| json!({ "service": s.service, "version": s.version, "rollout": s.rollout });
    json!({
        "name": host.name,
        "labels": host.labels.iter().collect::<std::collections::BTreeMap<_, _>>(),
        "connected": host.connected,
        "since": (!host.since.is_empty()).then_some(&host.since),
        "agent_version": host.agent_version,
        "certificate_until": (!host.certificate_until.is_empty()).then_some(&host.certificate_until),
        "revoked": host.revoked.as_ref().map(revocation),
        "services": host.services.iter().map(service).collect::<Vec<_>>(),
    })
}

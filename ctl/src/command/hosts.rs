//! `dvctl hosts`

use dv_proto::v1;
use dv_types::Timestamp;
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

fn document(host: &v1::Host) -> Value {
    let service = |s: &v1::HostService| json!({ "service": s.service, "version": s.version, "rollout": s.rollout });
    json!({
        "name": host.name,
        "labels": host.labels.iter().collect::<std::collections::BTreeMap<_, _>>(),
        "connected": host.connected,
        "since": (!host.since.is_empty()).then_some(&host.since),
        "agent_version": host.agent_version,
        "services": host.services.iter().map(service).collect::<Vec<_>>(),
    })
}

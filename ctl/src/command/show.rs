//! `dvctl rollout status` and `dvctl rollout explain`

use dv_types::{RolloutId, Timestamp, WaitingOn, report::HostReport};
use serde_json::{Value, json};

use crate::{Exit, client::Client, display, error::Result, output::Output};

/// Shows where a rollout stands.
pub(crate) async fn status(client: &Client, id: RolloutId, output: &Output) -> Result<Exit> {
    let (report, plan) = client.rollout(id).await?;
    if output.json() {
        output.document(&report)?;
    } else {
        output.lines(&display::status::status(&report, &plan, Timestamp::now()))?;
    }
    Ok(Exit::Succeeded)
}

/// Says why nothing is happening.
pub(crate) async fn explain(client: &Client, id: RolloutId, output: &Output) -> Result<Exit> {
    let (report, _) = client.rollout(id).await?;
    let now = Timestamp::now();
    if !output.json() {
        output.lines(&display::explain::explain(&report, now))?;
        return Ok(Exit::Succeeded);
    }
    let one = |waiting: &WaitingOn| json!({ "on": waiting, "text": display::explain::sentence(waiting, &report, now) });
    let host = |host: &HostReport| {
        let waiting = host.waiting.as_ref()?;
        Some(json!({ "host": host.name, "phase": host.phase, "waiting": one(waiting) }))
    };
    output.document(&json!({
        "rollout": id,
        "state": report.state,
        "waiting": report.waiting.iter().map(one).collect::<Vec<Value>>(),
        "hosts": report.hosts.iter().filter_map(host).collect::<Vec<Value>>(),
    }))?;
    Ok(Exit::Succeeded)
}

//! `dvctl rollout start`

use dv_types::RolloutId;
use serde_json::json;

use super::validate;
use crate::{
    Exit, args,
    client::{self, Client},
    error::Result,
    follow::Follower,
    output::Output,
};

/// What was asked for.
pub(crate) struct Start {
    pub(crate) release: args::Release,
    pub(crate) detach: bool,
    pub(crate) force: bool,
    pub(crate) reason: Option<String>,
    pub(crate) plan: Option<String>,
    pub(crate) overrides: Vec<String>,
    pub(crate) follow: args::Follow,
}

/// Starts a rollout, and follows it.
pub(crate) async fn run(
    start: Start,
    client: impl Fn() -> Result<Client>,
    output: &Output,
) -> Result<Exit> {
    let manifest = validate::load(&start.release.manifest, output)?;
    let client = client()?;
    let request = client::Start {
        manifest: &manifest,
        version: &start.release.version,
        force: start.force,
        reason: start.reason.as_deref(),
        plan: start.plan.as_deref(),
        overrides: &start.overrides,
    };
    let id = client.start(request).await?;
    if start.detach {
        return detached(id, output);
    }
    let patience = start.follow.reconnect_timeout;
    Follower { client: &client, output, patience, begun: true }.follow(id).await
}

/// Names a rollout that was started and is not followed.
pub(crate) fn detached(id: RolloutId, output: &Output) -> Result<Exit> {
    if output.json() {
        output.document(&json!({ "rollout": id }))?;
    } else {
        output.text(&format!("{id}\n"))?;
        output.remark(&format!("Follow it: dvctl rollout watch {id}"));
    }
    Ok(Exit::Succeeded)
}

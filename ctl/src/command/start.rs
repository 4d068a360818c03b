//! `dvctl rollout start`

use std::{collections::BTreeSet, fmt::Display};

use dv_proto::{to_json, v1};
use dv_types::Release;
use serde::Serialize;
use serde_json::json;

use super::validate::{self, Loaded};
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
    let loaded = validate::load(&start.release.manifest, &start.release.version, output)?;
    let client = client()?;
    let manifest = match loaded {
        Loaded::Manifest(manifest) => manifest,
        Loaded::Release(release) => return self::release(&release, &start, &client, output).await,
    };
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
        return detached("rollout", id, output);
    }
    let patience = start.follow.reconnect_timeout;
    Follower { client: &client, output, patience, begun: true }.follow(id).await
}

/// Starts a release, and follows it.
async fn release(
    release: &Release,
    start: &Start,
    client: &Client,
    output: &Output,
) -> Result<Exit> {
    let id = client
        .start_release(v1::StartReleaseRequest {
            release_json: to_json(release),
            force: start.force,
            reason: start.reason.clone().unwrap_or_default(),
            plan_hash: start.plan.clone().unwrap_or_default(),
            overrides: start.overrides.clone(),
        })
        .await?;
    if start.detach {
        return detached("release", id, output);
    }
    let patience = start.follow.reconnect_timeout;
    let follower = Follower { client, output, patience, begun: true };
    follower.follow_release(id, BTreeSet::new()).await
}

/// Names a rollout or release that was started and is not followed.
pub(crate) fn detached(what: &str, id: impl Display + Serialize, output: &Output) -> Result<Exit> {
    if output.json() {
        output.document(&json!({ what: id }))?;
    } else {
        output.text(&format!("{id}\n"))?;
        output.remark(&format!("Follow it: dvctl rollout watch {id}"));
    }
    Ok(Exit::Succeeded)
}

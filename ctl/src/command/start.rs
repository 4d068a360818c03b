//! `dvctl rollout start`

use std::{collections::BTreeSet, fmt::Display};

use dv_proto::{to_json, v1};
use dv_rollout::planning;
use dv_types::{Manifest, Release, warrant::SignedWarrant};
use serde::Serialize;
use serde_json::json;

use super::{
    sign,
    validate::{self, Loaded},
};
use crate::{
    Exit, args,
    client::{self, Client},
    display,
    error::{Error, Result},
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
    pub(crate) signing: args::Signing,
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
    let version = &start.release.version;
    let signed = signed(&manifest, &start, &client, output).await?;
    let agreed = signed.as_ref().map(|(hash, _)| hash.as_str());
    let request = client::Start {
        manifest: &manifest,
        version,
        force: start.force,
        reason: start.reason.as_deref(),
        plan: agreed.or(start.plan.as_deref()),
        overrides: &start.overrides,
        signed: signed.as_ref().map(|(_, signed)| signed),
    };
    let id = client.start(request).await?;
    if start.detach {
        return detached("rollout", id, output);
    }
    let patience = start.follow.reconnect_timeout;
    Follower { client: &client, output, patience, begun: true }.follow(id).await
}

/// The plan's hash, and what was signed of it; nothing where no key is given.
async fn signed(
    manifest: &Manifest,
    start: &Start,
    client: &Client,
    output: &Output,
) -> Result<Option<(String, SignedWarrant)>> {
    let Some(key) = &start.signing.sign_key else { return Ok(None) };
    let version = &start.release.version;
    let (plan, _) = client.plan(manifest, version).await?;
    let errors = plan.errors().count();
    if errors > 0 {
        return Err(Error::refused(format!(
            "the plan has {}, so there is nothing to sign: see dvctl plan",
            display::words::count(errors, "error")
        )));
    }
    // What the coordinator says of it does not count here.
    let hash = plan.hash();
    if start.plan.as_ref().is_some_and(|agreed| *agreed != hash) {
        return Err(Error::refused(format!(
            "the plan has another hash now, {hash}: the fleet or the version has changed since; look at it with dvctl plan"
        )));
    }
    planning::agrees(&plan, manifest, version).map_err(|why| {
        Error::refused(format!(
            "the coordinator's plan is not what the manifest says, and is not signed: {why}"
        ))
    })?;
    let signed = sign::sign(&plan, key, start.signing.valid_for, output)?;
    Ok(Some((hash, signed)))
}

/// Starts a release, and follows it.
async fn release(
    release: &Release,
    start: &Start,
    client: &Client,
    output: &Output,
) -> Result<Exit> {
    if start.signing.sign_key.is_some() && release.members.iter().any(|m| m.manifest.signed) {
        return Err(Error::usage(
            "a release's plans are not known before their turn, so they can't be signed: start its services one by one",
        ));
    }
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

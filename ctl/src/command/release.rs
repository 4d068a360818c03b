//! What is asked of, and said to, a release as a whole.

use std::collections::BTreeSet;

use dv_proto::v1;
use dv_types::{ReleaseId, Timestamp};
use serde_json::json;

use super::start::detached;
use crate::{
    Exit,
    args::Rollback,
    client::Client,
    display,
    error::{Error, Result},
    follow::Follower,
    output::Output,
};

/// Shows where a release and its members stand.
pub(crate) async fn status(client: &Client, id: ReleaseId, output: &Output) -> Result<Exit> {
    let report = client.release(id).await?;
    if output.json() {
        output.document(&report)?;
    } else {
        output.lines(&display::release::status(&report, Timestamp::now()))?;
    }
    Ok(Exit::Succeeded)
}

/// Says what each member of a release waits on.
pub(crate) async fn explain(client: &Client, id: ReleaseId, output: &Output) -> Result<Exit> {
    let report = client.release(id).await?;
    if output.json() {
        let waiting = display::release::waiting(&report);
        output.document(&json!({ "release": id, "waiting": waiting }))?;
    } else {
        output.lines(&display::release::explain(&report))?;
    }
    Ok(Exit::Succeeded)
}

/// Ends a release where it is.
pub(crate) async fn abort(
    client: &Client,
    id: ReleaseId,
    reason: Option<String>,
    output: &Output,
) -> Result<Exit> {
    client.abort_release(id, reason.as_deref()).await?;
    if output.json() {
        output.document(&json!({ "release": id, "verb": "abort" }))?;
    } else {
        output.text(&format!("{id} ends here; every host stays as it is\n"))?;
        output.remark(&format!("Take what was begun back: dvctl rollback {id}"));
    }
    Ok(Exit::Succeeded)
}

/// Takes every member back, and follows that.
pub(crate) async fn roll_back(
    id: ReleaseId,
    asked: Rollback,
    client: &Client,
    output: &Output,
) -> Result<Exit> {
    let alone = match (asked.plan, asked.restore_backup) {
        (true, _) => Some("--plan shows the way back of one rollout"),
        (_, true) => Some("--restore-backup is for one rollout, because it loses data"),
        _ => None,
    };
    if let Some(why) = alone {
        return Err(Error::usage(format!(
            "{why}, and {id} is a release: name one of its rollouts (see dvctl rollout status {id})"
        )));
    }
    let before = client.release(id).await?;
    let known: BTreeSet<_> =
        before.members.iter().flat_map(|m| [m.rollout, m.back]).flatten().collect();
    client
        .roll_back_release(v1::RollBackReleaseRequest {
            release: id.to_string(),
            all_at_once: asked.all_at_once,
            reason: asked.reason.unwrap_or_default(),
            code_only: asked.code_only,
            accept_data_loss: asked.accept_data_loss,
        })
        .await?;
    output.remark(&format!("{id} is taken back, its last member first"));
    if asked.detach {
        return detached("release", id, output);
    }
    let patience = asked.follow.reconnect_timeout;
    let follower = Follower { client, output, patience, begun: true };
    match follower.follow_release(id, known).await? {
        // That is what was asked for.
        Exit::RolledBack => Ok(Exit::Succeeded),
        exit => Ok(exit),
    }
}

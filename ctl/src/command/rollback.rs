//! `dvctl rollback`

use dv_types::{RolloutId, ServiceName};

use super::{start::detached, which};
use crate::{
    Exit, args,
    client::{Back, Client},
    error::{Error, Result},
    follow::Follower,
    output::Output,
};

/// What was asked for.
pub(crate) struct Rollback {
    pub(crate) what: Option<String>,
    pub(crate) all_at_once: bool,
    pub(crate) reason: Option<String>,
    pub(crate) follow: args::Follow,
    pub(crate) detach: bool,
}

/// Starts a rollback, and follows it.
pub(crate) async fn run(back: Rollback, client: &Client, output: &Output) -> Result<Exit> {
    let (rollout, service) = match back.what.as_deref() {
        None => (None, Some(which::only_service(client).await?)),
        Some(what) => target(what)?,
    };
    let request = Back {
        rollout,
        service: service.as_ref().map(ServiceName::as_str),
        all_at_once: back.all_at_once,
        reason: back.reason.as_deref(),
    };
    let (id, of) = client.roll_back(request).await?;
    output.remark(&format!("{of} is taken back by {id}"));
    if back.detach {
        return detached(id, output);
    }
    let patience = back.follow.reconnect_timeout;
    Follower { client, output, patience, begun: true }.follow(id).await
}

/// `r42` is a rollout; every other name is a service's.
fn target(what: &str) -> Result<(Option<RolloutId>, Option<ServiceName>)> {
    let number = what.strip_prefix('r').unwrap_or_default();
    if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) {
        let id = what.parse().map_err(|e| Error::usage(format!("{e}")))?;
        return Ok((Some(id), None));
    }
    match ServiceName::new(what) {
        Ok(service) => Ok((None, Some(service))),
        Err(_) => Err(Error::usage(format!(
            "{what:?} is neither a rollout, like r42, nor the name of a service"
        ))),
    }
}

//! Which rollout or service is meant, where none is named.

use std::collections::BTreeSet;

use dv_types::{RolloutId, ServiceName, report::State};

use crate::{
    args::Target,
    client::Client,
    display::words::names,
    error::{Error, Result},
};

/// Rollouts that are looked through: an unfinished one is among the newest, one service has one at most.
const NEWEST: u32 = 200;

/// The rollout that was named, or else the only unfinished one.
pub(crate) async fn rollout(client: &Client, named: Option<RolloutId>) -> Result<RolloutId> {
    if let Some(id) = named {
        return Ok(id);
    }
    let rollouts = client.rollouts(None, NEWEST).await?;
    let open: Vec<_> = rollouts.iter().filter(|r| !matches!(r.state, State::Ended(_))).collect();
    match open.as_slice() {
        [one] => Ok(one.rollout),
        [] => Err(Error::usage(match rollouts.first() {
            Some(last) => {
                format!("no rollout is unfinished: name one, like {}, the last", last.rollout)
            }
            None => "there are no rollouts yet".to_owned(),
        })),
        many => {
            let all: Vec<_> =
                many.iter().map(|r| format!("{} ({})", r.rollout, r.service)).collect();
            Err(Error::usage(format!(
                "{} rollouts are unfinished, name one: {}",
                all.len(),
                names(&all, 8)
            )))
        }
    }
}

/// The last rollout, finished or not, of the only service that was ever rolled out.
pub(crate) async fn last(client: &Client) -> Result<RolloutId> {
    let rollouts = client.rollouts(None, NEWEST).await?;
    let mut last: Vec<_> = Vec::new();
    let mut services = BTreeSet::new();
    for report in &rollouts {
        if services.insert(&report.service) {
            last.push(report);
        }
    }
    match last.as_slice() {
        [one] => Ok(one.rollout),
        [] => Err(Error::usage("there are no rollouts yet")),
        many => {
            let all: Vec<_> =
                many.iter().map(|r| format!("{} ({})", r.rollout, r.service)).collect();
            Err(Error::usage(format!(
                "there are {} services, name a rollout, like the last of each: {}",
                all.len(),
                names(&all, 8)
            )))
        }
    }
}

/// The same, where a release could have been named and was not.
pub(crate) async fn any(client: &Client, named: Option<Target>) -> Result<RolloutId> {
    match named {
        Some(Target::Rollout(id)) => Ok(id),
        Some(Target::Release(id)) => Err(Error::usage(format!("{id} is a release"))),
        None => rollout(client, None).await,
    }
}

/// The only service that was ever rolled out.
pub(crate) async fn only_service(client: &Client) -> Result<ServiceName> {
    let rollouts = client.rollouts(None, NEWEST).await?;
    let services: BTreeSet<_> = rollouts.into_iter().map(|r| r.service).collect();
    let services: Vec<_> = services.into_iter().collect();
    match services.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(Error::usage("there are no rollouts yet, so there is nothing to take back")),
        many => Err(Error::usage(format!("name the service: {}", names(many, 20)))),
    }
}

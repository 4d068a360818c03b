//! The forge that a manifest names, asked within a limit.

use std::time::Duration;

use dv_types::Span;

use super::Reply;
use crate::{
    forge::{Forge, ForgeConfig, Trouble},
    rollouts::Rollouts,
};

/// All that a gate asks a forge is answered by then.
const LIMIT: Duration = Duration::from_secs(30);

/// What `ask` makes of the forge called `name`. That it has not answered fails nothing.
pub(super) async fn of(
    rollouts: &Rollouts,
    name: &str,
    ask: impl AsyncFnOnce(Forge) -> Result<Reply, Trouble>,
) -> Reply {
    let Some(config) = rollouts.config.forges.get(name) else {
        let known: Vec<_> = rollouts.config.forges.keys().map(String::as_str).collect();
        return Reply::cannot_tell(match &known[..] {
            [] => format!("there is no forge {name}: coordinator.yaml names none under `forges`"),
            known => {
                format!("there is no forge {name}: coordinator.yaml names {}", known.join(", "))
            }
        });
    };
    let (opened, credentials) = (config.clone(), rollouts.config.credentials.clone());
    // It reads files.
    let forge =
        tokio::task::spawn_blocking(move || Forge::open(&opened, credentials.as_deref())).await;
    match forge {
        Ok(Ok(forge)) => within(LIMIT, name, config, ask(forge)).await,
        Ok(Err(why)) => Reply::cannot_tell(format!("the forge {name} can't be asked: {why}")),
        Err(why) => Reply::cannot_tell(format!("the forge {name} can't be asked: {why}")),
    }
}

/// The answer, unless it comes too late.
pub(super) async fn within(
    limit: Duration,
    name: &str,
    config: &ForgeConfig,
    answer: impl Future<Output = Result<Reply, Trouble>>,
) -> Reply {
    let api = config.api();
    match tokio::time::timeout(limit, answer).await {
        Ok(Ok(reply)) => reply,
        Ok(Err(why)) => Reply::cannot_tell(format!("the forge {name} ({api}) does not say: {why}")),
        Err(_) => Reply::cannot_tell(format!(
            "the forge {name} ({api}) did not answer within {}: is it up, and can the coordinator reach it?",
            Span::from(limit)
        )),
    }
}

//! What follows by itself when nothing of a service is under way: rollbacks that are due, then hosts that were
//! out of reach and are back.

use std::{sync::Arc, time::Duration};

use dv_types::{HostName, RolloutId, ServiceName};

use crate::{refusal::Refusal, rollback, rollouts::Rollouts};

const FIRST_RETRY: Duration = Duration::from_millis(200);
const LAST_RETRY: Duration = Duration::from_secs(30);

/// In whose name dv acts by itself.
pub(crate) const ITSELF: &str = "dv";

/// Starts what is due for `service`, if anything is.
pub(crate) async fn follow(rollouts: &Arc<Rollouts>, service: &ServiceName) {
    let mut retry = FIRST_RETRY;
    loop {
        match next(rollouts, service).await {
            Ok(_) | Err(Refusal::Busy { .. } | Refusal::Stopping) => return,
            Err(why) => {
                tracing::error!(%service, %why, "what should follow by itself can't begin yet");
            }
        }
        tokio::time::sleep(retry).await;
        retry = (retry * 2).min(LAST_RETRY);
    }
}

async fn next(
    rollouts: &Arc<Rollouts>,
    service: &ServiceName,
) -> Result<Option<RolloutId>, Refusal> {
    let maker = rollouts.maker().await;
    if rollouts.unfinished_of(service).is_some() {
        // Its end asks again.
        return Ok(None);
    }
    for of in rollouts.journal.reversals_due().await? {
        let ours = rollouts.book().header(of).is_some_and(|header| header.service == *service);
        if ours && let Some(id) = rollback::begin(rollouts, &maker, of, ITSELF, None).await? {
            return Ok(Some(id));
        }
    }
    let Some((of, hosts)) = returned(rollouts, service) else { return Ok(None) };
    crate::catch_up::begin(rollouts, &maker, of, &hosts).await
}

/// Hosts that are back and missed a rollout; those of the oldest one first.
fn returned(rollouts: &Rollouts, service: &ServiceName) -> Option<(RolloutId, Vec<HostName>)> {
    let book = rollouts.book();
    let back = |host: &HostName| rollouts.fleet.session(host).is_some();
    let welcome = |of: RolloutId| {
        // Nobody is brought to a version that was rolled back.
        book.header(of).is_some_and(|header| {
            matches!(header.kind, dv_types::plan::Kind::Reversal { .. })
                || book.bad(service, &header.version).is_none()
        })
    };
    let mut found: Vec<_> = book
        .missed(service)
        .filter(|(host, of)| back(host) && welcome(*of))
        .map(|(host, of)| (of, host.clone()))
        .collect();
    found.sort();
    let of = found.first()?.0;
    Some((of, found.into_iter().filter(|(o, _)| *o == of).map(|(_, host)| host).collect()))
}

//! What follows by itself when nothing of a service is under way: rollbacks that are due, then hosts that were
//! out of reach and are back, then hosts that are new.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use dv_types::{HostName, RolloutId, ServiceName};
use tokio::{sync::Notify, time::Instant};

use crate::{catch_up, refusal::Refusal, rollback, rollouts::Rollouts};

const FIRST_RETRY: Duration = Duration::from_millis(200);
const LAST_RETRY: Duration = Duration::from_secs(30);
/// The pauses before what a gate has held back is asked again: the first, and the longest.
const FIRST_HOLD: Duration = Duration::from_secs(5);
const LAST_HOLD: Duration = Duration::from_secs(300);

/// In whose name dv acts by itself.
pub(crate) const ITSELF: &str = "dv";

/// What became of a look.
enum Next {
    /// Something has begun, or is under way: its end looks again.
    Begun,
    /// Nothing is due.
    Nothing,
    /// Hosts wait, and what keeps them may pass.
    Held(String),
}

/// Starts what is due for `service`, if anything is. Looks again when `bell` rings.
pub(crate) async fn follow(rollouts: &Arc<Rollouts>, service: &ServiceName, bell: &Notify) {
    let (mut retry, mut hold) = (FIRST_RETRY, FIRST_HOLD);
    let mut held_until = Instant::now();
    loop {
        // A storm of hosts that come back is no reason to ask a forge a thousand times.
        let may_ask = Instant::now() >= held_until;
        let pause = match next(rollouts, service, may_ask).await {
            Ok(Next::Begun | Next::Nothing) | Err(Refusal::Busy { .. } | Refusal::Stopping) => {
                return;
            }
            Ok(Next::Held(why)) if may_ask => {
                tracing::info!(%service, why, again = ?hold, "hosts that should follow are held back");
                held_until = Instant::now() + hold;
                hold = (hold * 2).min(LAST_HOLD);
                held_until - Instant::now()
            }
            Ok(Next::Held(_)) => held_until.saturating_duration_since(Instant::now()),
            Err(why) => {
                tracing::error!(%service, %why, "what should follow by itself can't begin yet");
                let pause = retry;
                retry = (retry * 2).min(LAST_RETRY);
                pause
            }
        };
        tokio::select! {
            biased;
            () = tokio::time::sleep(pause) => {}
            () = bell.notified() => {}
        }
    }
}

async fn next(
    rollouts: &Arc<Rollouts>,
    service: &ServiceName,
    may_ask: bool,
) -> Result<Next, Refusal> {
    {
        let maker = rollouts.maker().await;
        if rollouts.unfinished_of(service).is_some() {
            return Ok(Next::Begun);
        }
        for of in rollouts.journal.reversals_due().await? {
            let ours = rollouts.book().header(of).is_some_and(|header| header.service == *service);
            if ours && rollback::begin(rollouts, &maker, of, ITSELF, None).await?.is_some() {
                return Ok(Next::Begun);
            }
        }
    }
    // The end of that waiting looks again.
    if rollouts.is_awaited(service) {
        return Ok(Next::Nothing);
    }
    let waiting = waiting(rollouts, service).await?;
    if waiting.is_empty() {
        return Ok(Next::Nothing);
    }
    let mut held = "asked a moment ago".to_owned();
    for (of, hosts) in waiting.into_iter().filter(|_| may_ask) {
        match catch_up::prepare(rollouts, of, &hosts).await? {
            Ok(beginning) => {
                let maker = rollouts.maker().await;
                // The gates took their time: a person may have begun something, or taken it back.
                if rollouts.is_awaited(service) {
                    return Ok(Next::Nothing);
                }
                if rollouts.book().follows(service, of, &hosts) {
                    return maker.begin(beginning).await.map(|_| Next::Begun);
                }
                "what they should follow has changed".clone_into(&mut held);
            }
            Err(why) => held = format!("{of} on {}: {why}", hosts[0]),
        }
    }
    Ok(Next::Held(held))
}

/// Hosts in contact that should follow a rollout, and which: those that missed one, the oldest first, then the new.
async fn waiting(
    rollouts: &Rollouts,
    service: &ServiceName,
) -> Result<Vec<(RolloutId, Vec<HostName>)>, Refusal> {
    let mut waiting = BTreeMap::<RolloutId, Vec<HostName>>::new();
    let unread = {
        let book = rollouts.book();
        for (host, of) in book.missed(service) {
            if rollouts.fleet.session(host).is_some() {
                waiting.entry(of).or_default().push(host.clone());
            }
        }
        book.promoted(service).filter(|promoted| promoted.hosts.is_none()).map(|p| p.rollout)
    };
    let mut waiting: Vec<_> = waiting.into_iter().collect();
    if let Some(id) = unread {
        let hosts = rollouts.plan(id).await?.manifest.hosts.clone();
        rollouts.book().learn_hosts(service, id, hosts);
    }
    let fleet = rollouts.fleet.view();
    let book = rollouts.book();
    if let Some(promoted) = book.promoted(service) {
        let in_contact = fleet.iter().filter(|host| host.connected);
        let new = in_contact.filter(|host| book.is_new(service, &host.name, &host.labels));
        let new: Vec<_> = new.map(|host| host.name.clone()).collect();
        if !new.is_empty() {
            waiting.push((promoted.rollout, new));
        }
    }
    Ok(waiting)
}

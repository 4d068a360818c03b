//! At the start: every unfinished rollout and release goes on where it was, and what should have followed follows.

use std::sync::Arc;

use crate::{ports::StoreError, releases, retention, rollouts::Rollouts};

/// Takes up what an earlier coordinator left.
pub(crate) async fn recover(rollouts: &Arc<Rollouts>) -> Result<(), StoreError> {
    let unfinished: Vec<_> =
        rollouts.book().newest().filter(|header| header.end.is_none()).cloned().collect();
    for header in unfinished {
        let plan = rollouts.journal.plan(&header.plan).await?;
        tracing::info!(rollout = %header.rollout, service = %header.service, "taken up again");
        rollouts.launch(header, Arc::new(plan));
    }
    let unfinished: Vec<_> = {
        let book = rollouts.book();
        let unfinished = book.releases().filter(|known| known.record.end.is_none());
        unfinished.map(|known| known.record.release).collect()
    };
    for release in unfinished {
        tracing::info!(%release, "taken up again");
        releases::launch(rollouts, release);
    }
    for service in rollouts.book().services() {
        rollouts.next_soon(service);
    }
    let sweeping = Arc::clone(rollouts);
    rollouts.tasks.spawn(async move {
        sweeping.stop.run_until_cancelled(retention::run(&sweeping)).await;
    });
    Ok(())
}

//! The number of a rollout is given once, also by a store that has gone back in time: a backup, a copy, or the snapshot of
//! a machine or of etcd that somebody went back to. What such a store has forgotten, the hosts remember.

use std::sync::Arc;

use dv_types::{HostName, RolloutId};

use super::Rollouts;
use crate::refusal::Refusal;

/// A host that remembers more rollouts than this beyond what is known here is not believed: one host alone must not use up
/// the numbers. What it has done is told apart by its time all the same.
const BELIEVED: u64 = 1_000_000;

impl Rollouts {
    /// Gives no number up to `newest` any more, because this host remembers it.
    pub(crate) async fn not_up_to(
        self: &Arc<Self>,
        host: &HostName,
        newest: RolloutId,
    ) -> Result<(), Refusal> {
        if !self.book().is_to_come(newest) {
            return Ok(());
        }
        let _maker = self.maker().await;
        let next = self.journal.next_rollout().await?;
        if newest < next {
            return Ok(());
        }
        if newest.0 - next.0 > BELIEVED {
            tracing::error!(%host, %newest, %next, "it says that it remembers a rollout that can't have been: not believed");
            return Ok(());
        }
        let after = RolloutId(newest.0 + 1);
        self.journal.skip_to(next, after).await?;
        tracing::warn!(
            %host, %newest, "the next rollout would have been {next}, and this host remembers {newest}: the store has gone back \
             in time. It will be {after}",
        );
        Ok(())
    }
}

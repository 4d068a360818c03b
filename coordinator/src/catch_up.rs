//! Hosts that were out of reach follow to where their rollout ended.

use std::sync::Arc;

use dv_rollout::planning;
use dv_types::{HostName, RolloutId};

use crate::{
    follow::ITSELF,
    refusal::Refusal,
    rollback::replay,
    rollouts::{Beginning, Maker, Rollouts},
};

/// Begins to bring `hosts` to where `of` ended.
pub(crate) async fn begin(
    rollouts: &Arc<Rollouts>,
    maker: &Maker<'_>,
    of: RolloutId,
    hosts: &[HostName],
) -> Result<Option<RolloutId>, Refusal> {
    let plan = planning::catch_up(&replay(rollouts, of).await?, hosts);
    if plan.hosts.is_empty() {
        return Ok(None);
    }
    let reason = Some(format!("out of reach of {of}, and back in contact"));
    let by = ITSELF.to_owned();
    let beginning = Beginning { plan, by, reason, overrides: Vec::new(), release: None, bad: None };
    maker.begin(beginning).await.map(Some)
}

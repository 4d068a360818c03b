//! Switches that earlier rollouts have left behind. A later rollout that changes the same thing takes their
//! place: fired under it, they would bring back what nobody wants any more, or what can't run any more.

use std::io;

use dv_types::{Operation, RolloutId};

use super::{State, Switch, Switches, clock::Moment};
use crate::runner;

impl Switches {
    /// Whether an earlier rollout has left a switch that would take back what `operation` changes.
    pub(crate) fn has_earlier(&self, rollout: RolloutId, operation: &Operation) -> bool {
        !self.earlier(rollout, operation).is_empty()
    }

    /// Lets all such switches go; when this returns they are gone after a power cut too. `false` where one is firing:
    /// that can't be stopped, only waited for.
    pub(crate) async fn let_earlier_go(
        &self,
        rollout: RolloutId,
        operation: &Operation,
    ) -> io::Result<bool> {
        let operation = operation.clone();
        self.with(move |switches| {
            let now = switches.now();
            let earlier = switches.earlier(rollout, &operation);
            if earlier.iter().any(|(_, switch)| switch.is_firing(&now)) {
                return Ok(false);
            }
            for (other, _) in earlier {
                switches.remove(other)?;
                tracing::info!(
                    %rollout, %operation, of = %other,
                    "a dead-man's switch of an earlier rollout is let go",
                );
            }
            Ok(true)
        })
        .await
    }

    /// Waits until none of them is firing.
    pub(crate) async fn earlier_have_fired(&self, rollout: RolloutId, operation: &Operation) {
        let firing = |now: Moment| {
            self.earlier(rollout, operation).iter().any(|(_, switch)| switch.is_firing(&now))
        };
        loop {
            // Before the look, so that what ends right after it is noticed.
            let changed = self.inner.changed.notified();
            if !firing(self.now()) {
                return;
            }
            changed.await;
        }
    }

    fn earlier(&self, rollout: RolloutId, operation: &Operation) -> Vec<(RolloutId, Switch)> {
        let hits = |switch: &Switch| {
            let fired = matches!(switch.state, State::Reverted { .. });
            let changed = |back| migrates(operation) || runner::conflict(back, operation);
            !fired && switch.revert.iter().any(changed)
        };
        let all = self.all();
        let earlier = all.range(..rollout).filter(|(_, switch)| hits(switch));
        earlier.map(|(other, switch)| (*other, switch.clone())).collect()
    }
}

/// Its commands are named nowhere on a way back, and any code that one brings back may not run on the new schema.
fn migrates(operation: &Operation) -> bool {
    matches!(operation, Operation::Migrate { .. } | Operation::Downgrade { .. })
}

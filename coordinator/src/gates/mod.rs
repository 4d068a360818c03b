//! Asks the gates of a rollout: what must hold before anything is touched.

use dv_types::{GateAnswer, Plan, gate::Answer};
use futures_util::{StreamExt as _, stream::FuturesUnordered};

use crate::rollouts::Rollouts;

/// Asks `gates`, all at once, and tells each answer as it comes.
pub(crate) async fn ask(
    rollouts: &Rollouts,
    plan: &Plan,
    gates: Vec<String>,
    mut tell: impl FnMut(GateAnswer),
) {
    let mut asked: FuturesUnordered<_> =
        gates.iter().map(|gate| answer(rollouts, plan, gate)).collect();
    while let Some(answer) = asked.next().await {
        tell(answer);
    }
}

async fn answer(_rollouts: &Rollouts, _plan: &Plan, gate: &str) -> GateAnswer {
    GateAnswer {
        gate: gate.to_owned(),
        answer: Answer::CannotTell,
        why: "this coordinator does not know the gate".to_owned(),
        evidence: Vec::new(),
    }
}

//! Asks the gates of a rollout: what must hold before anything is touched.
//!
//! A gate passes or fails only by what it has seen. Whatever kept it from seeing is *cannot tell*, in words that a person
//! can act on.

mod agent_version;
mod clock_skew;
mod commit;
mod disk;
mod freeze;
mod poll;
mod reviewed;
mod source;
mod tests;
#[cfg(test)]
mod trials;

use dv_types::{GateAnswer, Plan, gate::Answer};
use futures_util::{StreamExt as _, stream::FuturesUnordered};

use crate::rollouts::Rollouts;

/// What a gate says, and on what it is based.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Reply {
    answer: Answer,
    why: String,
    evidence: Vec<String>,
}

impl Reply {
    fn pass(why: impl Into<String>) -> Self {
        Self { answer: Answer::Pass, why: why.into(), evidence: Vec::new() }
    }

    fn fail(why: impl Into<String>) -> Self {
        Self { answer: Answer::Fail, why: why.into(), evidence: Vec::new() }
    }

    fn cannot_tell(why: impl Into<String>) -> Self {
        Self { answer: Answer::CannotTell, why: why.into(), evidence: Vec::new() }
    }

    fn with(mut self, evidence: impl IntoIterator<Item = String>) -> Self {
        self.evidence.extend(evidence);
        self
    }
}

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

async fn answer(rollouts: &Rollouts, plan: &Plan, gate: &str) -> GateAnswer {
    let Reply { answer, why, evidence } = reply(rollouts, plan, gate).await;
    tracing::info!(service = %plan.service, version = %plan.version, gate, %answer, why, "a gate answered");
    GateAnswer { gate: gate.to_owned(), answer, why, evidence }
}

async fn reply(rollouts: &Rollouts, plan: &Plan, gate: &str) -> Reply {
    let Some(gates) = &plan.manifest.gates else {
        return Reply::cannot_tell("the plan's manifest has no gates");
    };
    let known = match gate {
        "freeze" => Some(freeze::ask(&gates.freeze, rollouts.clock.now(), jiff::tz::db())),
        "agent_version" => {
            gates.agent_version.as_ref().map(|least| agent_version::ask(rollouts, plan, least))
        }
        "clock_skew" => match gates.clock_skew {
            Some(limit) => Some(clock_skew::ask(rollouts, plan, limit).await),
            None => None,
        },
        "disk" => match &gates.disk {
            Some(disk) => Some(disk::ask(rollouts, plan, disk).await),
            None => None,
        },
        "reviewed" => match &gates.reviewed {
            Some(reviewed) => Some(reviewed::ask(rollouts, plan, reviewed).await),
            None => None,
        },
        "tests" => match &gates.tests {
            Some(tests) => Some(tests::ask(rollouts, plan, tests).await),
            None => None,
        },
        _ => None,
    };
    known.unwrap_or_else(|| Reply::cannot_tell("this coordinator does not know the gate"))
}

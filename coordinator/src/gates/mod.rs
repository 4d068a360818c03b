//! Asks the gates of a rollout: what must hold before anything is touched.
//!
//! A gate passes or fails only by what it has seen. Whatever kept it from seeing is *cannot tell*, in words that a person
//! can act on.

mod agent_version;
mod clock_skew;
mod commit;
mod disk;
mod freeze;
mod image;
mod poll;
mod pulls;
mod reachable;
mod reviewed;
mod source;
mod tests;
#[cfg(test)]
mod trials;

use dv_types::{GateAnswer, Plan, gate::Answer};
use futures_util::{StreamExt as _, stream::FuturesUnordered};

use crate::rollouts::Rollouts;

/// Characters of a line.
const LINE: usize = 500;
/// Bytes of all evidence of an answer.
const EVIDENCE: usize = 5 * 1024;

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
    let Reply { answer, why, evidence } = kept(reply(rollouts, plan, gate).await);
    tracing::info!(service = %plan.service, version = %plan.version, gate, %answer, why, "a gate answered");
    GateAnswer { gate: gate.to_owned(), answer, why, evidence }
}

/// What of it is kept: a record holds only so much, whatever the fleet's size, and hosts and forges say what they like.
fn kept(reply: Reply) -> Reply {
    let Reply { answer, why, evidence } = reply;
    let (mut kept, mut size) = (Vec::new(), 0);
    let count = evidence.len();
    for line in evidence {
        let line = plain(&line);
        size += line.len();
        if size > EVIDENCE {
            kept.push(format!("and {} more", count - kept.len()));
            break;
        }
        kept.push(line);
    }
    Reply { answer, why: plain(&why), evidence: kept }
}

/// One line, not too long, and nothing in it that a terminal would obey.
fn plain(text: &str) -> String {
    let mut line: String = text.replace(char::is_control, " ");
    if let Some((end, _)) = line.char_indices().nth(LINE) {
        line.truncate(end);
        line.push('…');
    }
    line
}

async fn reply(rollouts: &Rollouts, plan: &Plan, gate: &str) -> Reply {
    let Some(gates) = &plan.manifest.gates else {
        return Reply::cannot_tell("the plan's manifest has no gates");
    };
    let known = match gate {
        "freeze" => Some(freeze::ask(&gates.freeze, rollouts.clock.now(), jiff::tz::db())),
        "reachable" => Some(reachable::ask(rollouts, plan).await),
        "image" => Some(image::ask(rollouts, plan).await),
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

#[cfg(test)]
mod keeping {
    use super::*;
    use crate::store::VALUE_LIMIT;

    #[test]
    fn an_answer_fits_into_a_record_whatever_is_said() {
        let evidence = (0..5000).map(|n| format!("web{n}: \"agent\" 0.1.0\u{1b}[2J\n"));
        let reply = kept(Reply::fail("\"€".repeat(9000)).with(evidence));
        assert!(serde_json::to_vec(&reply.evidence).unwrap().len() < VALUE_LIMIT / 2);
        assert!(serde_json::to_vec(&reply.why).unwrap().len() < VALUE_LIMIT / 4);
        assert!(reply.why.ends_with('…'));
        let last = reply.evidence.last().unwrap();
        assert_eq!(*last, format!("and {} more", 5000 - (reply.evidence.len() - 1)));
        assert!(!reply.evidence.concat().contains(char::is_control));
        let few = Reply::pass("so").with(["a".to_owned(), "b".to_owned()]);
        assert_eq!(kept(few.clone()), few);
    }
}

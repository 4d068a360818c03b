//! Every host is in contact, or no more are out of it than the rollout goes on without.

use dv_types::{Plan, gate::Answer};

use super::{Reply, poll::Poll};
use crate::rollouts::Rollouts;

/// This is known and nobody has to be asked, so that it is never *cannot tell*.
pub(super) fn ask(rollouts: &Rollouts, plan: &Plan) -> Reply {
    let (mut poll, present) = Poll::of(rollouts, plan);
    let limit = plan.limits.max_unreachable;
    for host in &present {
        poll.tell(host, Answer::Pass, "in contact");
    }
    if poll.away.len() > limit as usize {
        for host in std::mem::take(&mut poll.away) {
            let text = format!("out of contact, and max_unreachable is {limit}");
            poll.tell(&host, Answer::Fail, text);
        }
    }
    poll.reply(limit, "the agent is in contact")
}

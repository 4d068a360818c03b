//! Every host is in contact and answers, or no more do not than the rollout goes on without.

use std::time::Duration;

use dv_types::{HostName, Plan, Span, Subject, gate::Answer};

use super::{Reply, poll::Poll};
use crate::{fleet::Question, rollouts::Rollouts};

/// By then a host says something, or it is as good as out of contact.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn ask(rollouts: &Rollouts, plan: &Plan) -> Reply {
    let (mut poll, present) = Poll::of(rollouts, plan);
    let question = Question { subjects: vec![Subject::Clock], probing: None };
    let mut silent = Vec::new();
    let answers = rollouts.fleet.inspect(&present, question, PATIENCE).await;
    for host in present {
        match answers.contains_key(&host) {
            true => poll.tell(&host, Answer::Pass, "in contact"),
            false => silent.push(host),
        }
    }
    let limit = plan.limits.max_unreachable;
    if silent.len() + poll.away.len() <= limit as usize {
        poll.away.extend(silent);
        return poll.reply(limit, "the agent is in contact");
    }
    for host in silent {
        poll.tell(&host, Answer::CannotTell, format!("no answer within {}", Span::from(PATIENCE)));
    }
    let (lost_after, now) = (plan.limits.lost_after, rollouts.clock.now());
    let lost = |host: &HostName| {
        let known = rollouts.fleet.look(host);
        let since = known.map_or(rollouts.began, |known| known.away_since(rollouts.began));
        lost_after.after(since) <= now
    };
    let (lost, gone): (Vec<_>, Vec<_>) = std::mem::take(&mut poll.away).into_iter().partition(lost);
    let answer = of_lost(lost.len(), limit);
    for host in lost {
        poll.tell(&host, answer, format!("out of contact, and max_unreachable is {limit}"));
    }
    for host in gone {
        let text = format!("out of contact for a moment, and max_unreachable is {limit}");
        poll.tell(&host, Answer::CannotTell, text);
    }
    poll.reply(limit, "the agent is in contact")
}

/// Those that are lost for certain must be too many by themselves: one that is silent, or was away for a moment only, may
/// be back in the next.
fn of_lost(lost: usize, limit: u32) -> Answer {
    if lost > limit as usize { Answer::Fail } else { Answer::CannotTell }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_those_that_are_lost_for_certain_are_too_many() {
        assert_eq!(of_lost(0, 0), Answer::CannotTell);
        assert_eq!(of_lost(1, 1), Answer::CannotTell);
        assert_eq!(of_lost(2, 1), Answer::Fail);
    }
}

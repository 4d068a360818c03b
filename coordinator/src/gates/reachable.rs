//! Every host is in contact and answers, or no more do not than the rollout goes on without.

use std::time::Duration;

use dv_types::{Plan, Span, Subject, Timestamp, gate::Answer};

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
    let view = rollouts.fleet.view();
    for host in std::mem::take(&mut poll.away) {
        let known = view.iter().find(|known| known.name == host);
        let since = known.map_or(rollouts.began, |known| known.away_since(rollouts.began));
        let (answer, text) = judge(since, lost_after, now);
        poll.tell(&host, answer, format!("{text}, and max_unreachable is {limit}"));
    }
    poll.reply(limit, "the agent is in contact")
}

/// Who has been away for a moment only may be back in the next.
fn judge(since: Timestamp, lost_after: Span, now: Timestamp) -> (Answer, &'static str) {
    match lost_after.after(since) <= now {
        true => (Answer::Fail, "out of contact"),
        false => (Answer::CannotTell, "out of contact for a moment"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_out_of_contact_is_no_answer() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let judge = |now| judge(at(100), Span::from_secs(60), at(now)).0;
        assert_eq!(judge(101), Answer::CannotTell);
        assert_eq!(judge(159), Answer::CannotTell);
        assert_eq!(judge(160), Answer::Fail);
    }
}

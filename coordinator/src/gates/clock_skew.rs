//! No host's clock is further from the coordinator's than it may be.

use std::time::Duration;

use dv_types::{Finding, HostName, Plan, Span, Subject, Timestamp, gate::Answer};
use futures_util::{StreamExt as _, stream};

use super::{Reply, poll::Poll};
use crate::{fleet::Question, rollouts::Rollouts};

/// A clock is read at once.
const PATIENCE: Duration = Duration::from_secs(10);
/// Hosts that are asked at once: a crowd would only measure how long its answers wait for each other.
const AT_ONCE: usize = 32;
/// A host whose answer took so long that nothing follows from it is asked again so often.
const TRIES: u32 = 3;

pub(super) async fn ask(rollouts: &Rollouts, plan: &Plan, limit: Span) -> Reply {
    let (mut poll, present) = Poll::of(rollouts, plan);
    let mut asked = stream::iter(present)
        .map(|host| async move {
            let found = look(rollouts, &host, limit).await;
            (host, found)
        })
        .buffer_unordered(AT_ONCE);
    while let Some((host, (answer, text))) = asked.next().await {
        poll.tell(&host, answer, text);
    }
    poll.reply(plan.limits.max_unreachable, &format!("the clock is within {limit}"))
}

async fn look(rollouts: &Rollouts, host: &HostName, limit: Span) -> (Answer, String) {
    let mut last = (Answer::CannotTell, "it was not asked".to_owned());
    for _ in 0..TRIES {
        let question = Question { subjects: vec![Subject::Clock], probing: None };
        let before = rollouts.clock.now();
        let facts = rollouts.fleet.inspect(std::slice::from_ref(host), question, PATIENCE).await;
        let after = rollouts.clock.now();
        let finding = facts.get(host).and_then(|facts| facts.findings.first());
        last = match finding {
            Some(Finding::Clock { now }) => judge(before, *now, after, limit),
            Some(Finding::Failed(why) | Finding::Refused(why) | Finding::NotFound(why)) => {
                return (Answer::CannotTell, why.clone());
            }
            Some(_) => {
                return (Answer::CannotTell, "its agent does not know the question".to_owned());
            }
            None => {
                return (Answer::CannotTell, format!("no answer within {}", Span::from(PATIENCE)));
            }
        };
        if last.0 != Answer::CannotTell {
            break;
        }
    }
    last
}

/// The host read its clock at some time between `before` and `after`: half of that on either side of the middle is not
/// known.
fn judge(before: Timestamp, host: Timestamp, after: Timestamp, limit: Span) -> (Answer, String) {
    let millis = |time: Timestamp| i64::try_from(time.as_nanosecond() / 1_000_000).unwrap_or(0);
    let trip = (millis(after) - millis(before)).max(0);
    let skew = millis(host) - (millis(before) + trip / 2);
    let (apart, blur) = (skew.unsigned_abs(), trip.unsigned_abs().div_ceil(2));
    let limit = u64::try_from(limit.get().as_millis()).unwrap_or(u64::MAX);
    let side = if skew < 0 { "behind" } else { "ahead" };
    let text = match apart {
        0 => "no difference".to_owned(),
        _ => format!("{} {side}", Span::from_millis(apart)),
    };
    if apart + blur <= limit {
        (Answer::Pass, text)
    } else if apart > limit + blur {
        (Answer::Fail, format!("its clock is {text}: see whether it is synchronised"))
    } else {
        let blur = Span::from_millis(blur);
        (
            Answer::CannotTell,
            format!("its clock is {text}, give or take {blur}: its answer took too long"),
        )
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn half_of_the_round_trip_is_not_known() {
        let start: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let at = |millis| start + SignedDuration::from_millis(millis);
        for (host, after, answer) in [
            (0, 0, Answer::Pass),
            (500, 0, Answer::Pass),
            (-500, 0, Answer::Pass),
            (501, 0, Answer::Fail),
            (-501, 0, Answer::Fail),
            // The middle of the round trip is what counts.
            (550, 100, Answer::CannotTell),
            (450, 100, Answer::Pass),
            (601, 100, Answer::Fail),
            (-451, 100, Answer::CannotTell),
            (-551, 100, Answer::Fail),
            // Nothing follows from an answer that took longer than what is measured.
            (0, 2000, Answer::CannotTell),
        ] {
            let found = judge(start, at(host), at(after), Span::from_millis(500));
            assert_eq!(found.0, answer, "{host} of {after}: {}", found.1);
        }
        let (_, text) = judge(start, at(-90_000), at(0), Span::from_secs(1));
        assert!(text.contains("1m 30s behind"), "{text}");
    }
}

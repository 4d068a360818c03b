//! Wait until the service is healthy, and stays so.

use std::time::Duration;

use dv_types::{Evidence, OpResult, Span, probe::Probing};
use tokio::time::Instant;

use super::{Attempt, Context, Ended};
use crate::{limits::Stop, probe::verdict::Verdict};

/// The first pause between two rounds; it grows to the manifest's interval. A service that is back after
/// 50 ms is seen to be back after 60.
const FIRST_PAUSE: Duration = Duration::from_millis(10);

pub(super) async fn verify(
    context: &Context,
    probing: &Probing,
    min_healthy_time: Span,
    healthy_deadline: Span,
) -> Ended {
    let began = Instant::now();
    let interval = probing.interval.get().max(FIRST_PAUSE);
    let mut verdict = Verdict::new(probing.successes, min_healthy_time.get());
    let mut pause = FIRST_PAUSE.min(interval);
    let mut last_bad = None;

    let stopped = loop {
        // A round that is cut short says nothing.
        let round = match context.limits.within(context.ports.probes.round(probing)).await {
            Ok(round) => round,
            Err(stop) => break Some(stop),
        };
        let at = began.elapsed();
        if verdict.round(at, round.is_ok()) {
            break None;
        }
        if let Err(why) = round {
            context.progress.say(&why);
            last_bad = Some(why);
        }
        // A good run that has begun in time may be finished.
        if !verdict.is_good() && at >= healthy_deadline.get() {
            break Some(Stop::TimedOut(healthy_deadline));
        }
        let wait = if verdict.was_good() {
            verdict.remaining(at).map_or(interval, |rest| rest.min(interval))
        } else {
            let wait = pause;
            pause = (pause * 3 / 2).min(interval);
            wait
        };
        if let Err(stop) = context.limits.within(tokio::time::sleep(wait)).await {
            break Some(stop);
        }
    };

    let result = match stopped {
        None => OpResult::Done,
        Some(Stop::Cancelled) => OpResult::Cancelled,
        Some(Stop::TimedOut(_)) => OpResult::TimedOut(match &last_bad {
            Some(why) => format!("not healthy within {healthy_deadline}; last: {why}"),
            None => format!("not healthy for long enough within {healthy_deadline}"),
        }),
    };
    let evidence = Evidence::Health {
        rounds: verdict.rounds(),
        first_good: verdict.first_good().map(Span::from),
        last_bad,
    };
    Ok(Attempt::from(result).with_evidence(evidence))
}

#[cfg(test)]
mod tests;

//! When to look. Ticks are multiples of their pace since 1970, so that a coordinator that takes a rollout up again
//! looks at the same moments as the one before.

use dv_types::{Span, Timestamp};

fn number(at: Timestamp, pace: Span) -> i128 {
    at.as_nanosecond().div_euclid(nanos(pace))
}

fn nanos(pace: Span) -> i128 {
    (pace.get().as_nanos() as i128).max(1)
}

/// The first tick after `now`.
pub(super) fn next(now: Timestamp, pace: Span) -> Timestamp {
    let next = (number(now, pace) + 1).saturating_mul(nanos(pace));
    Timestamp::from_nanosecond(next).unwrap_or(Timestamp::MAX)
}

/// Whether an interval ends between the tick before and this one.
pub(super) fn ends_interval(at: Timestamp, pace: Span, interval: Span) -> bool {
    let before = Timestamp::from_nanosecond(at.as_nanosecond() - nanos(pace)).unwrap_or(at);
    number(at, interval) > number(before, interval)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(millis).unwrap()
    }

    #[test]
    fn they_do_not_depend_on_when_it_began() {
        let pace = Span::from_secs(10);
        assert_eq!(next(at(12_345), pace), at(20_000));
        assert_eq!(next(at(19_999), pace), at(20_000));
        assert_eq!(next(at(20_000), pace), at(30_000));
    }

    #[test]
    fn an_interval_ends_once() {
        let (pace, interval) = (Span::from_millis(300), Span::from_secs(1));
        let mut now = at(0);
        let mut ends = Vec::new();
        for _ in 0..20 {
            now = next(now, pace);
            if ends_interval(now, pace, interval) {
                ends.push(now.as_millisecond());
            }
        }
        assert_eq!(ends, [1200, 2100, 3000, 4200, 5100, 6000]);
    }
}

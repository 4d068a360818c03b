//! Everything that waits has a deadline, and can be called off.

use std::{future::Future, time::Duration};

use dv_types::{OpResult, Span};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long an operation may take, and whether it is still wanted.
#[derive(Debug, Clone)]
pub struct Limits {
    limit: Span,
    deadline: Instant,
    cancelled: CancellationToken,
}

/// Why an operation was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Its time was up.
    TimedOut(Span),
    /// The coordinator called it off.
    Cancelled,
}

impl Limits {
    /// `limit` from now on, or until `cancelled`.
    pub(crate) fn new(limit: Span, cancelled: CancellationToken) -> Self {
        Self { limit, deadline: from_now(limit.get()), cancelled }
    }

    /// `limit` from now on; nobody calls it off.
    pub(crate) fn of(limit: Duration) -> Self {
        Self::new(limit.into(), CancellationToken::new())
    }

    /// The same, but no more than `limit` from now on.
    pub(crate) fn at_most(&self, limit: Duration) -> Self {
        let narrow = Self::new(limit.into(), self.cancelled.clone());
        if narrow.deadline < self.deadline { narrow } else { self.clone() }
    }

    /// For what must still be looked at once the work has stopped: the rest of the time, but at least `least`.
    /// What was called off is not called off a second time.
    pub(crate) fn afterwards(&self, least: Duration) -> Self {
        let short = Self::of(least);
        if self.is_cancelled() || short.deadline > self.deadline {
            return short;
        }
        self.clone()
    }

    /// Whether it was called off already.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.is_cancelled()
    }

    /// Waits until it must stop.
    pub async fn reached(&self) -> Stop {
        tokio::select! {
            biased;
            () = self.cancelled.cancelled() => Stop::Cancelled,
            () = tokio::time::sleep_until(self.deadline) => Stop::TimedOut(self.limit),
        }
    }

    /// The answer of `work`, unless it must stop first.
    pub async fn within<T>(&self, work: impl Future<Output = T>) -> Result<T, Stop> {
        tokio::select! {
            biased;
            answer = work => Ok(answer),
            stop = self.reached() => Err(stop),
        }
    }
}

impl From<Stop> for OpResult {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::TimedOut(limit) => Self::TimedOut(format!("it was not done within {limit}")),
            Stop::Cancelled => Self::Cancelled,
        }
    }
}

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TimedOut(limit) => write!(f, "no answer within {limit}"),
            Self::Cancelled => f.write_str("called off"),
        }
    }
}

/// A deadline so far away that it never comes, where the sum would not fit.
fn from_now(limit: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(limit).unwrap_or_else(|| now + Duration::from_secs(100 * 365 * 86_400))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    async fn length(limits: &Limits) -> (Stop, Duration) {
        let began = Instant::now();
        (limits.reached().await, began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn afterwards_there_is_the_rest_of_the_time_or_a_little() {
        let cancel = CancellationToken::new();
        let limits = Limits::new(Span::from_secs(60), cancel.clone());
        let (stop, took) = length(&limits.afterwards(SECOND)).await;
        assert_eq!(stop, Stop::TimedOut(Span::from_secs(60)));
        assert!(took > 59 * SECOND, "{took:?}");
        // The time is up.
        let (_, took) = length(&limits.afterwards(SECOND)).await;
        assert!((SECOND..2 * SECOND).contains(&took), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_called_off_is_still_looked_at_for_a_little() {
        let cancel = CancellationToken::new();
        let limits = Limits::new(Span::from_secs(60), cancel.clone());
        let afterwards = limits.afterwards(SECOND);
        cancel.cancel();
        assert_eq!(afterwards.reached().await, Stop::Cancelled);
        let (stop, took) = length(&limits.afterwards(SECOND)).await;
        assert_eq!(stop, Stop::TimedOut(SECOND.into()));
        assert!(took >= SECOND, "{took:?}");
    }
}

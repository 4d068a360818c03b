//! Clocks: the system's, and one that tests move by hand.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use dv_types::{Span, Timestamp};
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use crate::ports::Clock;

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

/// The system's clock may be set: no sleep trusts it for longer than this.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that is handed in elsewhere")]
    fn now(&self) -> Timestamp {
        Timestamp::try_from(SystemTime::now()).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            loop {
                let left = Span::between(Self.now(), at).get();
                if left.is_zero() {
                    return;
                }
                tokio::time::sleep(left.min(LOOK_AGAIN)).await;
            }
        })
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<watch::Sender<Timestamp>>);

impl ManualClock {
    /// Stands at `now`.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self(Arc::new(watch::Sender::new(now)))
    }

    /// Moves it forward, and wakes whoever slept until then.
    pub fn advance(&self, by: Span) {
        self.0.send_modify(|now| *now = by.after(*now));
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.borrow()
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        let mut time = self.0.subscribe();
        Box::pin(async move {
            let reached = time.wait_for(|now| *now >= at).await.is_ok();
            if !reached {
                // The clock is gone: nobody will move it any more.
                std::future::pending::<()>().await;
            }
        })
    }
}

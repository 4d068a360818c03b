//! The coordinator's clock.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use dv_coordinator::ports::Clock;
use dv_types::{Span, Timestamp};
use futures_util::future::BoxFuture;

use crate::world::World;

/// No sleep trusts a clock that may be set for longer than this, as with the real one.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// A clock that may be set.
#[derive(Clone)]
pub(crate) struct CoordinatorClock {
    pub(crate) world: Arc<World>,
    /// So many seconds it is wrong.
    pub(crate) skew: Arc<Mutex<i64>>,
}

impl Clock for CoordinatorClock {
    fn now(&self) -> Timestamp {
        self.world.time(*self.skew.lock().unwrap())
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        let clock = self.clone();
        Box::pin(async move {
            loop {
                let left = Span::between(clock.now(), at).get();
                if left.is_zero() {
                    return;
                }
                tokio::time::sleep(left.min(LOOK_AGAIN)).await;
            }
        })
    }
}

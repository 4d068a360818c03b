//! What time it is, by two clocks: one that people know, and one that nobody can set.

use std::sync::Arc;

use dv_types::{Span, Timestamp};

use crate::ports::Outside;

/// A moment by both clocks.
#[derive(Debug, Clone)]
pub(crate) struct Moment {
    pub(crate) wall: Timestamp,
    /// Which start of the host the other clock counts from; empty where that is not known.
    pub(crate) boot: String,
    pub(crate) since_boot: Span,
}

/// Where moments come from.
#[derive(Clone)]
pub(crate) struct Clock(Arc<dyn Fn() -> Moment + Send + Sync>);

impl Clock {
    /// A host's.
    pub(crate) fn of_host(outside: Arc<dyn Outside>) -> Self {
        let boot = outside.boot_id();
        Self(Arc::new(move || Moment {
            wall: outside.now(),
            boot: boot.clone(),
            since_boot: outside.since_boot().into(),
        }))
    }

    /// A test's.
    #[cfg(test)]
    pub(crate) fn of(now: impl Fn() -> Moment + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    pub(crate) fn now(&self) -> Moment {
        (self.0)()
    }
}

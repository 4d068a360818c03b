//! How long a leader may believe that it leads. It counts from when it last *asked* etcd to renew its lease, by a clock
//! that nobody can set and that goes on while the machine sleeps: so it ends here before the lease ends there.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};

/// The time that a leader has left.
#[derive(Debug, Clone, Default)]
pub struct Tenure {
    /// In milliseconds since the machine's start; 0 when it is over for good.
    until: Arc<AtomicU64>,
}

/// A moment, by the clock that tenures are counted with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(u64);

impl Moment {
    pub(crate) fn now() -> Self {
        let now = clock_gettime(ClockId::Boottime);
        let milliseconds = now.tv_sec * 1000 + now.tv_nsec / 1_000_000;
        Self(u64::try_from(milliseconds).unwrap_or_default())
    }

    pub(crate) fn elapsed(self) -> Duration {
        Duration::from_millis(Self::now().0.saturating_sub(self.0))
    }
}

impl Tenure {
    /// One that ends so long after `asked`.
    pub(crate) fn new(asked: Moment, lasts: Duration) -> Self {
        let tenure = Self::default();
        tenure.until.store(end(asked, lasts), Ordering::SeqCst);
        tenure
    }

    /// It ends so long after `asked`; one that is over stays so.
    pub(crate) fn renew(&self, asked: Moment, lasts: Duration) -> bool {
        let now = Moment::now().0;
        let renew = |until| (until > now).then(|| end(asked, lasts).max(until));
        self.until.fetch_update(Ordering::SeqCst, Ordering::SeqCst, renew).is_ok()
    }

    /// It is over, whatever the lease says.
    pub(crate) fn end(&self) {
        self.until.store(0, Ordering::SeqCst);
    }

    /// Whether it is not over.
    #[must_use]
    pub fn holds(&self) -> bool {
        !self.left().is_zero()
    }

    /// What is left of it.
    #[must_use]
    pub fn left(&self) -> Duration {
        let until = self.until.load(Ordering::SeqCst);
        Duration::from_millis(until.saturating_sub(Moment::now().0))
    }
}

/// A tenth less than the lease: two clocks don't go equally fast.
fn end(asked: Moment, lasts: Duration) -> u64 {
    let lasts = u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX / 2);
    asked.0.saturating_add(lasts - lasts / 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_renewed_while_it_lasts_and_over_for_good_after() {
        let tenure = Tenure::new(Moment::now(), Duration::from_secs(60));
        assert!(tenure.holds() && tenure.left() <= Duration::from_secs(54));
        assert!(tenure.renew(Moment::now(), Duration::from_secs(600)));
        assert!(tenure.left() > Duration::from_secs(60));
        // A renewal that was asked for earlier, and answered later, takes nothing away.
        assert!(tenure.renew(Moment::now(), Duration::from_secs(60)));
        assert!(tenure.left() > Duration::from_secs(60));
        tenure.end();
        assert!(!tenure.holds());
        assert!(!tenure.renew(Moment::now(), Duration::from_secs(600)));
        assert!(!tenure.holds());
    }

    #[test]
    fn it_counts_from_when_the_renewal_was_asked_for() {
        let long_ago = Moment(Moment::now().0 - 50_000);
        assert!(Tenure::new(long_ago, Duration::from_secs(60)).left() <= Duration::from_secs(4));
        assert!(!Tenure::new(long_ago, Duration::from_secs(50)).holds());
    }
}

//! How fast one host is heard. Whoever says more is read no faster: it waits, and nobody else does.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Time for one word.
const EACH: Duration = Duration::from_millis(5);
/// So many at once, after a silence: more than an agent keeps for a connection that comes back.
const AT_ONCE: u32 = 2048;

/// What a host may still say without waiting.
pub(super) struct Allowance {
    /// When all that it has said would have been said at the pace.
    said_by: Instant,
}

impl Allowance {
    pub(super) fn new() -> Self {
        Self { said_by: Instant::now() }
    }

    /// Waits until one word more may be heard.
    pub(super) async fn take(&mut self) {
        let now = Instant::now();
        self.said_by = self.said_by.max(now) + EACH;
        let early = self.said_by.checked_sub(EACH * AT_ONCE).filter(|early| *early > now);
        if let Some(early) = early {
            sleep_until(early).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn many_words_are_heard_at_once_and_more_at_a_pace() {
        tokio::time::advance(Duration::from_secs(3600)).await;
        let mut allowance = Allowance::new();
        let began = Instant::now();
        for _ in 0..AT_ONCE {
            allowance.take().await;
        }
        assert_eq!(began.elapsed(), Duration::ZERO);
        for _ in 0..200 {
            allowance.take().await;
        }
        assert_eq!(began.elapsed(), Duration::from_secs(1));
        // A silence gives back what it was long, and no more than there was.
        tokio::time::advance(Duration::from_secs(3600)).await;
        let began = Instant::now();
        for _ in 0..AT_ONCE + 200 {
            allowance.take().await;
        }
        assert_eq!(began.elapsed(), Duration::from_secs(1));
    }
}

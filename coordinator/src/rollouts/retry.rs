//! How long a driver pauses that could not go on.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(200);
const LAST: Duration = Duration::from_secs(30);

/// The next pause. It grows until a driver has lived for longer than the longest: that it could read its journal, or
/// write some of it, says nothing.
#[derive(Debug)]
pub(super) struct Retry(Duration);

impl Retry {
    pub(super) fn new() -> Self {
        Self(FIRST)
    }

    /// The pause after a driver that lived for so long.
    pub(super) fn pause(&mut self, lived: Duration) -> Duration {
        if lived > LAST {
            self.0 = FIRST;
        }
        let pause = self.0;
        self.0 = (pause * 2).min(LAST);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_while_no_driver_lives_and_begins_again_after_one_that_did() {
        let mut retry = Retry::new();
        // Each of them reads its journal, and writes to it, before it is refused.
        let lived = Duration::from_secs(2);
        let pauses: Vec<_> = (0..12).map(|_| retry.pause(lived)).collect();
        assert!(pauses.is_sorted());
        assert_eq!((pauses[0], pauses[11]), (FIRST, LAST));
        assert_eq!(retry.pause(LAST * 2), FIRST);
        assert_eq!(retry.pause(lived), FIRST * 2);
    }
}

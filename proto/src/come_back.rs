//! When to come back: what the coordinator tells an agent along with a refusal, so that those it can't take now do not
//! all come again at once.

use std::time::Duration;

use tonic::{Status, metadata::MetadataValue};

/// In milliseconds.
const KEY: &str = "dv-come-back-ms";
/// Nobody is sent away for longer than this.
const LONGEST: Duration = Duration::from_secs(300);

/// The refusal, and when to come back.
#[must_use]
pub fn tell(mut refusal: Status, after: Duration) -> Status {
    let millis = u64::try_from(after.min(LONGEST).as_millis()).unwrap_or(u64::MAX);
    refusal.metadata_mut().insert(KEY, MetadataValue::from(millis));
    refusal
}

/// When to come back, if the refusal says so.
#[must_use]
pub fn told(refusal: &Status) -> Option<Duration> {
    let millis = refusal.metadata().get(KEY)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_millis(millis).min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_heard_within_bounds() {
        let plain = Status::unavailable("full");
        assert_eq!(told(&plain), None);
        let hour = Duration::from_secs(3600);
        for (after, heard) in [(Duration::ZERO, Duration::ZERO), (hour, LONGEST)] {
            assert_eq!(told(&tell(plain.clone(), after)), Some(heard));
        }
        let mut odd = plain;
        odd.metadata_mut().insert(KEY, MetadataValue::from_static("soon"));
        assert_eq!(told(&odd), None);
    }
}

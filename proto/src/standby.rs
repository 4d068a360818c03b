//! What a coordinator answers that stands by: UNAVAILABLE, with who leads. It has done nothing then, so the same may be
//! asked of another one at once.

use tonic::{Status, metadata::MetadataMap};

/// The header that marks the answer; its value is the leader's address, or empty.
const STANDBY: &str = "dv-standby";
/// The header of an agent that has found no leader: for so many milliseconds it waits at a standby for one.
const WAIT: &str = "dv-wait-ms";

/// A coordinator that stands by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standby {
    /// Who leads, as far as it knows: `host:port`.
    pub leader: Option<String>,
}

impl Standby {
    /// Its answer to every call.
    #[must_use]
    pub fn answer(&self, why: &str) -> Status {
        let mut answer = Status::unavailable(why);
        let leader = self.leader.as_deref().and_then(|leader| leader.parse().ok());
        let leader = leader.unwrap_or(tonic::metadata::MetadataValue::from_static(""));
        answer.metadata_mut().insert(STANDBY, leader);
        answer
    }

    /// Whether this is such an answer.
    #[must_use]
    pub fn of(answer: &Status) -> Option<Self> {
        Self::read(answer.metadata())
    }

    pub(crate) fn read(metadata: &MetadataMap) -> Option<Self> {
        let leader = metadata.get(STANDBY)?.to_str().ok()?;
        Some(Self { leader: Some(leader.to_owned()).filter(|leader| !leader.is_empty()) })
    }
}

/// Says that a call may wait at a standby for a leader, for so long.
pub fn may_wait<T>(request: &mut tonic::Request<T>, wait: std::time::Duration) {
    request.metadata_mut().insert(WAIT, u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).into());
}

/// For how long a call may wait; nothing, if it shall not.
#[must_use]
pub fn standby_wait(headers: &http::HeaderMap) -> Option<std::time::Duration> {
    headers.get(WAIT)?.to_str().ok()?.parse().ok().map(std::time::Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_who_leads_if_anybody_does() {
        for leader in [None, Some("dv1.example.com:7443".to_owned())] {
            let standby = Standby { leader };
            assert_eq!(Standby::of(&standby.answer("it stands by")), Some(standby));
        }
        assert_eq!(Standby::of(&Status::unavailable("it stops")), None);
    }
}

//! Whether a leader is cut off from the hosts: for some time more of them have waited at one standby than are in contact
//! here, and it did not get better.

use std::time::Duration;

use super::tenure::Moment;

#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    /// Since when it has been so.
    since: Option<Moment>,
    /// Hosts in contact at the last look.
    contact: usize,
}

impl Tally {
    /// A look; whether it has been so for `limit`.
    pub(super) fn look(&mut self, contact: usize, waiting: usize, limit: Duration) -> bool {
        // Hosts that come back, if slowly, have found the way.
        let gains = contact > self.contact;
        self.contact = contact;
        if waiting <= contact || gains {
            self.since = None;
            return false;
        }
        self.since.get_or_insert_with(Moment::now).elapsed() >= limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT_ONCE: Duration = Duration::ZERO;
    const LATER: Duration = Duration::from_secs(3600);

    #[test]
    fn a_leader_is_cut_off_when_more_hosts_wait_elsewhere_and_none_comes() {
        let mut tally = Tally::default();
        assert!(!tally.look(5, 0, AT_ONCE), "all are here");
        assert!(!tally.look(2, 2, AT_ONCE), "as many are here");
        assert!(tally.look(2, 3, AT_ONCE));
        assert!(!tally.look(2, 3, LATER), "not for long enough");
        assert!(!tally.look(3, 5, AT_ONCE), "one came back");
        assert!(tally.look(3, 5, AT_ONCE));
        assert!(tally.look(0, 5, AT_ONCE));
        assert!(!tally.look(0, 0, AT_ONCE), "nobody is anywhere");
    }
}

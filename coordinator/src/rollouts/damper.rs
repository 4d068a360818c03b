//! News of hosts that come and go, or turn good and bad, while a rollout waits for a person and nothing is under way:
//! nothing follows from them, and each would be a record. The oftener a host has told such news, the longer the next
//! waits; what counts then is how it stands.

use std::collections::{BTreeMap, HashMap};

use dv_types::{HostName, Span, Timestamp};

use super::mailbox::Turned;

/// News that are told at once.
const FREE: u32 = 8;
/// The longest wait, in seconds.
const LONGEST: u64 = 300;

/// What was told of hosts, and what waits.
#[derive(Debug, Default)]
pub(super) struct Damper {
    told: HashMap<HostName, (u32, Timestamp)>,
    held: BTreeMap<HostName, Held>,
}

/// News that wait.
#[derive(Debug)]
pub(super) struct Held {
    until: Timestamp,
    /// Of its probes, the last; nothing where it came or went.
    health: Option<Turned>,
}

impl Damper {
    /// Whether news of a host may be told now. Then they count.
    pub(super) fn may(&mut self, host: &HostName, now: Timestamp) -> bool {
        let (count, last) = self.told.get(host).copied().unwrap_or((0, Timestamp::MIN));
        if Self::due(count, last) > now {
            return false;
        }
        self.told.insert(host.clone(), (count + 1, now));
        true
    }

    fn due(count: u32, last: Timestamp) -> Timestamp {
        match count.checked_sub(FREE) {
            None => last,
            Some(more) => {
                let pause = 1u64.checked_shl(more).unwrap_or(LONGEST).min(LONGEST);
                Span::from_secs(pause).after(last)
            }
        }
    }

    /// Keeps news until they may be told.
    pub(super) fn hold(&mut self, host: HostName, health: Option<Turned>) {
        let (count, last) = self.told.get(&host).copied().unwrap_or((0, Timestamp::MIN));
        let until = Self::due(count, last);
        let held = self.held.entry(host).or_insert(Held { until, health: None });
        if health.is_some() {
            held.health = health;
        }
    }

    /// When the first of them may.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.held.values().map(|held| held.until).min()
    }

    /// Those that may be told now.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Vec<(HostName, Option<Turned>)> {
        let due = self.held.iter().filter(|(_, held)| held.until <= now);
        let due: Vec<_> = due.map(|(host, _)| host.clone()).collect();
        let mut take = |host: HostName| self.held.remove(&host).map(|held| (host, held.health));
        due.into_iter().filter_map(&mut take).collect()
    }

    /// All of them: something goes on again, and it begins with how the hosts stand.
    pub(super) fn take_all(&mut self) -> Vec<(HostName, Option<Turned>)> {
        self.told.clear();
        std::mem::take(&mut self.held).into_iter().map(|(host, held)| (host, held.health)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_comes_and_goes_for_a_weekend_is_told_of_seldom() {
        let (flaps, calm) = (HostName::new("flaps").unwrap(), HostName::new("calm").unwrap());
        let mut damper = Damper::default();
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let weekend = 60 * 60 * 60;
        let mut told = 0;
        for second in 0..weekend {
            if damper.may(&flaps, at(second)) {
                told += 1;
            } else {
                damper.hold(flaps.clone(), None);
                assert!(damper.next().unwrap() <= at(second + 300));
            }
        }
        assert!((FREE..1000).contains(&told), "{told}");
        // Another is told of at once, and what waits is told when something goes on.
        assert!(damper.may(&calm, at(weekend)));
        assert_eq!(damper.take_all().len(), 1);
        assert!(damper.next().is_none() && damper.may(&flaps, at(weekend)));
    }

    #[test]
    fn what_waits_is_told_when_it_may() {
        let host = HostName::new("web1").unwrap();
        let mut damper = Damper::default();
        let now = Timestamp::UNIX_EPOCH;
        while damper.may(&host, now) {}
        damper.hold(host.clone(), None);
        let due = damper.next().unwrap();
        assert!(due > now && damper.take_due(now).is_empty());
        assert_eq!(damper.take_due(due).len(), 1);
        assert!(damper.may(&host, due));
    }
}

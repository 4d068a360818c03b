//! Hosts that have found no leader anywhere, and wait at a standby for one.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use dv_types::HostName;

use super::tenure::Moment;

/// A host that went to look elsewhere still counts for so long.
const REMEMBERED: Duration = Duration::from_secs(5);

/// Who waits.
#[derive(Debug, Clone, Default)]
pub struct Door(Arc<Mutex<BTreeMap<HostName, Seen>>>);

#[derive(Debug, Clone, Copy)]
struct Seen {
    /// Its calls that wait.
    calls: u32,
    last: Moment,
}

/// A host that waits.
pub struct Waiting {
    door: Door,
    host: HostName,
}

impl Door {
    fn hosts(&self) -> MutexGuard<'_, BTreeMap<HostName, Seen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A host waits, until what this gives is dropped.
    pub fn knock(&self, host: HostName) -> Waiting {
        let now = Moment::now();
        let mut hosts = self.hosts();
        let seen = hosts.entry(host.clone()).or_insert(Seen { calls: 0, last: now });
        seen.calls += 1;
        Waiting { door: self.clone(), host }
    }

    /// How many hosts wait, or did a moment ago.
    pub(crate) fn waiting(&self) -> usize {
        let mut hosts = self.hosts();
        hosts.retain(|_, seen| seen.calls > 0 || seen.last.elapsed() < REMEMBERED);
        hosts.len()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(seen) = self.door.hosts().get_mut(&self.host) {
            seen.calls -= 1;
            seen.last = Moment::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_counts_once_however_often_it_knocks() {
        let door = Door::default();
        let host = |name: &str| HostName::new(name).unwrap();
        let (first, _second) = (door.knock(host("web1")), door.knock(host("web1")));
        let _third = door.knock(host("web2"));
        assert_eq!(door.waiting(), 2);
        drop(first);
        assert_eq!(door.waiting(), 2);
    }
}

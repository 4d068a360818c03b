//! What is counted and looked up over all hosts, kept as they change, so that a turn costs the same in a
//! fleet of ten and of ten thousand.

use std::collections::BTreeSet;

use dv_types::{
    Timestamp,
    report::{Phase, Totals},
};

use crate::{host::Host, relapse::Patience};

/// Totals and sets, each a function of the hosts alone.
#[derive(Debug)]
pub(crate) struct Index {
    pub(crate) patience: Patience,
    pub(crate) totals: Totals,
    /// Hosts of each wave that have not come to an end.
    pub(crate) open: Vec<u32>,
    /// Hosts of each wave that are healthy.
    pub(crate) healthy: Vec<u32>,
    /// [`Host::startable`]
    pub(crate) startable: BTreeSet<usize>,
    /// Of these, the hosts from which nothing is taken: they need not wait for `min_available`.
    pub(crate) idle: BTreeSet<usize>,
    /// [`Host::concluded`]
    pub(crate) concluded: BTreeSet<usize>,
    /// [`Host::ready`], by what they have done: they come to barriers together.
    pub(crate) ready: BTreeSet<(u32, usize)>,
    /// Of these, the hosts in contact.
    pub(crate) able: BTreeSet<(u32, usize)>,
    /// Of those in turn, the hosts from which nothing is taken: they need not wait for `min_available`.
    pub(crate) free: BTreeSet<(u32, usize)>,
    /// [`Host::returned`]
    pub(crate) returned: BTreeSet<usize>,
    /// Hosts under way.
    pub(crate) working: BTreeSet<usize>,
    /// [`Host::proven`]
    pub(crate) proven: BTreeSet<usize>,
    /// Hosts that were healthy and turned bad.
    pub(crate) relapsed: BTreeSet<usize>,
    /// [`Host::alarm`]
    pub(crate) alarms: BTreeSet<(Timestamp, usize)>,
}

impl Index {
    pub(crate) fn new(waves: usize, patience: Patience) -> Self {
        Self {
            patience,
            totals: Totals::default(),
            open: vec![0; waves],
            healthy: vec![0; waves],
            startable: BTreeSet::new(),
            idle: BTreeSet::new(),
            concluded: BTreeSet::new(),
            ready: BTreeSet::new(),
            able: BTreeSet::new(),
            free: BTreeSet::new(),
            returned: BTreeSet::new(),
            working: BTreeSet::new(),
            proven: BTreeSet::new(),
            relapsed: BTreeSet::new(),
            alarms: BTreeSet::new(),
        }
    }

    pub(crate) fn add(&mut self, i: usize, wave: usize, host: &Host) {
        self.count(wave, host, |n| *n += 1);
        for (member, set) in self.sets(host) {
            if member {
                set.insert(i);
            }
        }
        for (member, set) in self.sets_by_done(host) {
            if member {
                set.insert((host.done, i));
            }
        }
        if let Some(at) = host.alarm(self.patience) {
            self.alarms.insert((at, i));
        }
    }

    pub(crate) fn remove(&mut self, i: usize, wave: usize, host: &Host) {
        self.count(wave, host, |n| *n -= 1);
        for (member, set) in self.sets(host) {
            if member {
                set.remove(&i);
            }
        }
        for (member, set) in self.sets_by_done(host) {
            if member {
                set.remove(&(host.done, i));
            }
        }
        if let Some(at) = host.alarm(self.patience) {
            self.alarms.remove(&(at, i));
        }
    }

    fn sets(&mut self, host: &Host) -> [(bool, &mut BTreeSet<usize>); 7] {
        [
            (host.startable(), &mut self.startable),
            (host.startable() && !host.available(), &mut self.idle),
            (host.concluded(), &mut self.concluded),
            (host.returned(), &mut self.returned),
            (host.phase == Phase::Working, &mut self.working),
            (host.proven(), &mut self.proven),
            (host.relapse.is_some(), &mut self.relapsed),
        ]
    }

    fn sets_by_done(&mut self, host: &Host) -> [(bool, &mut BTreeSet<(u32, usize)>); 3] {
        let (ready, connected) = (host.ready(), host.connected);
        [
            (ready, &mut self.ready),
            (ready && connected, &mut self.able),
            (ready && connected && !host.available(), &mut self.free),
        ]
    }

    fn count(&mut self, wave: usize, host: &Host, change: fn(&mut u32)) {
        let totals = &mut self.totals;
        change(&mut totals.hosts);
        change(match host.phase {
            Phase::Pending => &mut totals.pending,
            Phase::Working => &mut totals.working,
            Phase::Healthy => &mut totals.healthy,
            Phase::Failed => &mut totals.failed,
            Phase::Unreachable => &mut totals.unreachable,
            Phase::Skipped => &mut totals.skipped,
            Phase::Stopped => &mut totals.stopped,
        });
        if host.touched {
            change(&mut totals.touched);
        }
        if host.available() {
            change(&mut totals.available);
        }
        if host.open() {
            change(&mut self.open[wave]);
        }
        if host.phase == Phase::Healthy {
            change(&mut self.healthy[wave]);
        }
    }
}

//! Outcomes that the disk does not take. They are told all the same, and repeated from here, until it takes them: who
//! waits for one should not have to wait for somebody to clear the disk.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
};

use dv_types::{CommandId, Outcome, Timestamp};

use crate::ledger::Entry;

/// The entries that are still to be written, each with its outcome.
#[derive(Default)]
pub(super) struct Unwritten(Mutex<BTreeMap<CommandId, Entry>>);

impl Unwritten {
    /// The disk did not take `entry`.
    pub(super) fn hold(&self, entry: Entry) {
        self.all().insert(entry.id, entry);
    }

    /// What would be on the disk.
    pub(super) fn find(&self, id: CommandId) -> Option<Entry> {
        self.all().get(&id).cloned()
    }

    /// The coordinator has it; the disk still has not.
    pub(super) fn acknowledge(&self, id: CommandId, now: Timestamp) {
        if let Some(entry) = self.all().get_mut(&id) {
            entry.acknowledged.get_or_insert(now);
        }
    }

    /// The disk has taken `entry`. Says whether that is all, or whether it has changed meanwhile.
    pub(super) fn written(&self, entry: &Entry) -> bool {
        let mut all = self.all();
        let same = all.get(&entry.id).is_none_or(|held| held == entry);
        if same {
            all.remove(&entry.id);
        }
        same
    }

    /// The outcomes that the coordinator may not have.
    pub(super) fn untold(&self) -> Vec<Outcome> {
        let all = self.all();
        let untold = all.values().filter(|entry| entry.acknowledged.is_none());
        untold.filter_map(|entry| entry.outcome.clone()).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all().is_empty()
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<CommandId, Entry>> {
        self.0.lock().expect("no panic under this lock")
    }
}

//! How far journals go that this reign writes.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use dv_types::RolloutId;

/// The last record of each journal, as far as it is known without looking.
#[derive(Debug, Default)]
pub(super) struct Ends(Mutex<HashMap<RolloutId, u64>>);

impl Ends {
    fn known(&self) -> MutexGuard<'_, HashMap<RolloutId, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last record of a journal. From here on it is unknown: it is about to be written, and that may fail.
    pub(super) fn take(&self, id: RolloutId) -> Option<u64> {
        self.known().remove(&id)
    }

    /// It was written up to this record.
    pub(super) fn note(&self, id: RolloutId, last: u64) {
        self.known().insert(id, last);
    }
}

//! Marks, by which a commit whose answer was lost is looked up rather than guessed. A commit takes a slot, expects there
//! the mark of the slot's last commit, and leaves its own. So it happens once, however often it reaches etcd; and
//! whether it happened, its mark tells.

use std::sync::{Mutex, PoisonError};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::chance;

/// Commits that are under way at once.
const SLOTS: usize = 32;

#[derive(Debug)]
pub(super) struct Slots {
    free: Mutex<Vec<Slot>>,
    permits: Semaphore,
}

/// A place for one commit at a time.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) number: usize,
    /// The mark that its last commit left.
    pub(super) last: Option<String>,
}

/// A slot that is taken.
pub(super) struct Taken<'a> {
    slots: &'a Slots,
    permit: SemaphorePermit<'a>,
    pub(super) slot: Slot,
    /// The mark that this commit leaves.
    pub(super) mark: String,
}

impl Slots {
    pub(super) fn new() -> Self {
        let free = (0..SLOTS).map(|number| Slot { number, last: None }).collect();
        Self { free: Mutex::new(free), permits: Semaphore::new(SLOTS) }
    }

    fn free(&self) -> std::sync::MutexGuard<'_, Vec<Slot>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a slot. Nothing, when none is left.
    pub(super) async fn take(&self) -> Option<Taken<'_>> {
        let permit = self.permits.acquire().await.ok()?;
        let slot = self.free().pop()?;
        let mark = chance::bytes::<16>().iter().map(|b| format!("{b:02x}")).collect();
        Some(Taken { slots: self, permit, slot, mark })
    }
}

impl Taken<'_> {
    /// Nobody knows what became of the commit, and so nobody what its slot's mark is: it is not used again.
    pub(super) fn lost(self) {
        self.permit.forget();
    }

    /// The commit happened.
    pub(super) fn done(self) {
        let slot = Slot { number: self.slot.number, last: Some(self.mark) };
        self.slots.free().push(slot);
    }

    /// The commit did not happen, and never will.
    pub(super) fn not_done(self) {
        self.slots.free().push(self.slot);
    }
}

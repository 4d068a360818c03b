//! The outside world on one page: what keeps the state, and what tells the time.

use std::fmt;

use dv_types::Timestamp;
use futures_util::{future::BoxFuture, stream::BoxStream};

use crate::store::{Batch, Key};

/// What a store gives back, later.
pub type Stored<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// Entries, in the order of their keys.
pub type Entries = Vec<(Key, Vec<u8>)>;

/// Everything at one instant, page by page, in the order of the keys.
pub type Snapshot = BoxStream<'static, Result<Entries, StoreError>>;

/// An ordered map that survives the process, and documents beside it. Whatever `commit` and `save_document` answered
/// `Ok` to is durable: it outlives `kill -9` and a power cut. What each store must do is tested by one suite,
/// `tests/it/store/suite.rs`.
pub trait Store: Send + Sync + 'static {
    /// The value at `key`.
    fn get(&self, key: Key) -> Stored<'_, Option<Vec<u8>>>;

    /// Up to `limit` entries under `prefix`, in the order of their keys, those after `after` only. Two pages are two
    /// looks: what is written between them may be in the second.
    fn scan(&self, prefix: Key, after: Option<Key>, limit: usize) -> Stored<'_, Entries>;

    /// Everything at this instant; what is written later is not in it, and writes do not wait for its reader.
    fn snapshot(&self) -> Stored<'_, Snapshot>;

    /// Writes all of `batch` or nothing of it. Nothing, if what it expects does not hold; nothing, if a value is larger
    /// than [`VALUE_LIMIT`](crate::store::VALUE_LIMIT). Of two writes to one key the later one counts.
    fn commit(&self, batch: Batch) -> Stored<'_, ()>;

    /// Keeps a large document, and answers with its SHA-256, in hexadecimal.
    fn save_document(&self, text: String) -> Stored<'_, String>;

    /// The document of this SHA-256.
    fn document(&self, hash: String) -> Stored<'_, Option<String>>;

    /// Up to `limit` names of documents, in order, those after `after` only.
    fn documents(&self, after: Option<String>, limit: usize) -> Stored<'_, Vec<String>>;

    /// Forgets a document; nothing, if it is not there. `false` where a snapshot is held: who reads it goes on to the
    /// documents, so they stay. Of several coordinators over one store, only the one that leads can: another would forget
    /// what was kept since it led.
    fn forget_document(&self, hash: String) -> Stored<'_, bool>;

    /// Whether what it says still counts. Of several coordinators over one store, it counts for the one that leads.
    fn reigns(&self) -> bool {
        true
    }

    /// Whether there is so little room left that nothing new should begin.
    fn shortage(&self) -> Stored<'_, Option<Shortage>>;
}

/// A store that is nearly full: what is under way is still kept, and nothing new should begin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{place} is nearly full: {} MiB are free, and {} MiB must be before anything new begins; make room for {} MiB more",
    free >> 20,
    floor >> 20,
    (floor.saturating_sub(*free) >> 20) + 1
)]
pub struct Shortage {
    /// What is nearly full.
    pub place: String,
    /// What is free, in bytes.
    pub free: u64,
    /// What must be free, in bytes.
    pub floor: u64,
}

/// What tells the time.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Timestamp;

    /// Returns at `at`, or soon after; at once if that is past.
    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()>;
}

/// Why the store did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// What the batch expected does not hold: somebody else wrote first.
    #[error("{0} was changed by somebody else")]
    Conflict(Key),
    /// A value is larger than the store takes.
    #[error("{key} would be {size} bytes; at most {limit} are kept")]
    TooLarge {
        /// Where it should have gone.
        key: Key,
        /// How large it is.
        size: usize,
        /// How large it may be.
        limit: usize,
    },
    /// What is stored can't be read.
    #[error("what is stored at {what} can't be read: {why}")]
    Damaged {
        /// Where.
        what: String,
        /// Why.
        why: String,
    },
    /// Another coordinator leads now, or may: this one writes nothing more.
    #[error("this coordinator does not lead any more")]
    Deposed,
    /// The store could not do it.
    #[error("the store failed: {0}")]
    Failed(String),
}

impl StoreError {
    pub(crate) fn failed(why: impl fmt::Display) -> Self {
        Self::Failed(why.to_string())
    }
}

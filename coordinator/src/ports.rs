//! The outside world on one page: what keeps the state, and what tells the time.

use std::fmt;

use dv_types::Timestamp;
use futures_util::future::BoxFuture;

use crate::store::{Batch, Key};

/// What a store gives back, later.
pub type Stored<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// An ordered map that survives the process. Whatever `commit` answered `Ok` to is durable.
pub trait Store: Send + Sync + 'static {
    /// The value at `key`.
    fn get(&self, key: Key) -> Stored<'_, Option<Vec<u8>>>;

    /// Up to `limit` entries under `prefix`, in the order of their keys, those after `after` only.
    fn scan(
        &self,
        prefix: Key,
        after: Option<Key>,
        limit: usize,
    ) -> Stored<'_, Vec<(Key, Vec<u8>)>>;

    /// Writes all of `batch` or nothing of it. Nothing, if what it expects does not hold.
    fn commit(&self, batch: Batch) -> Stored<'_, ()>;

    /// Keeps a large document, and answers with its SHA-256.
    fn save_document(&self, text: String) -> Stored<'_, String>;

    /// The document of this SHA-256.
    fn document(&self, hash: String) -> Stored<'_, Option<String>>;
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
    /// The store could not do it.
    #[error("the store failed: {0}")]
    Failed(String),
}

impl StoreError {
    pub(crate) fn failed(why: impl fmt::Display) -> Self {
        Self::Failed(why.to_string())
    }
}

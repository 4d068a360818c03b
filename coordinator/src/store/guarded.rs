//! A store that tells when a write of it failed. sled, once a write of its log has failed, fails for ever, until it
//! is opened anew: a coordinator that went on would command nothing and look alive.

use std::sync::Arc;

use tokio::sync::watch;

use super::{Batch, Key};
use crate::ports::{Entries, Shortage, Snapshot, Store, StoreError, Stored};

/// A store, and the first failed write of it.
pub(crate) struct Guarded {
    store: Arc<dyn Store>,
    broken: watch::Sender<Option<StoreError>>,
}

impl Guarded {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, broken: watch::Sender::new(None) }
    }

    /// Turns when a write has failed.
    pub(crate) fn broken(&self) -> watch::Receiver<Option<StoreError>> {
        self.broken.subscribe()
    }

    /// Of what a write answers, only these say that the store takes no more; the rest says that it must not.
    fn look<T>(&self, written: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(why @ (StoreError::Failed(_) | StoreError::Deposed)) = &written {
            self.broken.send_if_modified(|broken| {
                let first = broken.is_none();
                broken.get_or_insert_with(|| why.clone());
                first
            });
        }
        written
    }
}

impl Store for Guarded {
    fn get(&self, key: Key) -> Stored<'_, Option<Vec<u8>>> {
        self.store.get(key)
    }

    fn scan(&self, prefix: Key, after: Option<Key>, limit: usize) -> Stored<'_, Entries> {
        self.store.scan(prefix, after, limit)
    }

    fn snapshot(&self) -> Stored<'_, Snapshot> {
        self.store.snapshot()
    }

    fn commit(&self, batch: Batch) -> Stored<'_, ()> {
        Box::pin(async move { self.look(self.store.commit(batch).await) })
    }

    fn save_document(&self, text: String) -> Stored<'_, String> {
        Box::pin(async move { self.look(self.store.save_document(text).await) })
    }

    fn document(&self, hash: String) -> Stored<'_, Option<String>> {
        self.store.document(hash)
    }

    fn documents(&self, after: Option<String>, limit: usize) -> Stored<'_, Vec<String>> {
        self.store.documents(after, limit)
    }

    fn forget_document(&self, hash: String) -> Stored<'_, bool> {
        Box::pin(async move { self.look(self.store.forget_document(hash).await) })
    }

    fn reigns(&self) -> bool {
        self.store.reigns()
    }

    fn shortage(&self) -> Stored<'_, Option<Shortage>> {
        self.store.shortage()
    }
}

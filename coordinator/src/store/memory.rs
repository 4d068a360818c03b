//! A store that lives as long as its value: for tests and simulation. Clones share what they keep.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use futures_util::{StreamExt as _, stream};

use super::{Batch, Key, hash};
use crate::ports::{Entries, Shortage, Snapshot, Store, StoreError, Stored};

#[derive(Debug, Default)]
struct Content {
    entries: BTreeMap<Key, Vec<u8>>,
    documents: BTreeMap<String, String>,
    failing: bool,
    shortage: Option<Shortage>,
    /// Snapshots that are held.
    readers: Weak<()>,
}

/// A store in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore(Arc<Mutex<Content>>);

impl MemoryStore {
    /// Makes every write fail, or no longer.
    pub fn fail_writes(&self, failing: bool) {
        self.with(|content| content.failing = failing);
    }

    /// Lets room be short, or no longer.
    pub fn run_short(&self, shortage: Option<Shortage>) {
        self.with(|content| content.shortage = shortage);
    }

    fn with<T>(&self, act: impl FnOnce(&mut Content) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Content {
    fn writable(&self) -> Result<(), StoreError> {
        if self.failing {
            return Err(StoreError::Failed("it was told to fail".to_owned()));
        }
        Ok(())
    }

    fn is_read(&self) -> bool {
        self.readers.strong_count() > 0
    }

    fn commit(&mut self, batch: Batch) -> Result<(), StoreError> {
        self.writable()?;
        batch.check()?;
        for (key, expected) in &batch.expected {
            if self.entries.get(key) != expected.as_ref() {
                return Err(StoreError::Conflict(key.clone()));
            }
        }
        for write in batch.writes {
            match write.value {
                Some(value) => self.entries.insert(write.key, value),
                None => self.entries.remove(&write.key),
            };
        }
        Ok(())
    }
}

impl Store for MemoryStore {
    fn get(&self, key: Key) -> Stored<'_, Option<Vec<u8>>> {
        Box::pin(async move { Ok(self.with(|content| content.entries.get(&key).cloned())) })
    }

    fn scan(&self, prefix: Key, after: Option<Key>, limit: usize) -> Stored<'_, Entries> {
        Box::pin(async move {
            let found = self.with(|content| {
                content
                    .entries
                    .range(prefix.clone()..)
                    .take_while(|(key, _)| key.starts_with(&prefix))
                    .skip_while(|(key, _)| after.as_ref().is_some_and(|after| *key <= after))
                    .take(limit)
                    .map(|(key, value)| (key.clone(), value.clone()))
                    .collect()
            });
            Ok(found)
        })
    }

    fn snapshot(&self) -> Stored<'_, Snapshot> {
        Box::pin(async move {
            let (entries, reader) = self.with(|content| {
                let reader = content.readers.upgrade().unwrap_or_default();
                content.readers = Arc::downgrade(&reader);
                (content.entries.clone(), reader)
            });
            let entries = Ok(entries.into_iter().collect());
            // As long as the snapshot is held, and not only until its end.
            Ok(stream::iter([entries]).inspect(move |_| drop(Arc::clone(&reader))).boxed())
        })
    }

    fn commit(&self, batch: Batch) -> Stored<'_, ()> {
        Box::pin(async move { self.with(|content| content.commit(batch)) })
    }

    fn save_document(&self, text: String) -> Stored<'_, String> {
        Box::pin(async move {
            self.with(|content| {
                content.writable()?;
                let hash = hash(&text);
                content.documents.insert(hash.clone(), text);
                Ok(hash)
            })
        })
    }

    fn document(&self, hash: String) -> Stored<'_, Option<String>> {
        Box::pin(async move { Ok(self.with(|content| content.documents.get(&hash).cloned())) })
    }

    fn documents(&self, after: Option<String>, limit: usize) -> Stored<'_, Vec<String>> {
        Box::pin(async move {
            let from = after.map_or(Bound::Unbounded, Bound::Excluded);
            let names = self.with(|content| {
                let later = content.documents.range((from, Bound::Unbounded));
                later.take(limit).map(|(name, _)| name.clone()).collect()
            });
            Ok(names)
        })
    }

    fn forget_document(&self, hash: String) -> Stored<'_, bool> {
        Box::pin(async move {
            self.with(|content| {
                content.writable()?;
                if content.is_read() {
                    return Ok(false);
                }
                content.documents.remove(&hash);
                Ok(true)
            })
        })
    }

    fn shortage(&self) -> Stored<'_, Option<Shortage>> {
        Box::pin(async move { Ok(self.with(|content| content.shortage.clone())) })
    }
}

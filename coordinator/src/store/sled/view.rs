//! What the store held at one instant, read while it is written: before a key is written that a reader has not come to,
//! what it holds is put aside for that reader.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use crate::{
    ports::{Entries, StoreError},
    store::Key,
};

/// Entries that are read at once.
const PAGE: usize = 512;

/// One reader's view.
#[derive(Debug, Default)]
pub(super) struct View(Mutex<Progress>);

#[derive(Debug, Default)]
struct Progress {
    /// The last key that was read from the store; all up to it have been handed out.
    last: Option<Key>,
    ended: bool,
    /// What the keys after it held that have been written since.
    aside: BTreeMap<Key, Option<Vec<u8>>>,
}

/// The views that are being read.
#[derive(Debug, Clone, Default)]
pub(super) struct Views(Arc<Mutex<Vec<Weak<View>>>>);

impl Views {
    /// Begins a view of this instant.
    pub(super) fn begin(&self) -> Arc<View> {
        let view = Arc::default();
        held(&self.0).push(Arc::downgrade(&view));
        view
    }

    /// Whether anybody holds one.
    pub(super) fn are_held(&self) -> bool {
        held(&self.0).iter().any(|view| view.strong_count() > 0)
    }

    /// Writes these keys by `write`. No view begins meanwhile.
    pub(super) fn before<'a, T>(
        &self,
        db: &sled::Db,
        keys: impl Iterator<Item = &'a Key> + Clone,
        write: impl FnOnce() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut views = held(&self.0);
        views.retain(|view| view.strong_count() > 0);
        for view in views.iter().filter_map(Weak::upgrade) {
            held(&view.0).put_aside(db, keys.clone())?;
        }
        write()
    }
}

impl View {
    /// The next entries; none, when all have been handed out.
    pub(super) fn page(&self, db: &sled::Db) -> Result<Entries, StoreError> {
        held(&self.0).page(db)
    }
}

impl Progress {
    fn put_aside<'a>(
        &mut self,
        db: &sled::Db,
        keys: impl Iterator<Item = &'a Key>,
    ) -> Result<(), StoreError> {
        for key in keys {
            if self.ended
                || self.last.as_ref().is_some_and(|last| key <= last)
                || self.aside.contains_key(key)
            {
                continue;
            }
            let value = db.get(key.as_bytes()).map_err(StoreError::failed)?;
            self.aside.insert(key.clone(), value.map(|value| value.to_vec()));
        }
        Ok(())
    }

    /// The next entries, as they were; none, at the end.
    fn page(&mut self, db: &sled::Db) -> Result<Entries, StoreError> {
        while !self.ended {
            let start = self.last.as_ref().map_or_else(|| Key::from_bytes(&[]), Key::successor);
            let mut page = BTreeMap::new();
            for entry in db.range(start.as_bytes()..).take(PAGE) {
                let (key, value) = entry.map_err(StoreError::failed)?;
                page.insert(Key::from_bytes(&key), Some(value.to_vec()));
            }
            self.ended = page.len() < PAGE;
            self.last = page.last_key_value().map(|(key, _)| key.clone());
            // What was deleted since is no longer in the store, and what is new since was not in it.
            let later = match &self.last {
                Some(last) if !self.ended => self.aside.split_off(&last.successor()),
                _ => BTreeMap::new(),
            };
            page.extend(std::mem::replace(&mut self.aside, later));
            let page: Entries =
                page.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
            if !page.is_empty() {
                return Ok(page);
            }
        }
        Ok(Entries::new())
    }
}

/// A poisoned lock's content is as good as ever: nothing is done to it by halves.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

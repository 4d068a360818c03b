//! The default store: sled, in the coordinator's state directory.

mod compact;
mod copies;
mod cure;
mod mark;
mod notes;
mod open;
mod restore;
mod room;
mod view;
mod writer;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

pub use self::{compact::Compaction, restore::Restored};
use self::{view::Views, writer::Writer};
use super::{Batch, Key, documents::Documents};
use crate::ports::{Entries, Shortage, Snapshot, Store, StoreError, Stored};

/// The store can't be opened.
#[derive(Debug, thiserror::Error)]
#[error("the store in {} can't be opened: {why}", directory.display())]
pub struct OpenError {
    directory: PathBuf,
    why: String,
}

/// A backup can't be restored.
#[derive(Debug, thiserror::Error)]
#[error("nothing was restored: {0}")]
pub struct RestoreError(String);

/// sled for what is small, files for documents. sled is opened and written here and nowhere else.
#[derive(Debug)]
pub struct SledStore {
    db: sled::Db,
    writer: Writer,
    views: Views,
    documents: Documents,
    state_dir: PathBuf,
    floor: u64,
}

/// Below this, nothing new begins. In bytes.
pub const DEFAULT_FLOOR: u64 = 256 << 20;

impl SledStore {
    /// Opens the store in `state_dir`, or makes it. Nothing new begins there when less than `floor` bytes of its disk
    /// are free.
    pub fn open(state_dir: &Path, floor: u64) -> Result<Self, OpenError> {
        Self::open_and_compact(state_dir, floor, Compaction::default())
    }

    /// The same; it is written anew if it has become so large.
    pub fn open_and_compact(
        state_dir: &Path,
        floor: u64,
        compaction: Compaction,
    ) -> Result<Self, OpenError> {
        let refuse = |why: String| OpenError { directory: state_dir.join("store"), why };
        let opened = open::open(state_dir, compaction).map_err(refuse)?;
        let documents = Documents::open(&state_dir.join("documents"));
        let documents = documents.map_err(|why| refuse(why.to_string()))?;
        let (db, views) = (opened.db.clone(), Views::default());
        let writer = Writer::start(opened, views.clone(), state_dir);
        let writer = writer.map_err(|why| refuse(why.to_string()))?;
        Ok(Self { db, writer, views, documents, state_dir: state_dir.to_owned(), floor })
    }
}

impl SledStore {
    /// Puts a backup in the place of what `state_dir` holds; where that is something, only if `replace` says so. What was
    /// there is moved aside.
    pub fn restore(
        state_dir: &Path,
        from: impl std::io::BufRead,
        replace: bool,
    ) -> Result<Restored, RestoreError> {
        restore::restore(state_dir, from, replace).map_err(RestoreError)
    }
}

impl Store for SledStore {
    fn get(&self, key: Key) -> Stored<'_, Option<Vec<u8>>> {
        let db = self.db.clone();
        blocking(move || {
            let value = db.get(key.as_bytes()).map_err(StoreError::failed)?;
            Ok(value.map(|value| value.to_vec()))
        })
    }

    fn scan(&self, prefix: Key, after: Option<Key>, limit: usize) -> Stored<'_, Entries> {
        let db = self.db.clone();
        blocking(move || {
            let start = match &after {
                Some(after) => after.successor().max(prefix.clone()),
                None => prefix.clone(),
            };
            let mut found = Vec::new();
            for entry in db.range(start.as_bytes()..).take(limit) {
                let (key, value) = entry.map_err(StoreError::failed)?;
                let key = Key::from_bytes(&key);
                if !key.starts_with(&prefix) {
                    break;
                }
                found.push((key, value.to_vec()));
            }
            Ok(found)
        })
    }

    fn snapshot(&self) -> Stored<'_, Snapshot> {
        let db = self.db.clone();
        let view = self.views.begin();
        let held = Arc::clone(&view);
        let pages = stream::try_unfold((db, view), async |(db, view)| {
            let (page, db, view) = blocking(move || {
                let page = view.page(&db)?;
                Ok((page, db, view))
            })
            .await?;
            Ok((!page.is_empty()).then_some((page, (db, view))))
        });
        // As long as the snapshot is held, and not only until its end.
        let pages = pages.inspect_ok(move |_| drop(Arc::clone(&held)));
        Box::pin(async move { Ok(pages.boxed()) })
    }

    fn commit(&self, batch: Batch) -> Stored<'_, ()> {
        Box::pin(self.writer.commit(batch))
    }

    fn save_document(&self, text: String) -> Stored<'_, String> {
        let documents = self.documents.clone();
        blocking(move || documents.save(&text))
    }

    fn document(&self, hash: String) -> Stored<'_, Option<String>> {
        let documents = self.documents.clone();
        blocking(move || documents.load(&hash))
    }

    fn documents(&self, after: Option<String>, limit: usize) -> Stored<'_, Vec<String>> {
        let documents = self.documents.clone();
        blocking(move || documents.names(after.as_deref(), limit))
    }

    fn forget_document(&self, hash: String) -> Stored<'_, bool> {
        let (documents, views) = (self.documents.clone(), self.views.clone());
        blocking(move || match views.are_held() {
            true => Ok(false),
            false => documents.forget(&hash).map(|()| true),
        })
    }

    fn shortage(&self) -> Stored<'_, Option<Shortage>> {
        let (state_dir, floor) = (self.state_dir.clone(), self.floor);
        blocking(move || room::shortage(&state_dir, floor).map_err(StoreError::failed))
    }
}

fn blocking<'a, T: Send + 'static>(
    act: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Stored<'a, T> {
    Box::pin(async move {
        tokio::task::spawn_blocking(act).await.unwrap_or_else(|why| Err(StoreError::failed(why)))
    })
}

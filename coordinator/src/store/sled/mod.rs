//! The default store: sled, in the coordinator's state directory.

mod view;
mod writer;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use futures_util::{StreamExt as _, stream};

use self::{view::Views, writer::Writer};
use super::{Batch, Key, documents::Documents};
use crate::{
    files,
    ports::{Entries, Shortage, Snapshot, Store, StoreError, Stored},
};

/// The store can't be opened.
#[derive(Debug, thiserror::Error)]
#[error("the store in {} can't be opened: {why}", directory.display())]
pub struct OpenError {
    directory: PathBuf,
    why: String,
}

/// sled for what is small, files for documents.
#[derive(Debug)]
pub struct SledStore {
    db: sled::Db,
    writer: Writer,
    views: Views,
    documents: Documents,
}

/// sled's own default is 1 GiB.
const CACHE: u64 = 64 * 1024 * 1024;

/// A coordinator that was killed may hold its lock for a moment longer.
const LOCK_TRIES: u32 = 20;

impl SledStore {
    /// Opens the store in `state_dir`, or makes it.
    pub fn open(state_dir: &Path) -> Result<Self, OpenError> {
        let directory = state_dir.join("store");
        let refuse = |why: &dyn std::fmt::Display| OpenError {
            directory: directory.clone(),
            why: why.to_string(),
        };
        files::private_directory(&directory).map_err(|why| refuse(&why))?;
        let documents =
            Documents::open(&state_dir.join("documents")).map_err(|why| refuse(&why))?;
        let db = open_patiently(&directory).map_err(|why| refuse(&why))?;
        let views = Views::default();
        let writer =
            Writer::start(db.clone(), views.clone(), &directory).map_err(|why| refuse(&why))?;
        Ok(Self { db, writer, views, documents })
    }
}

#[expect(clippy::disallowed_methods, reason = "nothing runs yet that would wait for this")]
fn open_patiently(directory: &Path) -> Result<sled::Db, String> {
    let mut tries = 1;
    loop {
        match open(directory) {
            Err(why) if tries < LOCK_TRIES && why.contains("could not acquire lock") => {
                tries += 1;
                std::thread::sleep(Duration::from_millis(100));
            }
            opened => return opened,
        }
    }
}

fn open(directory: &Path) -> Result<sled::Db, String> {
    let open = || sled::Config::new().path(directory).cache_capacity(CACHE).open();
    // sled panics on some damaged files.
    match std::panic::catch_unwind(open) {
        Ok(opened) => opened.map_err(|why| one_line(&why.to_string())),
        Err(_) => Err("the disk is full or broken, or its files are damaged: make room; if that is not it, restore a copy of the directory".to_owned()),
    }
}

/// The last words of a start that failed are one line of the log.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
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
        let pages = stream::try_unfold((db, view), async |(db, view)| {
            let (page, db, view) = blocking(move || {
                let page = view.page(&db)?;
                Ok((page, db, view))
            })
            .await?;
            Ok((!page.is_empty()).then_some((page, (db, view))))
        });
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

    fn forget_document(&self, hash: String) -> Stored<'_, ()> {
        let documents = self.documents.clone();
        blocking(move || documents.forget(&hash))
    }

    fn shortage(&self) -> Stored<'_, Option<Shortage>> {
        Box::pin(async { Ok(None) })
    }
}

fn blocking<'a, T: Send + 'static>(
    act: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Stored<'a, T> {
    Box::pin(async move {
        tokio::task::spawn_blocking(act).await.unwrap_or_else(|why| Err(StoreError::failed(why)))
    })
}

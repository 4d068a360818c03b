//! The default store: sled, in the coordinator's state directory.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{Batch, Key, documents::Documents, sled_writer::Writer};
use crate::{
    files,
    ports::{Store, StoreError, Stored},
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
        let writer = Writer::start(db.clone(), &directory).map_err(|why| refuse(&why))?;
        Ok(Self { db, writer, documents })
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

    fn scan(
        &self,
        prefix: Key,
        after: Option<Key>,
        limit: usize,
    ) -> Stored<'_, Vec<(Key, Vec<u8>)>> {
        let db = self.db.clone();
        blocking(move || {
            let mut start = after.as_ref().unwrap_or(&prefix).as_bytes().to_vec();
            if after.is_some() {
                // The next key there can be.
                start.push(0);
            }
            let mut found = Vec::new();
            for entry in db.range(start..).take(limit) {
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
}

fn blocking<'a, T: Send + 'static>(
    act: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Stored<'a, T> {
    Box::pin(async move {
        tokio::task::spawn_blocking(act).await.unwrap_or_else(|why| Err(StoreError::failed(why)))
    })
}

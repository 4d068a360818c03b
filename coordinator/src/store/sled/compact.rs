//! sled's files never shrink. One that has become much larger than what is in it is written anew, at a start.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    mark::Mark,
    open::{Progress, one_line, patiently},
    room,
};
use crate::files;

/// When a store is written anew.
#[derive(Debug, Clone, Copy)]
pub struct Compaction {
    /// A smaller one is left as it is. In bytes.
    pub above: u64,
    /// How many times its content it may be.
    pub times: u64,
}

impl Default for Compaction {
    fn default() -> Self {
        Self { above: 64 << 20, times: 8 }
    }
}

/// What is written to the new one at once, in bytes.
const PORTION: usize = 1 << 20;

/// A store that is to be switched to.
pub(super) struct New(PathBuf);

/// Makes a new store of the same content, if this one is much larger than its content. sled's own measure.
pub(super) fn compacted(
    state_dir: &Path,
    db: &sled::Db,
    mark: &Mark,
    when: Compaction,
) -> Result<Option<New>, String> {
    let plain = |why: sled::Error| one_line(&why.to_string());
    let size = db.size_on_disk().map_err(plain)?;
    if size < when.above {
        return Ok(None);
    }
    let mut live = 0;
    for entry in db.iter() {
        let (key, value) = entry.map_err(plain)?;
        live += (key.len() + value.len()) as u64;
    }
    if size < live.saturating_mul(when.times) {
        return Ok(None);
    }
    let free = room::free(state_dir).map_err(|why| why.to_string())?;
    if free < 4 * live + when.above {
        return Err(format!("{} MiB are free, and it holds {} MiB", free >> 20, live >> 20));
    }
    let entries = db.iter().map(|entry| {
        let (key, value) = entry.map_err(plain)?;
        Ok((key.to_vec(), value.to_vec()))
    });
    let new = write(state_dir, entries, mark)?;
    let smaller = files::size(&new.0).map_err(|why| why.to_string())?;
    tracing::info!(
        "the store had grown to {} MiB and holds {} MiB: it was written anew and has {} MiB",
        size >> 20,
        live >> 20,
        smaller >> 20,
    );
    Ok(Some(new))
}

/// Writes a new store beside the one there is.
pub(super) fn write(
    state_dir: &Path,
    entries: impl Iterator<Item = Result<(Vec<u8>, Vec<u8>), String>>,
    mark: &Mark,
) -> Result<New, String> {
    let plain = |why: sled::Error| one_line(&why.to_string());
    let directory = state_dir.join("store.new");
    if directory.exists() {
        fs::remove_dir_all(&directory).map_err(|why| why.to_string())?;
    }
    files::private_directory(&directory).map_err(|why| why.to_string())?;
    let db = patiently(&directory)?;
    let (mut batch, mut waiting) = (sled::Batch::default(), 0);
    for entry in entries {
        let (key, value) = entry?;
        waiting += key.len() + value.len();
        batch.insert(key, value);
        if waiting >= PORTION {
            db.apply_batch(std::mem::take(&mut batch)).map_err(plain)?;
            waiting = 0;
        }
    }
    db.apply_batch(batch).map_err(plain)?;
    Progress::open(&db)?.put(&mark.store, mark.revision)?;
    db.flush().map_err(plain)?;
    drop(db);
    files::sync_tree(&directory).map_err(|why| why.to_string())?;
    Ok(New(directory))
}

/// Puts a new store in the place of the old one.
pub(super) fn switch(state_dir: &Path, new: New) -> io::Result<()> {
    let (store, old) = (state_dir.join("store"), state_dir.join("store.old"));
    if store.exists() {
        fs::rename(&store, &old)?;
    }
    files::sync_directory(state_dir)?;
    fs::rename(new.0, &store)?;
    settle(state_dir)
}

/// Ends a switch that was interrupted: forward, if the new store is in its place, else back.
pub(super) fn settle(state_dir: &Path) -> io::Result<()> {
    let (store, old) = (state_dir.join("store"), state_dir.join("store.old"));
    if old.exists() && !store.exists() {
        fs::rename(&old, &store)?;
    }
    files::sync_directory(state_dir)?;
    for rest in [old, state_dir.join("store.new")] {
        if rest.exists() {
            fs::remove_dir_all(rest)?;
        }
    }
    Ok(())
}

//! Copies of a store that nobody had closed, made before it is opened: opening it mends its files by writing, and what
//! is mended wrongly can't be mended again.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use super::room;
use crate::files;

/// Copies that are kept.
const KEPT: usize = 2;

/// Copies `store` to `state_dir/copies`, and removes the oldest ones. Not where the disk has too little room: that is
/// said, and no reason not to start.
pub(super) fn copy(state_dir: &Path, store: &Path, revision: u64) {
    match try_copy(state_dir, store, revision) {
        Ok(Ok(copy)) => tracing::info!(
            copy = %copy.display(),
            "the coordinator was not stopped in order, so its store was copied before it was opened"
        ),
        Ok(Err(short)) => tracing::warn!("the store is opened without a copy: {short}"),
        Err(why) => tracing::warn!(%why, "the store is opened without a copy"),
    }
}

fn try_copy(state_dir: &Path, store: &Path, revision: u64) -> io::Result<Result<PathBuf, String>> {
    let copies = state_dir.join("copies");
    files::private_directory(&copies)?;
    // The newest one is always left.
    remove_oldest(&copies, KEPT - 1)?;
    let size = files::size(store)?;
    let free = room::free(state_dir)?;
    if free < 4 * size {
        return Ok(Err(format!("{} MiB are free, and it has {} MiB", free >> 20, size >> 20)));
    }
    // What is noted may lag behind the store: of two copies at one revision neither is put in the other's place.
    let name = |n: u32| match n {
        0 => format!("revision-{revision:012}"),
        n => format!("revision-{revision:012}.{n:03}"),
    };
    let mut names = (0..).map(|n| copies.join(name(n)));
    let copy =
        names.find(|copy| !copy.exists()).ok_or_else(|| io::Error::other("no name is free"))?;
    let new = copies.join("new");
    if new.exists() {
        fs::remove_dir_all(&new)?;
    }
    files::copy_directory(store, &new)?;
    fs::rename(&new, &copy)?;
    File::open(&copies)?.sync_all()?;
    Ok(Ok(copy))
}

fn remove_oldest(copies: &Path, keep: usize) -> io::Result<()> {
    let mut found =
        fs::read_dir(copies)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    found.sort();
    for old in found.iter().rev().skip(keep) {
        fs::remove_dir_all(old)?;
    }
    Ok(())
}

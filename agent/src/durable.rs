//! Files that are whole after a crash: either the old text or the new one.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
};

use tokio::sync::oneshot;

use crate::ports::Disk;

/// What a file is called while it is being written. Left behind only by a crash.
pub(crate) const TEMPORARY: &str = ".tmp";

/// Writes `path` anew: beside it first, then renamed over it, both on the disk when this returns.
pub(crate) fn write(disk: &dyn Disk, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let temporary = temporary(path);
    remove(disk, &temporary)?;
    let written = (|| {
        disk.create(&temporary, bytes, mode)?;
        disk.sync(&temporary)?;
        disk.rename(&temporary, path)
    })();
    if written.is_err() {
        // Gives the space back, where it was space that was missing.
        let _ = disk.remove(&temporary);
    }
    written?;
    sync_directory(disk, path)
}

/// Removes `path` if it is there.
pub(crate) fn remove(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    match disk.remove(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// The same, and when this returns it is gone after a power cut too.
pub(crate) fn remove_for_good(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    remove(disk, path)?;
    sync_directory(disk, path)
}

/// Does `work`, which waits for the disk, where that holds nobody up, and to its end.
pub(crate) async fn apart<T: Send + 'static>(
    disk: &dyn Disk,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    let (tell, told) = oneshot::channel();
    // Whoever asked may be gone.
    disk.apart(Box::new(move || drop(tell.send(work())))).await;
    told.await.expect("it does not panic, and is done to its end")
}

fn temporary(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(TEMPORARY);
    name.into()
}

fn sync_directory(disk: &dyn Disk, of: &Path) -> io::Result<()> {
    match of.parent() {
        Some(directory) => disk.sync(directory),
        None => Ok(()),
    }
}

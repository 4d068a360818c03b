//! Room on the disk. sled can't be opened on a full one, so nothing new begins long before that.

use std::{io, path::Path};

use crate::ports::Shortage;

/// So much must be free for the store to be opened: sled writes when it recovers. In bytes.
const TO_OPEN: u64 = 16 << 20;

/// What is free in a directory for those who are not root, in bytes.
pub(super) fn free(directory: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(directory)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// What is missing, if less than `floor` bytes are free.
pub(super) fn shortage(directory: &Path, floor: u64) -> io::Result<Option<Shortage>> {
    let free = free(directory)?;
    let place = || directory.display().to_string();
    Ok((free < floor).then(|| Shortage { place: place(), free, floor }))
}

/// Refuses a disk on which the store can't be opened.
pub(super) fn enough_to_open(directory: &Path) -> Result<(), String> {
    let free = free(directory).map_err(|why| format!("{}: {why}", directory.display()))?;
    if free >= TO_OPEN {
        return Ok(());
    }
    Err(format!(
        "its disk is full: {} MiB are free and {} MiB are needed; make room for {} MiB more, and it starts where it was. \
         Nothing of it is lost",
        free >> 20,
        TO_OPEN >> 20,
        ((TO_OPEN - free) >> 20) + 1,
    ))
}

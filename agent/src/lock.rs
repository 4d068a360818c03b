//! One agent at a time: two with one ledger could do a command twice.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use rustix::fs::{FlockOperation, flock};

use crate::{adapter::disk::HostDisk, ports::Disk};

/// Held as long as this lives, and no longer than the process.
pub(crate) struct Lock(#[expect(dead_code, reason = "the lock is on the open file")] File);

impl Lock {
    /// Takes the lock of a state directory, making the directory if it is not there.
    pub(crate) fn take(state_dir: &Path) -> io::Result<Self> {
        HostDisk.private_directory(state_dir)?;
        let path = state_dir.join("lock");
        let file =
            OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|e| match e {
            rustix::io::Errno::WOULDBLOCK => io::Error::other("another agent is using it"),
            other => other.into(),
        })?;
        Ok(Self(file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let held = Lock::take(dir.path()).unwrap();
        assert!(Lock::take(dir.path()).is_err());
        drop(held);
        assert!(Lock::take(dir.path()).is_ok());
    }
}

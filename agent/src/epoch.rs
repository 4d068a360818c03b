//! The fence: an agent obeys no reign lower than one that it has seen, not even after a restart.

use std::{
    io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard},
};

use dv_types::Epoch;

use crate::{durable, ports::Disk};

/// The highest epoch that was seen.
pub(crate) struct Fence {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    seen: Mutex<Seen>,
}

struct Seen {
    highest: Epoch,
    /// What the disk has of it.
    kept: Epoch,
}

/// Why a message is not obeyed.
#[derive(Debug, thiserror::Error)]
#[error("its epoch {theirs} is over: this host has seen epoch {highest}")]
pub(crate) struct Over {
    theirs: Epoch,
    highest: Epoch,
}

impl Fence {
    /// Takes up where the file left off.
    pub(crate) fn open(disk: Arc<dyn Disk>, path: PathBuf) -> io::Result<Self> {
        let highest = match disk.read(&path) {
            Ok(text) => String::from_utf8_lossy(&text).trim().parse().map(Epoch).map_err(|_| {
                io::Error::other(format!(
                    "{} is damaged; remove it if this host shall obey any coordinator that knows its certificate",
                    path.display()
                ))
            })?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => Epoch::default(),
            Err(e) => return Err(e),
        };
        Ok(Self { disk, path, seen: Mutex::new(Seen { highest, kept: highest }) })
    }

    /// Lets a message of `epoch` pass, and no lower one after it.
    pub(crate) fn pass(&self, epoch: Epoch) -> Result<(), Over> {
        let mut seen = self.seen();
        if epoch < seen.highest {
            return Err(Over { theirs: epoch, highest: seen.highest });
        }
        seen.highest = epoch;
        Ok(())
    }

    /// Whether the highest epoch outlives a restart, so that a command of it may be begun; it is written where it does not yet.
    /// A disk that does not take it holds up the commands, and not the link.
    pub(crate) fn keep(&self) -> Result<(), String> {
        let mut seen = self.seen();
        let epoch = seen.highest;
        if seen.kept < epoch {
            durable::write(&*self.disk, &self.path, format!("{epoch}\n").as_bytes(), 0o600)
                .map_err(|why| {
                    format!("epoch {epoch} can't be written to {}: {why}", self.path.display())
                })?;
            seen.kept = epoch;
        }
        Ok(())
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("no panic under this lock")
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::adapter::disk::HostDisk;

    fn open(path: PathBuf) -> io::Result<Fence> {
        Fence::open(Arc::new(HostDisk), path)
    }

    #[test]
    fn a_lower_epoch_does_not_pass_after_a_restart_either() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("epoch");
        let fence = open(path.clone()).unwrap();
        fence.pass(Epoch(3)).unwrap();
        fence.pass(Epoch(3)).unwrap();
        fence.keep().unwrap();
        assert!(fence.pass(Epoch(2)).is_err());
        let fence = open(path.clone()).unwrap();
        assert!(fence.pass(Epoch(2)).is_err());
        fence.pass(Epoch(4)).unwrap();

        fs::write(&path, "four").unwrap();
        assert!(open(path).is_err());
    }

    #[test]
    fn an_epoch_that_can_not_be_kept_is_seen_and_lets_no_command_begin() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("missing");
        let fence = open(place.join("epoch")).unwrap();
        fence.pass(Epoch(1)).unwrap();
        assert!(fence.keep().is_err() && fence.keep().is_err());
        assert!(fence.pass(Epoch(0)).is_err());
        fs::create_dir(&place).unwrap();
        fence.keep().unwrap();
        assert!(open(place.join("epoch")).unwrap().pass(Epoch(0)).is_err());
    }
}

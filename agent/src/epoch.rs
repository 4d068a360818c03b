//! The fence: an agent obeys no reign lower than one that it has seen, not even after a restart.

use std::{
    io,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use dv_types::Epoch;

use crate::{durable, ports::Disk};

/// The highest epoch that was seen, on the disk.
pub(crate) struct Fence {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    highest: Mutex<Epoch>,
}

/// Why a message is not obeyed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fenced {
    #[error("its epoch {theirs} is over: this host has seen epoch {highest}")]
    Over { theirs: Epoch, highest: Epoch },
    #[error("epoch {theirs} can't be written to {}: {why}", path.display())]
    Unwritten { theirs: Epoch, path: PathBuf, why: io::Error },
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
        Ok(Self { disk, path, highest: Mutex::new(highest) })
    }

    /// Lets a message of `epoch` pass, and no lower one after it.
    pub(crate) fn pass(&self, epoch: Epoch) -> Result<(), Fenced> {
        let mut highest = self.highest.lock().expect("no panic under this lock");
        if epoch < *highest {
            return Err(Fenced::Over { theirs: epoch, highest: *highest });
        }
        if epoch > *highest {
            durable::write(&*self.disk, &self.path, format!("{epoch}\n").as_bytes(), 0o600)
                .map_err(|why| Fenced::Unwritten { theirs: epoch, path: self.path.clone(), why })?;
            *highest = epoch;
        }
        Ok(())
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
        assert!(matches!(fence.pass(Epoch(2)), Err(Fenced::Over { .. })));
        let fence = open(path.clone()).unwrap();
        assert!(matches!(fence.pass(Epoch(2)), Err(Fenced::Over { .. })));
        fence.pass(Epoch(4)).unwrap();

        fs::write(&path, "four").unwrap();
        assert!(open(path).is_err());
    }

    #[test]
    fn an_epoch_that_can_not_be_kept_is_not_obeyed() {
        let dir = tempfile::tempdir().unwrap();
        let fence = open(dir.path().join("missing/epoch")).unwrap();
        assert!(matches!(fence.pass(Epoch(1)), Err(Fenced::Unwritten { .. })));
        assert!(matches!(fence.pass(Epoch(1)), Err(Fenced::Unwritten { .. })));
    }
}

//! A small file beside the store that says which store it is and how far it had come. sled can open damaged files as
//! if nothing had ever been in them; this file tells.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{chance, files};

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// Which store it is.
    pub(super) store: String,
    /// The store holds this revision, or a later one.
    pub(super) revision: u64,
    /// What was done with it last.
    pub(super) state: State,
}

/// What was done with a store last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// It was closed in order.
    Closed,
    /// It was opened, and nobody has closed it.
    Open,
    /// It was copied after an unclean stop, and has not been opened since.
    Copied,
}

impl Mark {
    /// The mark of a store that is made now.
    pub(super) fn new() -> Self {
        let store = format!("{:016x}", u64::from_ne_bytes(chance::bytes()));
        Self { store, revision: 0, state: State::Open }
    }

    /// Where it is.
    pub(super) fn path(state_dir: &Path) -> PathBuf {
        state_dir.join("store.mark")
    }

    /// Reads it; nothing, where there is none.
    pub(super) fn read(state_dir: &Path) -> Result<Option<Self>, String> {
        let path = Self::path(state_dir);
        let why = |why: &dyn std::fmt::Display| {
            format!(
                "{} can't be read: {why}; without the file, the store is taken as it is",
                path.display()
            )
        };
        match fs::read(&path) {
            Err(none) if none.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(why(&error)),
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| why(&error)),
        }
    }

    /// Writes it, durably.
    pub(super) fn write(&self, state_dir: &Path) -> io::Result<()> {
        let mut text = serde_json::to_vec(self)?;
        text.push(b'\n');
        files::write_durably(&Self::path(state_dir), &text)
    }

    /// Refuses a store that is another one, or has forgotten something.
    pub(super) fn check(&self, state_dir: &Path, found: Option<(&str, u64)>) -> Result<(), String> {
        let told = match found {
            Some((store, _)) if store != self.store => {
                format!("it is another one ({store}) than the one of before ({})", self.store)
            }
            Some((_, revision)) if revision < self.revision => format!(
                "it has lost what it had acknowledged: it is at revision {revision} and was at {}",
                self.revision
            ),
            None if self.revision > 0 => format!(
                "it is empty, and was at revision {}: it was lost or can't be read any more",
                self.revision
            ),
            _ => return Ok(()),
        };
        Err(format!(
            "{told}. Nothing was begun anew. To go on from a backup: `dv-coordinator restore FILE --replace`; {} \
             and {} may hold some. To go on with what is there all the same, remove {}",
            state_dir.join("backups").display(),
            state_dir.join("copies").display(),
            Self::path(state_dir).display(),
        ))
    }
}

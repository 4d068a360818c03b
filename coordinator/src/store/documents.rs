//! Large documents: files that are named by what is in them, and never change.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

use crate::{files, ports::StoreError};

/// SHA-256 of `text`, in hexadecimal.
pub(crate) fn hash(text: &str) -> String {
    hexadecimal(&Sha256::digest(text))
}

pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A directory of documents.
#[derive(Debug, Clone)]
pub(super) struct Documents {
    directory: PathBuf,
}

impl Documents {
    pub(super) fn open(directory: &Path) -> io::Result<Self> {
        files::private_directory(directory)?;
        Ok(Self { directory: directory.to_owned() })
    }

    pub(super) fn save(&self, text: &str) -> Result<String, StoreError> {
        let hash = hash(text);
        let path = self.path(&hash);
        let written = match self.load(&hash) {
            // Its name may not be durable yet, if it was written just before a crash.
            Ok(Some(_)) => files::sync_directory(&self.directory),
            // A damaged one is mended on the way.
            Ok(None) | Err(_) => files::write_durably(&path, text.as_bytes()),
        };
        let refuse =
            |why| StoreError::Failed(format!("{} can't be written: {why}", path.display()));
        written.map_err(refuse)?;
        Ok(hash)
    }

    pub(super) fn load(&self, wanted: &str) -> Result<Option<String>, StoreError> {
        let path = self.path(wanted);
        let damaged = |why: String| StoreError::Damaged { what: path.display().to_string(), why };
        match fs::read_to_string(&path) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(why) => Err(damaged(why.to_string())),
            Ok(text) if hash(&text) == wanted => Ok(Some(text)),
            Ok(_) => Err(damaged("its content is not what its name says".to_owned())),
        }
    }

    /// Up to `limit` names, in order, those after `after` only.
    pub(super) fn names(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        let why = |why: io::Error| {
            StoreError::Failed(format!("{} can't be read: {why}", self.directory.display()))
        };
        // The lowest ones are kept, however many there are.
        let mut names = BTreeSet::new();
        for entry in fs::read_dir(&self.directory).map_err(why)? {
            let name = entry.map_err(why)?.file_name();
            let Some(name) = name.to_str().and_then(|name| name.strip_suffix(".json")) else {
                continue;
            };
            if after.is_none_or(|after| name > after) {
                names.insert(name.to_owned());
                if names.len() > limit {
                    names.pop_last();
                }
            }
        }
        Ok(names.into_iter().collect())
    }

    pub(super) fn forget(&self, hash: &str) -> Result<(), StoreError> {
        let path = self.path(hash);
        match fs::remove_file(&path) {
            Err(why) if why.kind() != io::ErrorKind::NotFound => {
                Err(StoreError::Failed(format!("{} can't be removed: {why}", path.display())))
            }
            _ => Ok(()),
        }
    }

    fn path(&self, hash: &str) -> PathBuf {
        self.directory.join(format!("{hash}.json"))
    }
}

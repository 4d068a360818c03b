//! Large documents: files that are named by what is in them, and never change.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

use crate::{files, ports::StoreError};

/// SHA-256 of `text`, in hexadecimal.
pub(crate) fn hash(text: &str) -> String {
    Sha256::digest(text).iter().map(|b| format!("{b:02x}")).collect()
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
        if !path.exists() {
            files::write_durably(&path, text.as_bytes()).map_err(|why| {
                StoreError::Failed(format!("{} can't be written: {why}", path.display()))
            })?;
        }
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

    fn path(&self, hash: &str) -> PathBuf {
        self.directory.join(format!("{hash}.json"))
    }
}

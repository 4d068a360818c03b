//! Makes a backup, also of a store that is being written.

use std::{fmt, io};

use futures_util::TryStreamExt as _;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use super::{Item, Key, Lines};
use crate::ports::{Store, StoreError};

/// Names of documents that are asked for at once.
const PAGE: usize = 1_000;

/// What is in a backup.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Contents {
    /// Entries of the store.
    pub entries: u64,
    /// Documents.
    pub documents: u64,
    /// Files of the state directory.
    pub files: u64,
    /// Hosts, which are among the entries.
    pub hosts: u64,
}

impl Contents {
    /// Counts one more.
    pub fn count(&mut self, item: &Item) {
        match item {
            Item::Entry(key, _) => {
                self.entries += 1;
                self.hosts += u64::from(key.starts_with(&Key::hosts()));
            }
            Item::Document(..) => self.documents += 1,
            Item::File(..) => self.files += 1,
        }
    }
}

impl fmt::Display for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { entries, documents, files, hosts: _ } = self;
        write!(f, "{entries} entries, {documents} documents, {files} files")
    }
}

/// A backup can't be made.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The store can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The backup can't be written.
    #[error("it can't be written: {0}")]
    Write(#[from] io::Error),
}

/// Writes a backup of `store`, as it is now, and of `files` to `out`.
pub async fn backup(
    store: &dyn Store,
    files: Vec<(String, Vec<u8>)>,
    out: &mut (impl AsyncWrite + Unpin + Send),
) -> Result<Contents, BackupError> {
    let mut contents = Contents::default();
    let (mut lines, head) = Lines::begin();
    out.write_all(&head).await?;
    let mut put = async |out: &mut (dyn AsyncWrite + Unpin + Send), item: Item| {
        contents.count(&item);
        out.write_all(&lines.line(&item)).await
    };
    for (name, content) in files {
        put(out, Item::File(name, content)).await?;
    }
    let mut snapshot = store.snapshot().await?;
    while let Some(page) = snapshot.try_next().await? {
        for (key, value) in page {
            put(out, Item::Entry(key, value)).await?;
        }
    }
    // What the entries name was there before them.
    let mut after = None;
    loop {
        let names = store.documents(after.clone(), PAGE).await?;
        let Some(last) = names.last().cloned() else { break };
        for name in names {
            if let Some(text) = store.document(name.clone()).await? {
                put(out, Item::Document(name, text)).await?;
            }
        }
        after = Some(last);
    }
    out.write_all(&lines.end()).await?;
    out.flush().await?;
    Ok(contents)
}

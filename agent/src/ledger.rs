//! What became of each command, one small file per number: the intent before acting, the outcome before
//! reporting. It is what makes a repeat safe after any crash.

mod entry;

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
};

use dv_types::{CommandId, Operation, RolloutId, Span, Timestamp};

pub(crate) use entry::{Entry, Mark, UnitMark};

use crate::{durable, ports::Disk};

/// How long an acknowledged outcome is kept, so that a late repeat is still answered word for word.
const KEPT: Span = Span::from_secs(7 * 86_400);

/// The files in one directory, and in memory no more than their numbers. Its calls wait for the disk: use
/// [`Ledger::with`] where that would hold others up.
#[derive(Clone)]
pub(crate) struct Ledger {
    inner: Arc<Inner>,
}

struct Inner {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    /// One writer at a time; never held together with a wait for anything but the disk.
    writing: Mutex<()>,
    /// The numbers, each with the time of its acknowledgement.
    index: Mutex<BTreeMap<CommandId, Option<Timestamp>>>,
}

/// What the ledger knows of a command.
#[derive(Debug)]
pub(crate) enum Known {
    Nothing,
    /// It was begun, and its end is not known.
    Intent(Entry),
    /// It has an outcome.
    Ended(Entry),
    /// Its file can't be read.
    Damaged(String),
}

impl Ledger {
    /// Opens the ledger, making its directory if it is not there, and forgets what is old.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        directory: PathBuf,
        now: Timestamp,
    ) -> io::Result<Self> {
        disk.private_directory(&directory)?;
        let mut index = BTreeMap::new();
        for path in disk.list(&directory)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.ends_with(durable::TEMPORARY) {
                // Not yet renamed when the agent died: it never happened.
                durable::remove(&*disk, &path)?;
            } else if let Some(id) = name.strip_suffix(".json").and_then(|n| n.parse().ok()) {
                // A damaged file counts as unacknowledged.
                index.insert(
                    id,
                    entry::read(&*disk, &path).ok().and_then(|entry| entry.acknowledged),
                );
            } else {
                tracing::warn!(file = %path.display(), "a file in the ledger that is not the agent's");
            }
        }
        let inner = Inner { disk, directory, writing: Mutex::default(), index: Mutex::new(index) };
        let ledger = Self { inner: Arc::new(inner) };
        ledger.prune(now);
        Ok(ledger)
    }

    /// Does `work` where it holds nobody up.
    pub(crate) async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> T {
        let ledger = self.clone();
        durable::apart(self.disk(), move || work(&ledger)).await
    }

    /// What is known of `id`.
    pub(crate) fn known(&self, id: CommandId) -> Known {
        if !self.index().contains_key(&id) {
            return Known::Nothing;
        }
        let path = self.path(id);
        match entry::read(self.disk(), &path) {
            Ok(entry) if entry.outcome.is_some() => Known::Ended(entry),
            Ok(entry) => Known::Intent(entry),
            Err(why) => Known::Damaged(format!("{}: {why}", path.display())),
        }
    }

    /// Writes an intent or an outcome. When this returns `Ok` it outlives a power cut.
    pub(crate) fn write(&self, entry: &Entry) -> io::Result<()> {
        let _writing = self.writing();
        let path = self.path(entry.id);
        if self.index().contains_key(&entry.id)
            && let Err(why) = entry::read(self.disk(), &path)
        {
            // Kept for whoever looks into it.
            tracing::warn!(file = %path.display(), why, "a damaged file is put aside");
            let _ = self.disk().rename(&path, &path.with_extension("damaged"));
        }
        let text = serde_json::to_vec(entry).expect("an entry is plain data with text keys");
        durable::write(self.disk(), &path, &text, 0o600)
            .map_err(|e| at(&self.inner.directory, &e))?;
        self.index().insert(entry.id, entry.acknowledged);
        Ok(())
    }

    /// The coordinator has the outcome of `id`: it need not be sent again, only repeated when asked for.
    pub(crate) fn acknowledge(&self, id: CommandId, now: Timestamp) -> io::Result<()> {
        if let Known::Ended(mut entry) = self.known(id)
            && entry.acknowledged.is_none()
        {
            entry.acknowledged = Some(now);
            self.write(&entry)?;
        }
        self.prune(now);
        Ok(())
    }

    /// The commands whose outcome the coordinator may not have.
    pub(crate) fn unacknowledged(&self) -> Vec<CommandId> {
        let index = self.index();
        index.iter().filter(|(_, acknowledged)| acknowledged.is_none()).map(|(id, _)| *id).collect()
    }

    /// The newest rollout that anything is known of.
    pub(crate) fn newest(&self) -> Option<RolloutId> {
        self.index().keys().next_back().map(|id| id.rollout)
    }

    /// Whether the last checkout of `tree` was cut off, so that what it left is not somebody's work. One that
    /// ended before it wrote anything says nothing about it.
    pub(crate) fn is_unfinished(&self, tree: &str) -> bool {
        let ids: Vec<_> = self.index().keys().copied().collect();
        let of_tree = |entry: &Entry| matches!(&entry.operation, Some(Operation::Checkout { tree: its, .. }) if its == tree);
        ids.into_iter()
            .filter_map(|id| entry::read(self.disk(), &self.path(id)).ok())
            .filter(of_tree)
            .filter_map(|Entry { id, outcome, unfinished, .. }| {
                let unfinished = unfinished || outcome.is_none();
                let done = outcome.is_some_and(|outcome| outcome.result.is_done());
                (unfinished || done).then_some((id, unfinished))
            })
            // By number, which only grows: a clock may be set back.
            .max()
            .is_some_and(|(_, unfinished)| unfinished)
    }

    fn prune(&self, now: Timestamp) {
        let old = |acknowledged: &Option<Timestamp>| {
            acknowledged.is_some_and(|then| Span::between(then, now) > KEPT)
        };
        let ids: Vec<_> = self.index().iter().filter(|(_, a)| old(a)).map(|(id, _)| *id).collect();
        for id in ids {
            if durable::remove(self.disk(), &self.path(id)).is_ok() {
                self.index().remove(&id);
            }
        }
    }

    fn path(&self, id: CommandId) -> PathBuf {
        self.inner.directory.join(format!("{id}.json"))
    }

    fn disk(&self) -> &dyn Disk {
        &*self.inner.disk
    }

    fn writing(&self) -> MutexGuard<'_, ()> {
        self.inner.writing.lock().expect("no panic under this lock")
    }

    fn index(&self) -> MutexGuard<'_, BTreeMap<CommandId, Option<Timestamp>>> {
        self.inner.index.lock().expect("no panic under this lock")
    }
}

/// Forgets everything. For a host that goes over to another coordinator, whose numbers mean other things.
pub(crate) fn forget(directory: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(directory) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests;

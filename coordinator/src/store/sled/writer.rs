//! The only writer of sled: one thread that takes whatever waits, writes it as one batch, flushes once,
//! and answers all.

use std::{
    collections::HashMap,
    fs::File,
    io,
    path::{Path, PathBuf},
    thread::{self, JoinHandle},
};

use tokio::sync::{mpsc, oneshot};

use super::{
    cure::Cure,
    mark::{Mark, State},
    notes::Notes,
    open::{Opened, Progress},
    view::Views,
};
use crate::{
    ports::StoreError,
    store::{Batch, Key},
};

/// Batches that may wait.
const QUEUE: usize = 1024;
/// Bytes that are flushed together at most, roughly.
const GROUP: usize = 1024 * 1024;

type Answer = oneshot::Sender<Result<(), StoreError>>;

#[derive(Debug)]
pub(super) struct Writer {
    queue: Option<mpsc::Sender<(Batch, Answer)>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(opened: Opened, views: Views, state_dir: &Path) -> io::Result<Self> {
        let Opened { db, progress, mark, cure, lock } = opened;
        let file = match cure {
            Cure::Fsync => None,
            Cure::SyncAfterFlush => Some(File::open(state_dir.join("store").join("db"))?),
        };
        let state_dir = state_dir.to_owned();
        let notes = Notes::start(state_dir.clone())?;
        let log = Log { db, progress, views, file, mark, notes, state_dir, failed: false };
        let (queue, waiting) = mpsc::channel(QUEUE);
        let thread = thread::Builder::new().name("store".to_owned()).spawn(move || {
            log.run(waiting);
            drop(lock);
        })?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    pub(super) fn commit(
        &self,
        batch: Batch,
    ) -> impl Future<Output = Result<(), StoreError>> + Send + 'static {
        let queue = self.queue.clone();
        async move {
            let gone = || StoreError::Failed("its thread has ended".to_owned());
            let (answer, answered) = oneshot::channel();
            queue.ok_or_else(gone)?.send((batch, answer)).await.map_err(|_| gone())?;
            answered.await.map_err(|_| gone())?
        }
    }
}

/// sled unlocks its directory only when every handle is gone, this thread's included.
impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What the thread writes to.
struct Log {
    db: sled::Db,
    progress: Progress,
    views: Views,
    /// Synced after each flush, where sled can't be made to do it.
    file: Option<File>,
    mark: Mark,
    notes: Notes,
    state_dir: PathBuf,
    failed: bool,
}

impl Log {
    fn run(mut self, mut waiting: mpsc::Receiver<(Batch, Answer)>) {
        while let Some(first) = waiting.blocking_recv() {
            let mut group = Group::default();
            group.take(&self.db, first);
            while group.size < GROUP
                && let Ok(next) = waiting.try_recv()
            {
                group.take(&self.db, next);
            }
            let written = self.write(&group);
            self.failed |= written.is_err();
            for answer in group.answers {
                let _ = answer.send(written.clone());
            }
        }
        let Self { notes, failed, mut mark, state_dir, .. } = self;
        // From here on nobody else notes anything.
        drop(notes);
        // A store that could not be written was not closed in order.
        if !failed {
            mark.state = State::Closed;
            if let Err(why) = mark.write(&state_dir) {
                tracing::warn!(%why, "that the store was closed can't be noted");
            }
        }
    }

    fn write(&mut self, group: &Group) -> Result<(), StoreError> {
        let mut batch = sled::Batch::default();
        for (key, value) in &group.writes {
            match value {
                Some(value) => batch.insert(key.as_bytes(), value.as_slice()),
                None => batch.remove(key.as_bytes()),
            }
        }
        let apply = || self.db.apply_batch(batch).map_err(StoreError::failed);
        self.views.before(&self.db, group.writes.keys(), apply)?;
        let revision = self.mark.revision + 1;
        self.progress.advance(revision).map_err(StoreError::failed)?;
        self.db.flush().map_err(StoreError::failed)?;
        if let Some(file) = &self.file {
            file.sync_data().map_err(StoreError::failed)?;
        }
        self.mark.revision = revision;
        self.notes.note(self.mark.clone());
        Ok(())
    }
}

/// Batches that are written together.
#[derive(Default)]
struct Group {
    writes: HashMap<Key, Option<Vec<u8>>>,
    answers: Vec<Answer>,
    size: usize,
}

impl Group {
    /// Takes a batch in; or answers it right away, if what it expects does not hold.
    fn take(&mut self, db: &sled::Db, (batch, answer): (Batch, Answer)) {
        if let Err(why) = batch.check() {
            let _ = answer.send(Err(why));
            return;
        }
        for (key, expected) in &batch.expected {
            let found = match self.writes.get(key) {
                Some(value) => Ok(value.clone()),
                None => db.get(key.as_bytes()).map(|value| value.map(|v| v.to_vec())),
            };
            let refusal = match found {
                Ok(found) if found == *expected => continue,
                Ok(_) => StoreError::Conflict(key.clone()),
                Err(why) => StoreError::failed(why),
            };
            let _ = answer.send(Err(refusal));
            return;
        }
        for write in batch.writes {
            self.size += write.key.as_bytes().len() + write.value.as_ref().map_or(0, Vec::len);
            self.writes.insert(write.key, write.value);
        }
        self.answers.push(answer);
    }
}

//! The only writer of sled: one thread that takes whatever waits, writes it as one batch, flushes once,
//! and answers all.

use std::{
    collections::HashMap,
    fs::File,
    io,
    path::Path,
    thread::{self, JoinHandle},
};

use tokio::sync::{mpsc, oneshot};

use super::view::Views;
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
    pub(super) fn start(db: sled::Db, views: Views, directory: &Path) -> io::Result<Self> {
        let file = File::open(directory.join("db"))?;
        let (queue, waiting) = mpsc::channel(QUEUE);
        let thread = thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || run(&db, &views, &file, waiting))?;
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

fn run(db: &sled::Db, views: &Views, file: &File, mut waiting: mpsc::Receiver<(Batch, Answer)>) {
    while let Some(first) = waiting.blocking_recv() {
        let mut group = Group::default();
        group.take(db, first);
        while group.size < GROUP
            && let Ok(next) = waiting.try_recv()
        {
            group.take(db, next);
        }
        group.write(db, views, file);
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

    fn write(self, db: &sled::Db, views: &Views, file: &File) {
        let written = self.apply(db, views, file);
        for answer in self.answers {
            let _ = answer.send(written.clone());
        }
    }

    fn apply(&self, db: &sled::Db, views: &Views, file: &File) -> Result<(), StoreError> {
        let mut batch = sled::Batch::default();
        for (key, value) in &self.writes {
            match value {
                Some(value) => batch.insert(key.as_bytes(), value.as_slice()),
                None => batch.remove(key.as_bytes()),
            }
        }
        let apply = || db.apply_batch(batch).map_err(StoreError::failed);
        views.before(db, self.writes.keys(), apply)?;
        db.flush().map_err(StoreError::failed)?;
        // sled's flush does not reach the disk itself (spacejam/sled#1452).
        file.sync_data().map_err(StoreError::failed)
    }
}

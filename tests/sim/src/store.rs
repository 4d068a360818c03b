//! The coordinator's store, with its troubles. What it acknowledged is kept; what it did not may be.

use std::sync::{Arc, Mutex};

use dv_coordinator::{
    ports::{Entries, Shortage, Snapshot, Store, StoreError, Stored},
    store::{Batch, Key, MemoryStore},
};
use tokio_util::sync::CancellationToken;

use crate::{chance::Chance, gate::Gate, world::World};

/// One coordinator's handle on the store that all of them share.
pub(crate) struct SimStore {
    pub(crate) world: Arc<World>,
    pub(crate) kept: MemoryStore,
    /// Which coordinator it is.
    pub(crate) number: u32,
    pub(crate) chance: Mutex<Chance>,
    pub(crate) awake: Arc<Gate>,
    /// Its process ends when this is cancelled.
    pub(crate) gone: CancellationToken,
}

/// What becomes of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Kept,
    /// The process dies before anything is written, or right after.
    Dies {
        written: bool,
    },
    /// It is answered that it failed, and that may be wrong.
    Fails {
        written: bool,
    },
}

impl SimStore {
    async fn look(&self) {
        self.world.store_is_asked();
        self.awake.pass().await;
        let pause = self.chance.lock().unwrap().millis(0, 2);
        tokio::time::sleep(pause).await;
    }

    async fn pause(&self) {
        let pause = self.chance.lock().unwrap().millis(0, 8);
        tokio::time::sleep(pause).await;
    }

    fn fate(&self) -> Fate {
        let troubles = &self.world.scenario.troubles;
        if self.world.is_healed() {
            return Fate::Kept;
        }
        let mut chance = self.chance.lock().unwrap();
        let (dies, fails, written) =
            (chance.hit(troubles.store_dies), chance.hit(troubles.store_fails), chance.coin());
        match (dies, fails) {
            (true, _) => Fate::Dies { written },
            (_, true) => Fate::Fails { written },
            _ => Fate::Kept,
        }
    }

    async fn die(&self) -> StoreError {
        self.world.tell(|| format!("fault       coordinator {} dies at a write", self.number));
        self.gone.cancel();
        std::future::pending().await
    }

    fn failure(&self) -> StoreError {
        self.world.tell(|| format!("fault       coordinator {}: a write fails", self.number));
        StoreError::Failed("no space left on device".to_owned())
    }

    async fn write<T>(
        &self,
        write: impl AsyncFnOnce() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.world.store_is_asked();
        self.awake.pass().await;
        let fate = self.fate();
        self.pause().await;
        self.awake.pass().await;
        match fate {
            Fate::Dies { written: false } => return Err(self.die().await),
            Fate::Fails { written: false } => return Err(self.failure()),
            _ => {}
        }
        let written = write().await;
        match fate {
            Fate::Dies { .. } => return Err(self.die().await),
            Fate::Fails { .. } => return Err(self.failure()),
            _ => {}
        }
        self.pause().await;
        self.awake.pass().await;
        written
    }
}

impl Store for SimStore {
    fn get(&self, key: Key) -> Stored<'_, Option<Vec<u8>>> {
        Box::pin(async move {
            self.look().await;
            self.kept.get(key).await
        })
    }

    fn scan(&self, prefix: Key, after: Option<Key>, limit: usize) -> Stored<'_, Entries> {
        Box::pin(async move {
            self.look().await;
            self.kept.scan(prefix, after, limit).await
        })
    }

    fn snapshot(&self) -> Stored<'_, Snapshot> {
        self.kept.snapshot()
    }

    fn commit(&self, batch: Batch) -> Stored<'_, ()> {
        Box::pin(self.write(async move || {
            let writes = batch.writes.clone();
            let written = self.kept.commit(batch).await;
            if written.is_ok() {
                crate::journal::written(&self.world, &self.kept, self.number, &writes).await;
            } else {
                self.world.tell(|| {
                    format!("store       refuses coordinator {}: {written:?}", self.number)
                });
            }
            written
        }))
    }

    fn save_document(&self, text: String) -> Stored<'_, String> {
        Box::pin(self.write(async move || self.kept.save_document(text).await))
    }

    fn document(&self, hash: String) -> Stored<'_, Option<String>> {
        Box::pin(async move {
            self.look().await;
            self.kept.document(hash).await
        })
    }

    fn documents(&self, after: Option<String>, limit: usize) -> Stored<'_, Vec<String>> {
        Box::pin(async move {
            self.look().await;
            self.kept.documents(after, limit).await
        })
    }

    fn forget_document(&self, hash: String) -> Stored<'_, bool> {
        Box::pin(self.write(async move || {
            // A store that several share lets only the one that leads forget.
            if !self.world.watch().leads(self.number) {
                return Err(StoreError::Deposed);
            }
            self.kept.forget_document(hash).await
        }))
    }

    fn shortage(&self) -> Stored<'_, Option<Shortage>> {
        self.kept.shortage()
    }
}

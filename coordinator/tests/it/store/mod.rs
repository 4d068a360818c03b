//! The stores: what all of them must do, and what one of them promises besides.

mod etcd;
mod opening;
pub(crate) mod suite;

use std::sync::Arc;

use dv_coordinator::{
    ports::{Store, StoreError},
    store::{DEFAULT_FLOOR, MemoryStore, SledStore},
};
use tempfile::TempDir;

use self::suite::{Place, suite};

impl Place for MemoryStore {
    async fn new() -> Self {
        Self::default()
    }

    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.clone())
    }
}

impl Place for TempDir {
    async fn new() -> Self {
        tempfile::tempdir().unwrap()
    }

    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(SledStore::open(self.path(), DEFAULT_FLOOR).unwrap())
    }
}

suite!(memory, MemoryStore);
suite!(sled, TempDir);

#[tokio::test]
async fn a_document_that_was_tampered_with_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = SledStore::open(directory.path(), DEFAULT_FLOOR).unwrap();
    let hash = store.save_document("{}".to_owned()).await.unwrap();
    let file = directory.path().join("documents").join(format!("{hash}.json"));
    std::fs::write(file, "[]").unwrap();
    assert!(matches!(store.document(hash).await, Err(StoreError::Damaged { .. })));
}

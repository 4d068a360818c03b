//! The stores: what all of them must do, and what one of them promises besides.

mod etcd;
mod opening;
pub(crate) mod suite;

use std::sync::Arc;

use dv_coordinator::{
    ports::{Store, StoreError},
    store::{Batch, DEFAULT_FLOOR, Key, MemoryStore, SledStore},
};
use futures_util::StreamExt as _;
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

async fn keeps_documents_while_a_snapshot_is_held(store: &dyn Store) {
    let hash = store.save_document("{}".to_owned()).await.unwrap();
    let mut snapshot = store.snapshot().await.unwrap();
    for _ in 0..2 {
        // Read to its end, it is held still: its reader has not come to the documents.
        assert!(!store.forget_document(hash.clone()).await.unwrap());
        assert!(store.document(hash.clone()).await.unwrap().is_some());
        while snapshot.next().await.is_some() {}
    }
    drop(snapshot);
    assert!(store.forget_document(hash.clone()).await.unwrap());
    assert_eq!(store.document(hash).await.unwrap(), None);
}

#[tokio::test]
async fn documents_stay_while_a_snapshot_is_held() {
    let directory = tempfile::tempdir().unwrap();
    let sled = SledStore::open(directory.path(), DEFAULT_FLOOR).unwrap();
    let entry = Batch::default().put(Key::from_bytes(b"k"), b"1".to_vec());
    sled.commit(entry).await.unwrap();
    keeps_documents_while_a_snapshot_is_held(&sled).await;
    keeps_documents_while_a_snapshot_is_held(&MemoryStore::default()).await;
}

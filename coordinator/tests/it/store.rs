//! What every store must do.

use std::sync::Arc;

use dv_coordinator::{
    ports::{Store, StoreError},
    store::{Batch, Key, MemoryStore, SledStore},
};

fn key(text: &str) -> Key {
    Key::from_bytes(text.as_bytes())
}

fn put(store: &dyn Store, key_: &str, value: &str) -> impl Future<Output = Result<(), StoreError>> {
    store.commit(Batch::default().put(key(key_), value.as_bytes().to_vec()))
}

async fn text(store: &dyn Store, at: &str) -> Option<String> {
    store.get(key(at)).await.unwrap().map(|value| String::from_utf8(value).unwrap())
}

async fn keys(store: &dyn Store, prefix: &str, after: Option<&str>, limit: usize) -> Vec<String> {
    let found = store.scan(key(prefix), after.map(key), limit).await.unwrap();
    found.into_iter().map(|(key, _)| key.to_string()).collect()
}

async fn suite(store: Arc<dyn Store>) {
    reads_what_was_written(&*store).await;
    scans_in_order(&*store).await;
    writes_all_or_nothing(&*store).await;
    lets_one_of_two_win(Arc::clone(&store)).await;
    keeps_documents(&*store).await;
}

async fn reads_what_was_written(store: &dyn Store) {
    assert_eq!(text(store, "a").await, None);
    put(store, "a", "1").await.unwrap();
    assert_eq!(text(store, "a").await.as_deref(), Some("1"));
    put(store, "a", "2").await.unwrap();
    assert_eq!(text(store, "a").await.as_deref(), Some("2"));
    store.commit(Batch::default().delete(key("a"))).await.unwrap();
    assert_eq!(text(store, "a").await, None);
}

async fn scans_in_order(store: &dyn Store) {
    for name in ["p/3", "p/1", "p/2", "q/1", "o/9"] {
        put(store, name, name).await.unwrap();
    }
    assert_eq!(keys(store, "p/", None, 9).await, ["p/1", "p/2", "p/3"]);
    assert_eq!(keys(store, "p/", None, 2).await, ["p/1", "p/2"]);
    assert_eq!(keys(store, "p/", Some("p/1"), 9).await, ["p/2", "p/3"]);
    assert_eq!(keys(store, "p/", Some("p/25"), 9).await, ["p/3"]);
    assert_eq!(keys(store, "p/", Some("p/3"), 9).await, [""; 0]);
    assert_eq!(keys(store, "z/", None, 9).await, [""; 0]);
}

async fn writes_all_or_nothing(store: &dyn Store) {
    put(store, "there", "1").await.unwrap();
    let batch = Batch::default()
        .put(key("first"), b"x".to_vec())
        .create(key("there"), b"2".to_vec())
        .delete(key("there"));
    assert_eq!(store.commit(batch).await, Err(StoreError::Conflict(key("there"))));
    assert_eq!(text(store, "first").await, None);
    assert_eq!(text(store, "there").await.as_deref(), Some("1"));

    let batch = Batch::default()
        .expect(key("there"), Some(b"1".to_vec()))
        .put(key("there"), b"2".to_vec())
        .create(key("new"), b"3".to_vec());
    store.commit(batch).await.unwrap();
    assert_eq!(text(store, "there").await.as_deref(), Some("2"));
    assert_eq!(text(store, "new").await.as_deref(), Some("3"));
}

async fn lets_one_of_two_win(store: Arc<dyn Store>) {
    let mut writers = tokio::task::JoinSet::new();
    for n in 0..50 {
        let store = Arc::clone(&store);
        writers.spawn(async move {
            store.commit(Batch::default().create(key("crown"), vec![n])).await.is_ok().then_some(n)
        });
    }
    let winners: Vec<_> = writers.join_all().await.into_iter().flatten().collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(store.get(key("crown")).await.unwrap(), Some(winners));
}

async fn keeps_documents(store: &dyn Store) {
    let large = format!("{{\"text\": \"{}\"}}", "x".repeat(3_000_000));
    let hash = store.save_document(large.clone()).await.unwrap();
    assert_eq!(store.save_document(large.clone()).await.unwrap(), hash);
    assert_eq!(store.document(hash).await.unwrap(), Some(large));
    assert_eq!(store.document("0".repeat(64)).await.unwrap(), None);
}

#[tokio::test]
async fn memory() {
    suite(Arc::new(MemoryStore::default())).await;
}

#[tokio::test]
async fn sled() {
    let directory = tempfile::tempdir().unwrap();
    suite(Arc::new(SledStore::open(directory.path()).unwrap())).await;
}

#[tokio::test]
async fn sled_keeps_what_it_has_when_it_is_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    for n in 0..5u8 {
        let store = SledStore::open(directory.path()).unwrap();
        let before = store.scan(key("n/"), None, 100).await.unwrap().len();
        assert_eq!(before, usize::from(n));
        put(&store, &format!("n/{n}"), "x").await.unwrap();
    }
}

#[tokio::test]
async fn a_document_that_was_tampered_with_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = SledStore::open(directory.path()).unwrap();
    let hash = store.save_document("{}".to_owned()).await.unwrap();
    let file = directory.path().join("documents").join(format!("{hash}.json"));
    std::fs::write(file, "[]").unwrap();
    assert!(matches!(store.document(hash).await, Err(StoreError::Damaged { .. })));
}

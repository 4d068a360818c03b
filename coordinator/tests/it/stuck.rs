//! A store that refuses a rollout's end: the rollout says so, is not lost, and ends once it may.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use dv_coordinator::{
    clock::SystemClock,
    ports::{Entries, Shortage, Snapshot, Store, StoreError, Stored},
    store::{Batch, Key, MemoryStore},
};
use dv_types::{WaitingOn, record::Verdict, report::State};

use super::{
    rollout::fleet,
    support::{Site, World, eventually, manifest, operator::Operator as _},
};

/// Refuses the end of rollouts so many times.
struct Refusing {
    store: MemoryStore,
    times: AtomicU32,
}

impl Store for Refusing {
    fn get(&self, key: Key) -> Stored<'_, Option<Vec<u8>>> {
        self.store.get(key)
    }

    fn scan(&self, prefix: Key, after: Option<Key>, limit: usize) -> Stored<'_, Entries> {
        self.store.scan(prefix, after, limit)
    }

    fn snapshot(&self) -> Stored<'_, Snapshot> {
        self.store.snapshot()
    }

    fn commit(&self, batch: Batch) -> Stored<'_, ()> {
        let ends = |write: &dv_coordinator::store::Write| {
            write.value.is_none() && write.key.to_string().starts_with("active/")
        };
        let less = |times: u32| times.checked_sub(1);
        let end = batch.writes.iter().find(|write| ends(write)).map(|write| write.key.clone());
        if let Some(key) = end
            && self.times.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok()
        {
            let refused = StoreError::TooLarge { key, size: 17_093, limit: 16_384 };
            return Box::pin(std::future::ready(Err(refused)));
        }
        self.store.commit(batch)
    }

    fn save_document(&self, text: String) -> Stored<'_, String> {
        self.store.save_document(text)
    }

    fn document(&self, hash: String) -> Stored<'_, Option<String>> {
        self.store.document(hash)
    }

    fn documents(&self, after: Option<String>, limit: usize) -> Stored<'_, Vec<String>> {
        self.store.documents(after, limit)
    }

    fn forget_document(&self, hash: String) -> Stored<'_, bool> {
        self.store.forget_document(hash)
    }

    fn shortage(&self) -> Stored<'_, Option<Shortage>> {
        self.store.shortage()
    }
}

#[tokio::test]
async fn a_refused_end_is_told_and_tried_again() {
    let store = Refusing { store: MemoryStore::default(), times: AtomicU32::new(u32::MAX) };
    let store = Arc::new(store);
    let mut site = Site::with(store.clone(), Arc::new(SystemClock));
    let _running = site.start().await;
    let world = World::default();
    let _agents = fleet(&site, &world, 2).await;
    let mut operator = site.operator();
    let id = operator.begin(&manifest(|_| ()), "1.0").await.unwrap();
    eventually("its end is refused, and the report says so", async || {
        let report = operator.look(&id).await;
        let refused = |w: &WaitingOn| {
            matches!(w, WaitingOn::Journal { why } if why.contains("would be 17093 bytes"))
        };
        report.waiting.first().is_some_and(refused).then_some(())
    })
    .await;
    store.times.store(0, Ordering::SeqCst);
    let (_, report) = operator.follow(&id).await;
    assert_eq!(report.state, State::Ended(Verdict::Succeeded), "{report:#?}");
    assert!(report.waiting.is_empty());
    world.nothing_ran_twice();
}

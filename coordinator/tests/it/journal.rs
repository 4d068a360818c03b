//! What the journal promises, over both stores.

use std::sync::Arc;

use dv_coordinator::{
    ports::{Store, StoreError},
    store::{
        DEFAULT_FLOOR, Header, HostRecord, Journal, MemoryStore, SledStore, TokenRecord,
        VALUE_LIMIT,
    },
};
use dv_types::{
    Epoch, Fact, HostName, Record, RolloutId, ServiceName, Timestamp, Version, plan::Kind,
};

async fn on_both_stores<F: Future<Output = ()>>(test: impl Fn(Arc<dyn Store>) -> F) {
    test(Arc::new(MemoryStore::default())).await;
    let directory = tempfile::tempdir().unwrap();
    test(Arc::new(SledStore::open(directory.path(), DEFAULT_FLOOR).unwrap())).await;
}

fn header(id: u64, service: &str) -> Header {
    Header {
        rollout: RolloutId(id),
        service: ServiceName::new(service).unwrap(),
        version: Version::new("1.0").unwrap(),
        kind: Kind::Forward,
        plan: "0".repeat(64),
        by: "somebody".to_owned(),
        reason: None,
        overrides: Vec::new(),
        release: None,
        created: Timestamp::UNIX_EPOCH,
        end: None,
    }
}

fn record(number: u64, epoch: Epoch) -> Record {
    Record { number, at: Timestamp::UNIX_EPOCH, epoch, fact: Fact::Recovered }
}

#[tokio::test]
async fn each_reign_has_a_higher_epoch_and_ends_the_one_before() {
    on_both_stores(async |store| {
        let first = Journal::open(Arc::clone(&store), Timestamp::UNIX_EPOCH).await.unwrap();
        let id = first.next_rollout().await.unwrap();
        first.create(&header(1, "web"), None).await.unwrap();
        first.append(id, &[record(1, first.epoch())]).await.unwrap();

        let second = Journal::open(store, Timestamp::UNIX_EPOCH).await.unwrap();
        assert!(second.epoch() > first.epoch());
        let stale = first.append(id, &[record(2, first.epoch())]).await;
        assert!(matches!(stale, Err(StoreError::Conflict(_))), "{stale:?}");
        second.append(id, &[record(2, second.epoch())]).await.unwrap();
        let numbers: Vec<_> =
            second.records(id, 0).await.unwrap().iter().map(|record| record.number).collect();
        assert_eq!(numbers, [1, 2]);
    })
    .await;
}

#[tokio::test]
async fn a_store_that_was_lost_or_restored_outranks_its_past() {
    on_both_stores(async |store| {
        let at = |second| Timestamp::from_second(second).unwrap();
        let open = async |second| Journal::open(Arc::clone(&store), at(second)).await.unwrap();
        let gone: Arc<dyn Store> = Arc::new(MemoryStore::default());
        for _ in 0..5 {
            Journal::open(Arc::clone(&gone), at(1_800_000_000)).await.unwrap();
        }
        let lost = Journal::open(gone, at(1_800_000_000)).await.unwrap();
        // Of the days before, and much older than its last reign.
        open(1_700_000_000).await;
        let restored = open(1_800_000_060).await;
        assert!(restored.epoch() > lost.epoch(), "{} {}", restored.epoch(), lost.epoch());
        // Within one second, or with a clock that was set back, it rises all the same.
        let (again, back) = (open(1_800_000_060).await, open(0).await);
        assert!(back.epoch() > again.epoch() && again.epoch() > restored.epoch());
    })
    .await;
}

#[tokio::test]
async fn no_record_is_written_over() {
    on_both_stores(async |store| {
        let journal = Journal::open(store, Timestamp::UNIX_EPOCH).await.unwrap();
        let id = RolloutId(7);
        journal.append(id, &[record(1, Epoch(1)), record(2, Epoch(1))]).await.unwrap();
        let again = journal.append(id, &[record(2, Epoch(9)), record(3, Epoch(9))]).await;
        assert!(matches!(again, Err(StoreError::Conflict(_))));
        let records = journal.all_records(id).await.unwrap();
        assert_eq!(records, [record(1, Epoch(1)), record(2, Epoch(1))]);
        assert_eq!(journal.records(id, 1).await.unwrap(), [record(2, Epoch(1))]);
    })
    .await;
}

#[tokio::test]
async fn long_journals_are_read_in_order() {
    on_both_stores(async |store| {
        let journal = Journal::open(store, Timestamp::UNIX_EPOCH).await.unwrap();
        let records: Vec<_> = (1..=1300).map(|n| record(n, Epoch(1))).collect();
        journal.append(RolloutId(255), &records).await.unwrap();
        journal.append(RolloutId(256), &records[..3]).await.unwrap();
        assert_eq!(journal.all_records(RolloutId(255)).await.unwrap(), records);
        assert_eq!(journal.records(RolloutId(256), 2).await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_record_that_is_too_large_is_refused_and_nothing_is_written() {
    on_both_stores(async |store| {
        let journal = Journal::open(store, Timestamp::UNIX_EPOCH).await.unwrap();
        let host = HostName::new("web1").unwrap();
        let mut large = record(2, Epoch(1));
        large.fact = Fact::HostFailed { host, why: "x".repeat(VALUE_LIMIT) };
        let refused = journal.append(RolloutId(1), &[record(1, Epoch(1)), large]).await;
        assert!(matches!(refused, Err(StoreError::TooLarge { .. })), "{refused:?}");
        assert_eq!(journal.all_records(RolloutId(1)).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn a_service_has_one_unfinished_rollout() {
    on_both_stores(async |store| {
        let journal = Journal::open(store, Timestamp::UNIX_EPOCH).await.unwrap();
        journal.create(&header(1, "web"), None).await.unwrap();
        let second = journal.create(&header(2, "web"), None).await;
        assert!(matches!(second, Err(StoreError::Conflict(_))));
        assert_eq!(journal.next_rollout().await.unwrap(), RolloutId(2));
        journal.create(&header(2, "mail"), None).await.unwrap();
        assert_eq!(journal.headers().await.unwrap().len(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_token_is_used_once() {
    on_both_stores(async |store| {
        let journal = Journal::open(store, Timestamp::UNIX_EPOCH).await.unwrap();
        let name = HostName::new("web1").unwrap();
        let token = TokenRecord {
            host: name.clone(),
            labels: Default::default(),
            secret_sha256: "0".repeat(64),
            by: "admin".to_owned(),
            expires: Timestamp::MAX,
            used: None,
        };
        journal.save_token("id", &token).await.unwrap();
        let host = |serial: &str| HostRecord {
            name: name.clone(),
            labels: Default::default(),
            enrolled: Timestamp::UNIX_EPOCH,
            serials: vec![serial.to_owned()],
        };
        let (one, two) = (host("1"), host("2"));
        let both = tokio::join!(
            journal.use_token("id", &token, &one),
            journal.use_token("id", &token, &two),
        );
        assert!(both.0.is_ok() != both.1.is_ok(), "{both:?}");
        let used = journal.token("id").await.unwrap().unwrap().used;
        let hosts = journal.hosts().await.unwrap();
        assert_eq!(hosts.len(), 1);
        assert_eq!(used, hosts[0].serials.first().cloned());
    })
    .await;
}

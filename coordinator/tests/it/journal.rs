//! What the journal promises, over both stores.

use std::sync::Arc;

use dv_coordinator::{
    ports::{Store, StoreError},
    store::{
        Batch, DEFAULT_FLOOR, End, Header, Held, HostRecord, Journal, Key, MemoryStore, SledStore,
        TokenRecord, VALUE_LIMIT,
    },
};
use dv_types::{
    Epoch, Evidence, Fact, GateAnswer, HostName, Migration, MigrationKind, OpResult, Record,
    Report, RolloutId, ServiceName, Timestamp, Version,
    gate::Answer,
    plan::{Database, Kind, Way},
    record::Verdict,
    report::{GateReport, HostReport, OnceReport, OnceState, Phase, State, Totals},
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
        signing: None,
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
async fn a_journal_that_an_earlier_version_began_goes_on() {
    on_both_stores(async |store| {
        let id = RolloutId(7);
        let records: Vec<_> = (1..=300).map(|n| record(n, Epoch(1))).collect();
        // As it was: each record in an entry of its own, of the first format.
        for record in &records[..100] {
            let at = [&b"record/"[..], &7_u64.to_be_bytes(), &record.number.to_be_bytes()].concat();
            let value = [&[1], serde_json::to_vec(record).unwrap().as_slice()].concat();
            store.commit(Batch::default().put(Key::from_bytes(&at), value)).await.unwrap();
        }
        let journal = Journal::open(store, Timestamp::UNIX_EPOCH).await.unwrap();
        journal.append(id, &records[100..103]).await.unwrap();
        journal.append(id, &records[103..104]).await.unwrap();
        journal.append(id, &records[104..]).await.unwrap();
        assert_eq!(journal.all_records(id).await.unwrap(), records);
        for after in 0..=300 {
            let rest = journal.records(id, after).await.unwrap();
            assert_eq!(rest, records[after as usize..], "after {after}");
        }
        let again = journal.append(id, &records[100..]).await;
        assert!(matches!(again, Err(StoreError::Conflict(_))), "{again:?}");
    })
    .await;
}

#[tokio::test]
async fn records_that_are_made_together_are_few_entries_that_are_not_large() {
    let store = MemoryStore::default();
    let kept: Arc<dyn Store> = Arc::new(store.clone());
    let journal = Journal::open(kept, Timestamp::UNIX_EPOCH).await.unwrap();
    let host = HostName::new("web1").unwrap();
    let told = |n: u64| {
        let why = "x".repeat(if n.is_multiple_of(50) { 10_000 } else { n as usize % 700 });
        let fact = Fact::HostFailed { host: host.clone(), why };
        Record { fact, ..record(n, Epoch(1)) }
    };
    let records: Vec<_> = (1..=1000).map(told).collect();
    journal.append(RolloutId(1), &records).await.unwrap();
    assert_eq!(journal.all_records(RolloutId(1)).await.unwrap(), records);
    let entries = store.scan(Key::from_bytes(b"record/"), None, 1000).await.unwrap();
    assert!(entries.len() < 250, "{}", entries.len());
    let large = entries.iter().filter(|(_, value)| value.len() > 4096);
    assert_eq!(large.count(), 1000 / 50, "one record that is large is alone");
}

#[tokio::test]
async fn a_record_that_is_too_large_loses_the_end_of_its_texts() {
    on_both_stores(async |store| {
        let journal = Journal::open(store, Timestamp::UNIX_EPOCH).await.unwrap();
        let host = HostName::new("web1").unwrap();
        let mut large = record(2, Epoch(1));
        large.fact = Fact::HostFailed { host: host.clone(), why: "x".repeat(VALUE_LIMIT) };
        let records = [record(1, Epoch(1)), large, record(3, Epoch(1))];
        journal.append(RolloutId(1), &records).await.unwrap();
        let records = journal.all_records(RolloutId(1)).await.unwrap();
        assert_eq!(records.len(), 3);
        let Fact::HostFailed { host: kept, why } = &records[1].fact else { panic!() };
        assert_eq!(*kept, host);
        assert!(why.starts_with("xxx") && why.ends_with('…') && why.len() > 1000, "{why}");
    })
    .await;
}

/// The last report of a rollout of 10,000 hosts, with all that it may say.
fn largest() -> Report {
    let word = |n: usize| "w\"".repeat(n);
    let migration = |n: usize| Migration {
        name: format!("{n:04}_{}", word(20)),
        kind: if n == 900 { MigrationKind::Irreversible } else { MigrationKind::Expand },
    };
    let host = |n: usize| HostReport {
        name: HostName::new(format!("{n:05}.{}", "h".repeat(50))).unwrap(),
        wave: 1,
        phase: Phase::Healthy,
        connected: true,
        good: Some(true),
        touched: true,
        reverted: false,
        attempt: 1,
        from: None,
        to: Some(Version::new("v".repeat(128)).unwrap()),
        began: None,
        ended: None,
        step: None,
        waiting: None,
        why: Some(word(500)),
    };
    let gate = |n: usize| GateReport {
        gate: format!("gate{n}"),
        answer: Some(GateAnswer {
            gate: format!("gate{n}"),
            answer: Answer::Pass,
            why: word(250),
            evidence: vec![word(50); 50],
        }),
        overridden: Some(word(30)),
    };
    let schema = Evidence::Schema {
        before: None,
        after: None,
        changed: (0..100).map(migration).collect(),
        omitted: 900,
    };
    let once = OnceReport {
        name: "migrate".to_owned(),
        operation: word(9_000),
        state: OnceState::Done,
        host: None,
        command: None,
        since: None,
        took: None,
        result: Some(OpResult::Failed(word(500))),
        evidence: Some(schema),
        resolved_by: None,
    };
    let migrations: Vec<_> = (0..1000).map(migration).collect();
    let way = Way::Downgrade { migrations: migrations.clone() };
    Report {
        rollout: RolloutId(1),
        service: ServiceName::new("s".repeat(63)).unwrap(),
        version: Version::new("v".repeat(128)).unwrap(),
        kind: Kind::Forward,
        plan: "0".repeat(64),
        by: word(32),
        record: u64::MAX,
        began: Timestamp::UNIX_EPOCH,
        ended: Some(Timestamp::MAX),
        state: State::Ended(Verdict::Succeeded),
        wave: (u32::MAX, u32::MAX),
        totals: Totals { hosts: 10_000, healthy: 10_000, ..Totals::default() },
        hosts: (0..10_000).map(host).collect(),
        gates: (0..8).map(gate).collect(),
        once: vec![once; 8],
        migrations,
        database: Some(Database { way, why: word(500) }),
        monitor: Vec::new(),
        waiting: Vec::new(),
        rollback: false,
        made_way: false,
        reversed_by: None,
    }
}

#[tokio::test]
async fn a_rollout_ends_however_much_there_is_to_say_of_it() {
    on_both_stores(async |store| {
        let journal = Journal::open(Arc::clone(&store), Timestamp::UNIX_EPOCH).await.unwrap();
        let said = || Some("\u{1}".repeat(1000));
        let overrides = (0..8).map(|n| format!("gate{n}")).collect();
        let header = Header { reason: said(), overrides, ..header(1, "web") };
        let report = largest();
        journal.create(&header, None).await.unwrap();
        journal.close(&header, &[record(1, Epoch(1))], &report, None).await.unwrap();
        let key = Key::from_bytes(&[b"rollout/".as_slice(), &1u64.to_be_bytes()].concat());
        let size = store.get(key).await.unwrap().unwrap().len();
        // Far from the limit, so that nothing of it had to be cut.
        assert!(size < VALUE_LIMIT - 4096, "{size}");

        let kept = journal.headers().await.unwrap().remove(0);
        assert_eq!(kept.reason, header.reason);
        let end = kept.end.unwrap();
        assert_eq!(journal.last_report(&end).await.unwrap(), report);
        // What is decided by the summary alone is decided as by the whole.
        assert_eq!(end.summary.state, report.state);
        assert_eq!(end.summary.has_changed(), report.has_changed());
        assert_eq!(end.summary.can_go_back(), report.can_go_back());
        let one_way = Report { migrations: vec![report.migrations[0].clone(); 9], ..report };
        assert!(!End::of(&one_way, String::new()).summary.can_go_back());
    })
    .await;
}

/// Of an entry, another form that says the same: as a later version may write it.
async fn rewrite(store: &dyn Store, key: &Key) {
    let value = store.get(key.clone()).await.unwrap().unwrap();
    let mut other: serde_json::Value = serde_json::from_slice(&value[1..]).unwrap();
    other["of_a_later_version"] = serde_json::json!([]);
    let other = [&value[..1], &serde_json::to_vec_pretty(&other).unwrap()].concat();
    store.commit(Batch::default().put(key.clone(), other)).await.unwrap();
}

#[tokio::test]
async fn what_another_version_wrote_is_dropped_and_used_up_all_the_same() {
    on_both_stores(async |store| {
        let journal = Journal::open(Arc::clone(&store), Timestamp::UNIX_EPOCH).await.unwrap();
        let open = header(1, "web");
        journal.create(&open, None).await.unwrap();
        let report = Report { hosts: Vec::new(), ..largest() };
        let ended = journal.close(&open, &[record(1, Epoch(1))], &report, None).await.unwrap();
        let key = Key::from_bytes(&[b"rollout/".as_slice(), &1u64.to_be_bytes()].concat());
        rewrite(&*store, &key).await;
        // One that is not as it was read stays.
        let other = Header { by: "somebody else".to_owned(), ..ended.clone() };
        let refused = journal.drop_rollout(&other, Timestamp::MAX).await;
        assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
        let dropped = journal.drop_rollout(&ended, Timestamp::MAX).await.unwrap().unwrap();
        journal.clear(&dropped).await.unwrap();
        assert_eq!(journal.headers().await.unwrap(), []);
        assert_eq!(journal.all_records(RolloutId(1)).await.unwrap(), []);

        let token = token();
        journal.save_token("id", &token).await.unwrap();
        rewrite(&*store, &Key::from_bytes(b"token/id")).await;
        journal.use_token("id", &token, &host("1")).await.unwrap();
        let again = journal.use_token("id", &token, &host("2")).await;
        assert!(matches!(again, Err(StoreError::Conflict(_))), "{again:?}");
    })
    .await;
}

#[tokio::test]
async fn tokens_are_forgotten_that_nobody_can_use() {
    on_both_stores(async |store| {
        let journal = Journal::open(store, Timestamp::UNIX_EPOCH).await.unwrap();
        let at = |second| Timestamp::from_second(second).unwrap();
        for n in 0..1200 {
            let expires = if n % 2 == 0 { at(1_000) } else { at(3_000) };
            journal.save_token(&n.to_string(), &TokenRecord { expires, ..token() }).await.unwrap();
        }
        assert_eq!(journal.forget_tokens(at(2_000)).await.unwrap(), 600);
        assert_eq!(journal.forget_tokens(at(2_000)).await.unwrap(), 0);
        assert_eq!(journal.token("0").await.unwrap(), None);
        assert!(journal.token("1").await.unwrap().is_some());
    })
    .await;
}

fn token() -> TokenRecord {
    TokenRecord {
        host: HostName::new("web1").unwrap(),
        labels: Default::default(),
        secret_sha256: "0".repeat(64),
        by: "admin".to_owned(),
        made: None,
        expires: Timestamp::MAX,
        used: None,
    }
}

fn host(serial: &str) -> HostRecord {
    HostRecord {
        name: HostName::new("web1").unwrap(),
        labels: Default::default(),
        enrolled: Timestamp::UNIX_EPOCH,
        certificates: vec![Held::of_serial(serial)],
        revoked: None,
    }
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
        let token = token();
        journal.save_token("id", &token).await.unwrap();
        let (one, two) = (host("1"), host("2"));
        let both = tokio::join!(
            journal.use_token("id", &token, &one),
            journal.use_token("id", &token, &two),
        );
        assert!(both.0.is_ok() != both.1.is_ok(), "{both:?}");
        let used = journal.token("id").await.unwrap().unwrap().used;
        let hosts = journal.hosts().await.unwrap();
        assert_eq!(hosts.len(), 1);
        assert_eq!(used, hosts[0].certificates.first().map(|held| held.serial.clone()));
    })
    .await;
}

//! What every store must do, whatever it is made of.
//!
//! ```ignore
//! suite!(sled, SledPlace);    // a module `sled` with one test for each behaviour
//! ```
//!
//! A further store is a [`Place`] and a line like that in `mod.rs`. A place whose surroundings are missing on this
//! machine says so by panicking: a test that is silently left out shows nothing.

use std::sync::Arc;

use dv_coordinator::{
    ports::{Store, StoreError},
    store::{Batch, Key, VALUE_LIMIT},
};
use futures_util::TryStreamExt as _;
use tokio::task::JoinSet;

/// Where stores of one kind are: each place is empty at first, and apart from all others.
pub(crate) trait Place: Sized {
    async fn new() -> Self;

    /// Opens the store that is there. Whoever opens it again has dropped the one before.
    async fn open(&self) -> Arc<dyn Store>;
}

/// One test for each behaviour, over the stores of a [`Place`].
macro_rules! suite {
    ($store:ident, $place:ty) => {
        mod $store {
            $crate::store::suite::suite! { @ $place:
                reads_what_was_written
                deletes_what_is_there_and_what_is_not
                scans_in_the_order_of_bytes
                scans_no_more_than_was_asked_for
                pages_join_up
                a_snapshot_is_of_one_instant
                a_snapshot_that_nobody_reads_holds_nothing_up
                writes_all_or_nothing
                of_two_writes_to_a_key_the_later_one_counts
                a_batch_may_only_expect
                writes_large_batches_as_one
                refuses_a_value_that_is_too_large
                lets_one_of_many_win
                counts_without_losing_one
                takes_writes_of_many_at_once
                keeps_documents
                lists_and_forgets_documents
                keeps_everything_when_it_is_opened_again
                is_not_short_of_room
            }
        }
    };
    (@ $place:ty: $($behaviour:ident)*) => {
        use super::*;
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $behaviour() {
                $crate::store::suite::$behaviour::<$place>().await;
            }
        )*
    };
}
pub(crate) use suite;

fn key(text: &str) -> Key {
    Key::from_bytes(text.as_bytes())
}

async fn put(store: &dyn Store, at: &str, value: &str) {
    store.commit(Batch::default().put(key(at), value.as_bytes().to_vec())).await.unwrap();
}

async fn text(store: &dyn Store, at: &str) -> Option<String> {
    store.get(key(at)).await.unwrap().map(|value| String::from_utf8(value).unwrap())
}

async fn keys(store: &dyn Store, prefix: &str, after: Option<&str>, limit: usize) -> Vec<String> {
    let found = store.scan(key(prefix), after.map(key), limit).await.unwrap();
    found.into_iter().map(|(key, _)| key.to_string()).collect()
}

/// `count` entries under `prefix`, in as few batches as is usual.
async fn fill(store: &dyn Store, prefix: &str, count: u32) {
    for hundred in (0..count).collect::<Vec<_>>().chunks(100) {
        let put = |batch: Batch, n: &u32| {
            batch.put(key(&format!("{prefix}{n:05}")), n.to_string().into_bytes())
        };
        store.commit(hundred.iter().fold(Batch::default(), put)).await.unwrap();
    }
}

pub(crate) async fn reads_what_was_written<P: Place>() {
    let place = P::new().await;
    let store = place.open().await;
    assert_eq!(text(&*store, "a").await, None);
    put(&*store, "a", "1").await;
    assert_eq!(text(&*store, "a").await.as_deref(), Some("1"));
    put(&*store, "a", "2").await;
    assert_eq!(text(&*store, "a").await.as_deref(), Some("2"));
    assert_eq!(text(&*store, "ab").await, None);
    let binary: Vec<u8> = (0..=255).collect();
    let at = Key::from_bytes(&[0, 255, 10]);
    store.commit(Batch::default().put(at.clone(), binary.clone())).await.unwrap();
    assert_eq!(store.get(at).await.unwrap(), Some(binary));
    store.commit(Batch::default().put(key("empty"), Vec::new())).await.unwrap();
    assert_eq!(store.get(key("empty")).await.unwrap(), Some(Vec::new()));
}

pub(crate) async fn deletes_what_is_there_and_what_is_not<P: Place>() {
    let place = P::new().await;
    let store = place.open().await;
    put(&*store, "a", "1").await;
    store.commit(Batch::default().delete(key("a")).delete(key("b"))).await.unwrap();
    assert_eq!(text(&*store, "a").await, None);
    assert_eq!(keys(&*store, "", None, 9).await, [""; 0]);
    store.commit(Batch::default().create(key("a"), b"2".to_vec())).await.unwrap();
    assert_eq!(text(&*store, "a").await.as_deref(), Some("2"));
}

pub(crate) async fn scans_in_the_order_of_bytes<P: Place>() {
    let place = P::new().await;
    let store = place.open().await;
    for name in ["p/3", "p/1", "p/", "p/20", "p/2", "q/1", "o/9", "p0"] {
        put(&*store, name, name).await;
    }
    assert_eq!(keys(&*store, "p/", None, 9).await, ["p/", "p/1", "p/2", "p/20", "p/3"]);
    assert_eq!(keys(&*store, "z/", None, 9).await, [""; 0]);
    let numbered = |n: u64| Key::from_bytes(&[b"n/".as_slice(), &n.to_be_bytes()].concat());
    let numbers = [1u64, 255, 256, 65_535, 65_536, u64::MAX - 1, u64::MAX];
    for n in numbers.iter().rev() {
        store.commit(Batch::default().put(numbered(*n), vec![1])).await.unwrap();
    }
    let found = store.scan(key("n/"), None, 99).await.unwrap();
    assert_eq!(found.into_iter().map(|(key, _)| key).collect::<Vec<_>>(), numbers.map(numbered));
    // The highest prefix that there is has nothing after it.
    let high = Key::from_bytes(&[255, 255]);
    store.commit(Batch::default().put(high.clone(), vec![1])).await.unwrap();
    assert_eq!(store.scan(high.clone(), None, 9).await.unwrap(), [(high, vec![1])]);
}

pub(crate) async fn scans_no_more_than_was_asked_for<P: Place>() {
    let place = P::new().await;
    let store = place.open().await;
    for name in ["o/9", "p/1", "p/2", "p/3", "q/1"] {
        put(&*store, name, name).await;
    }
    assert_eq!(keys(&*store, "p/", None, 2).await, ["p/1", "p/2"]);
    assert_eq!(keys(&*store, "p/", None, 3).await, ["p/1", "p/2", "p/3"]);
    assert_eq!(keys(&*store, "p/", Some("p/1"), 9).await, ["p/2", "p/3"]);
    assert_eq!(keys(&*store, "p/", Some("p/1"), 1).await, ["p/2"]);
    assert_eq!(keys(&*store, "p/", Some("p/25"), 9).await, ["p/3"]);
    assert_eq!(keys(&*store, "p/", Some("p/3"), 9).await, [""; 0]);
    assert_eq!(keys(&*store, "p/", Some("a"), 2).await, ["p/1", "p/2"]);
    assert_eq!(keys(&*store, "p/", Some("z"), 2).await, [""; 0]);
    assert_eq!(keys(&*store, "", None, 9).await.len(), 5);
}

pub(crate) async fn pages_join_up<P: Place>() {
    let place = P::new().await;
    let store = place.open().await;
    fill(&*store, "p/", 1_300).await;
    put(&*store, "q", "").await;
    let whole = keys(&*store, "p/", None, 10_000).await;
    assert_eq!(whole.len(), 1_300);
    let mut joined: Vec<String> = Vec::new();
    loop {
        let page = keys(&*store, "p/", joined.last().map(String::as_str), 7).await;
        if page.is_empty() {
            break;
        }
        joined.extend(page);
    }
    assert_eq!(joined, whole);
}

pub(crate) async fn a_snapshot_is_of_one_instant<P: Place>() {
    let place = P::new().await;
    let store = place.open().await;
    fill(&*store, "p/", 1_300).await;
    let whole = store.scan(key(""), None, 10_000).await.unwrap();
    let mut snapshot = store.snapshot().await.unwrap();
    // Before the first page, and between pages: changed, deleted, and new, in front and behind.
    let disturb = async |n: u32| {
        let at = |n: u32| key(&format!("p/{n:05}"));
        let batch = Batch::default()
            .put(at(n), b"changed".to_vec())
            .put(at(1_299 - n), b"changed".to_vec())
            .delete(at(650 + n))
            .delete(at(649 - n))
            .put(key(&format!("o/{n}")), b"new".to_vec())
            .put(key(&format!("p/00700-{n}")), b"new".to_vec())
            .put(key(&format!("q/{n}")), b"new".to_vec());
        store.commit(batch).await.unwrap();
    };
    disturb(0).await;
    let mut found = Vec::new();
    for n in 1.. {
        let Some(page) = snapshot.try_next().await.unwrap() else { break };
        assert!(!page.is_empty());
        found.extend(page);
        disturb(n).await;
        disturb(n + 100).await;
    }
    assert_eq!(found, whole);
    assert_eq!(text(&*store, "p/00000").await.as_deref(), Some("changed"));

    let nothing = Batch::default();
    let everything = store.scan(key(""), None, 10_000).await.unwrap();
    let delete = |batch: Batch, (key, _): &(Key, Vec<u8>)| batch.delete(key.clone());
    store.commit(everything.iter().fold(nothing, delete)).await.unwrap();
    let empty: Vec<_> = store.snapshot().await.unwrap().try_concat().await.unwrap();
    assert_eq!(empty, []);
}

pub(crate) async fn a_snapshot_that_nobody_reads_holds_nothing_up<P: Place>() {
    let place = P::new().await;
    let store = place.open().await;
    fill(&*store, "p/", 600).await;
    let stuck = store.snapshot().await.unwrap();
    fill(&*store, "p/", 600).await;
    let second: Vec<_> = store.snapshot().await.unwrap().try_concat().await.unwrap();
    assert_eq!(second.len(), 600);
    drop(stuck);
    put(&*store, "a", "1").await;
}

pub(crate) async fn writes_all_or_nothing<P: Place>() {
    let place = P::new().await;
    let store = place.open().await;
    put(&*store, "there", "1").await;
    let batch = Batch::default()
        .put(key("first"), b"x".to_vec())
        .create(key("there"), b"2".to_vec())
        .delete(key("there"));
    assert_eq!(store.commit(batch).await, Err(StoreError::Conflict(key("there"))));
    assert_eq!(text(&*store, "first").await, None);
    assert_eq!(text(&*store, "there").await.as_deref(), Some("1"));

    for wrong in [Some(b"2".to_vec()), Some(Vec::new()), None] {
        let batch = Batch::default().put(key("first"), b"x".to_vec()).expect(key("there"), wrong);
        assert_eq!(store.commit(batch).await, Err(StoreError::Conflict(key("there"))));
    }
    let missing = Batch::default().expect(key("missing"), Some(Vec::new()));
    assert_eq!(store.commit(missing).await, Err(StoreError::Conflict(key("missing"))));
    assert_eq!(text(&*store, "first").await, None);

    let batch = Batch::default()
        .expect(key("there"), Some(b"1".to_vec()))
        .put(key("there"), b"2".to_vec())
        .create(key("new"), b"3".to_vec());
    store.commit(batch).await.unwrap();
    assert_eq!(text(&*store, "there").await.as_deref(), Some("2"));
    assert_eq!(text(&*store, "new").await.as_deref(), Some("3"));
}

pub(crate) async fn of_two_writes_to_a_key_the_later_one_counts<P: Place>() {
    let place = P::new().await;
    let store = place.open().await;
    let batch = Batch::default()
        .put(key("a"), b"1".to_vec())
        .put(key("a"), b"2".to_vec())
        .put(key("b"), b"1".to_vec())
        .delete(key("b"))
        .delete(key("c"))
        .put(key("c"), b"3".to_vec());
    store.commit(batch).await.unwrap();
    assert_eq!(keys(&*store, "", None, 9).await, ["a", "c"]);
    assert_eq!(text(&*store, "a").await.as_deref(), Some("2"));
}

pub(crate) async fn a_batch_may_only_expect<P: Place>() {
    let place = P::new().await;
    let store = place.open().await;
    store.commit(Batch::default()).await.unwrap();
    store.commit(Batch::default().expect(key("a"), None)).await.unwrap();
    put(&*store, "a", "1").await;
    store.commit(Batch::default().expect(key("a"), Some(b"1".to_vec()))).await.unwrap();
    let refused = store.commit(Batch::default().expect(key("a"), None)).await;
    assert_eq!(refused, Err(StoreError::Conflict(key("a"))));
}

/// A turn over ten thousand hosts may record as much at once.
pub(crate) async fn writes_large_batches_as_one<P: Place>() {
    const COUNT: u32 = 10_000;
    let place = P::new().await;
    let store = place.open().await;
    put(&*store, "fence", "1").await;
    let large = |prefix: &str, fence: &str| {
        let batch = Batch::default().expect(key("fence"), Some(fence.as_bytes().to_vec()));
        (0..COUNT)
            .fold(batch, |batch, n| batch.create(key(&format!("{prefix}{n:05}")), vec![b'x'; 300]))
    };
    store.commit(large("a/", "1")).await.unwrap();
    assert_eq!(keys(&*store, "a/", None, usize::MAX).await.len(), COUNT as usize);

    assert_eq!(
        store.commit(large("b/", "2")).await,
        Err(StoreError::Conflict(key("fence"))),
        "its fence is another"
    );
    put(&*store, "c/09999", "").await;
    let refused = store.commit(large("c/", "1")).await;
    assert_eq!(refused, Err(StoreError::Conflict(key("c/09999"))), "its last key is there");
    assert_eq!(keys(&*store, "b/", None, usize::MAX).await, [""; 0]);
    assert_eq!(keys(&*store, "c/", None, usize::MAX).await, ["c/09999"]);
}

pub(crate) async fn refuses_a_value_that_is_too_large<P: Place>() {
    let place = P::new().await;
    let store = place.open().await;
    let most = vec![b'x'; VALUE_LIMIT];
    store.commit(Batch::default().put(key("most"), most.clone())).await.unwrap();
    assert_eq!(store.get(key("most")).await.unwrap(), Some(most.clone()));
    let more = [most, vec![b'x']].concat();
    let batch = Batch::default().put(key("small"), vec![1]).put(key("more"), more);
    let refused = store.commit(batch).await;
    let (key_, size, limit) = (key("more"), VALUE_LIMIT + 1, VALUE_LIMIT);
    assert_eq!(refused, Err(StoreError::TooLarge { key: key_, size, limit }));
    assert_eq!(keys(&*store, "", None, 9).await, ["most"]);
}

pub(crate) async fn lets_one_of_many_win<P: Place>() {
    let place = P::new().await;
    let store = place.open().await;
    let mut writers = JoinSet::new();
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

pub(crate) async fn counts_without_losing_one<P: Place>() {
    const EACH: u32 = 20;
    let place = P::new().await;
    let store = place.open().await;
    put(&*store, "sum", "0").await;
    let mut counters = JoinSet::new();
    for _ in 0..8 {
        let store = Arc::clone(&store);
        counters.spawn(async move {
            let mut added = 0;
            while added < EACH {
                let before = text(&*store, "sum").await.unwrap();
                let after = (before.parse::<u32>().unwrap() + 1).to_string();
                let batch = Batch::default()
                    .expect(key("sum"), Some(before.into_bytes()))
                    .put(key("sum"), after.into_bytes());
                match store.commit(batch).await {
                    Ok(()) => added += 1,
                    Err(StoreError::Conflict(_)) => {}
                    Err(why) => panic!("{why}"),
                }
            }
        });
    }
    counters.join_all().await;
    assert_eq!(text(&*store, "sum").await, Some((8 * EACH).to_string()));
}

pub(crate) async fn takes_writes_of_many_at_once<P: Place>() {
    let place = P::new().await;
    let store = place.open().await;
    let mut writers = JoinSet::new();
    for n in 0..200 {
        let store = Arc::clone(&store);
        writers.spawn(async move {
            let at = format!("w/{n:03}");
            put(&*store, &at, "1").await;
            assert_eq!(text(&*store, &at).await.as_deref(), Some("1"), "acknowledged, so there");
        });
    }
    writers.join_all().await;
    assert_eq!(keys(&*store, "w/", None, 999).await.len(), 200);
}

pub(crate) async fn keeps_documents<P: Place>() {
    let place = P::new().await;
    let store = place.open().await;
    let large = format!("{{\"text\": \"{}\"}}", "x".repeat(3_000_000));
    for document in ["{}".to_owned(), "\"Grüße\"".to_owned(), large] {
        let hash = store.save_document(document.clone()).await.unwrap();
        assert_eq!(hash.len(), 64);
        assert_eq!(store.save_document(document.clone()).await.unwrap(), hash);
        assert_eq!(store.document(hash).await.unwrap(), Some(document));
    }
    assert_eq!(store.document("0".repeat(64)).await.unwrap(), None);
    assert_eq!(keys(&*store, "", None, 9).await, [""; 0], "documents are no entries");
    assert_eq!(
        store.save_document("{}".to_owned()).await.unwrap(),
        "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    );
}

pub(crate) async fn lists_and_forgets_documents<P: Place>() {
    let place = P::new().await;
    let store = place.open().await;
    assert_eq!(store.documents(None, 9).await.unwrap(), [""; 0]);
    let mut hashes = Vec::new();
    for n in 0..7 {
        hashes.push(store.save_document(n.to_string()).await.unwrap());
    }
    hashes.sort();
    assert_eq!(store.documents(None, 9).await.unwrap(), hashes);
    assert_eq!(store.documents(None, 3).await.unwrap(), hashes[..3]);
    assert_eq!(store.documents(Some(hashes[2].clone()), 3).await.unwrap(), hashes[3..6]);
    assert_eq!(store.documents(Some(hashes[6].clone()), 3).await.unwrap(), [""; 0]);
    store.forget_document(hashes[3].clone()).await.unwrap();
    store.forget_document(hashes[3].clone()).await.unwrap();
    assert_eq!(store.document(hashes[3].clone()).await.unwrap(), None);
    hashes.remove(3);
    assert_eq!(store.documents(None, 9).await.unwrap(), hashes);
    assert!(store.document(hashes[3].clone()).await.unwrap().is_some());
}

pub(crate) async fn keeps_everything_when_it_is_opened_again<P: Place>() {
    let place = P::new().await;
    let mut hashes = Vec::new();
    for n in 0..5_u32 {
        let store = place.open().await;
        assert_eq!(keys(&*store, "n/", None, 9).await.len(), n as usize);
        for hash in &hashes {
            assert!(store.document(String::clone(hash)).await.unwrap().is_some());
        }
        put(&*store, &format!("n/{n}"), "x").await;
        hashes.push(store.save_document(n.to_string()).await.unwrap());
    }
}

pub(crate) async fn is_not_short_of_room<P: Place>() {
    let place = P::new().await;
    assert_eq!(place.open().await.shortage().await.unwrap(), None);
}

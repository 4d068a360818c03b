//! The store in etcd: who may write, and what happens once although it was asked for twice.

use std::{pin::Pin, sync::Arc};

use dv_coordinator::{
    leader::{Candidate, Cluster, Door, Leadership, Lost},
    ports::{Store, StoreError},
    store::{Batch, Key},
};
use dv_etcd::{Range, Txn};
use tokio::{sync::Mutex, task::JoinHandle};

use super::suite::{Place, suite};
use crate::support::{
    PATIENCE,
    etcd::Servers,
    eventually,
    proxy::{Proxy, Wire},
};

/// A fleet's place in an etcd of its own. Whoever opens it leads.
pub(crate) struct Fleet {
    servers: Servers,
    before: Mutex<Option<Reign>>,
}

struct Reign {
    keeping: JoinHandle<Lost>,
    farewell: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Place for Fleet {
    async fn new() -> Self {
        Self { servers: Servers::start(1).await, before: Mutex::default() }
    }

    async fn open(&self) -> Arc<dyn Store> {
        let mut before = self.before.lock().await;
        if let Some(Reign { keeping, farewell }) = before.take() {
            keeping.abort();
            farewell.await;
        }
        let leadership = lead(self.servers.cluster("fleet")).await;
        let store = leadership.store().await.unwrap();
        let farewell = Box::pin(leadership.farewell());
        let keeping = tokio::spawn(leadership.keep(|| None));
        *before = Some(Reign { keeping, farewell });
        Arc::new(store)
    }
}

suite!(etcd, Fleet);

async fn lead(cluster: Cluster) -> Leadership {
    Candidate::new(cluster, "somewhere:1".to_owned(), Door::default()).stand(|_| {}).await
}

fn key(text: &str) -> Key {
    Key::from_bytes(text.as_bytes())
}

fn put(at: &str, value: &str) -> Batch {
    Batch::default().put(key(at), value.as_bytes().to_vec())
}

/// Its lease is renewed, and etcd knows better all the same: what it writes is refused there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_deposed_writes_nothing_more() {
    let servers = Servers::start(1).await;
    let first = lead(servers.cluster("fleet")).await;
    let store = first.store().await.unwrap();
    store.commit(put("a", "first")).await.unwrap();
    let lost = tokio::spawn(first.keep(|| None));

    servers.etcd().txn(PATIENCE, Txn::default().delete(Range::key("/fleet/leader"))).await.unwrap();
    let second = lead(servers.cluster("fleet")).await.store().await.unwrap();
    let large = (0..500).fold(Batch::default(), |batch, n| batch.put(key(&n.to_string()), vec![1]));
    assert_eq!(store.commit(large).await, Err(StoreError::Deposed));
    assert_eq!(store.commit(put("a", "again")).await, Err(StoreError::Deposed));
    assert_eq!(store.save_document("{}".to_owned()).await, Err(StoreError::Deposed));
    assert!(!store.reigns() && second.reigns());
    assert_eq!(second.get(key("a")).await.unwrap(), Some(b"first".to_vec()));
    assert_eq!(second.scan(key(""), None, 9).await.unwrap().len(), 1);
    assert_eq!(lost.await.unwrap(), Lost::Key);
}

/// A commit reaches etcd, its answer is lost, and it is asked for again elsewhere: it has happened, once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_was_lost_is_looked_up() {
    let servers = Servers::start(1).await;
    let proxy = Proxy::to(servers.addresses()[0].clone()).await;
    let members = [proxy.address(), servers.addresses()[0].clone()];
    let cluster = servers.cluster_by(&members, "fleet", 60);
    let leadership = lead(cluster).await;
    let store = leadership.store().await.unwrap();
    store.commit(put("sum", "0")).await.unwrap();
    proxy.set(Wire::Mute);
    let add = Batch::default()
        .expect(key("sum"), Some(b"0".to_vec()))
        .put(key("sum"), b"1".to_vec())
        .create(key("new"), b"x".to_vec());
    assert_eq!(store.commit(add.clone()).await, Ok(()));
    let entry = servers.etcd().range(PATIENCE, Range::key("/fleet/entry/sum")).await.unwrap();
    assert_eq!(entry.0[0].value, "1");
    // And where it did not happen, that is what is said.
    assert_eq!(store.commit(add).await, Err(StoreError::Conflict(key("sum"))));
}

/// A leader is cut off in the middle of a large batch: the next one finds all of it, or nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_batch_is_there_as_a_whole_or_not_at_all() {
    const COUNT: usize = 5_000;
    let servers = Servers::start(1).await;
    let etcd = servers.etcd();
    for (round, (sign, committed)) in
        [("staged/", false), ("pending", true), ("entry/first/", true)].into_iter().enumerate()
    {
        let fleet = format!("fleet{round}");
        let proxy = Proxy::to(servers.addresses()[0].clone()).await;
        let leadership = lead(servers.cluster_by(&[proxy.address()], &fleet, 2)).await;
        let store = leadership.store().await.unwrap();
        let writes = |name: &str| {
            let create =
                |batch: Batch, n| batch.create(key(&format!("{name}/{n:04}")), vec![7; 300]);
            (0..COUNT).fold(Batch::default(), create)
        };
        let keeping = tokio::spawn(leadership.keep(|| None));
        let writing = tokio::spawn(async move { store.commit(writes("first")).await });
        eventually(sign, async || {
            let range = Range::under(format!("/{fleet}/{sign}")).limit(1);
            (!etcd.range(PATIENCE, range).await.unwrap().0.is_empty()).then_some(())
        })
        .await;
        proxy.set(Wire::Silent);
        assert!(writing.await.unwrap().is_err(), "it was cut off before its end");
        keeping.await.unwrap();

        // Nobody keeps its lease, and it has much to read.
        let cluster = servers.cluster_by(&servers.addresses(), &fleet, 60);
        let next = lead(cluster).await.store().await.unwrap();
        let found = next.scan(key("first/"), None, usize::MAX).await.unwrap().len();
        assert!(found == COUNT || found == 0 && !committed, "{sign}: {found}");
        let left = etcd.range(PATIENCE, Range::under(format!("/{fleet}/staged/"))).await.unwrap().0;
        assert!(left.is_empty(), "what was put down is cleared away");
        next.commit(writes("second")).await.unwrap();
        assert_eq!(next.scan(key("second/"), None, usize::MAX).await.unwrap().len(), COUNT);
    }
}

/// One of three members dies, and another stands still: what was acknowledged is there, and writing goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_writes_on_while_most_of_its_members_live() {
    let mut servers = Servers::start(3).await;
    let leadership = lead(servers.cluster_by(&servers.addresses(), "fleet", 10)).await;
    let store = leadership.store().await.unwrap();
    let keeping = tokio::spawn(leadership.keep(|| None));
    let mut written = 0;
    let mut write = async |count: usize| {
        for _ in 0..count {
            let batch = Batch::default().create(key(&format!("n/{written:03}")), vec![1]);
            store.commit(batch).await.unwrap();
            written += 1;
        }
    };
    for number in 0..3 {
        write(5).await;
        servers.kill(number);
        write(5).await;
        servers.restart(number);
        write(5).await;
        servers.pause(number, true);
        write(5).await;
        servers.pause(number, false);
        write(5).await;
    }
    assert_eq!(store.scan(key("n/"), None, usize::MAX).await.unwrap().len(), written);
    assert!(!keeping.is_finished(), "it led all the time");
}

/// Nobody else can lead while one does; and when it stops, the next one does at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_leads_at_a_time() {
    let servers = Servers::start(1).await;
    let first = lead(servers.cluster("fleet")).await;
    let farewell = first.farewell();
    let keeping = tokio::spawn(first.keep(|| None));
    let (says, mut said) = tokio::sync::mpsc::unbounded_channel();
    let second = Candidate::new(servers.cluster("fleet"), "here:2".to_owned(), Door::default());
    let second = tokio::spawn(second.stand(move |standing| says.send(standing).unwrap()));
    for _ in 0..12 {
        let standing = said.recv().await.unwrap();
        assert!(format!("{standing:?}").contains("somewhere:1"), "{standing:?}");
    }
    assert!(!second.is_finished() && !keeping.is_finished());
    farewell.await;
    second.await.unwrap();
    assert_eq!(keeping.await.unwrap(), Lost::Key);
}

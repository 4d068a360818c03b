//! The store in etcd, for a fleet with several coordinators. Only who leads can open it, and it serves only as long as
//! that one leads.

mod commit;
mod documents;
mod fence;
mod layout;
mod slots;
mod staged;

use std::{collections::BTreeMap, sync::Arc};

use dv_etcd::{Etcd, Range};
use futures_util::{StreamExt as _, stream};
use tokio::sync::{RwLock, RwLockReadGuard};

use self::slots::Slots;
use super::{Batch, Key};
use crate::ports::{Entries, Shortage, Snapshot, Store, StoreError, Stored};

pub use fence::Fence;
pub(crate) use layout::Layout;

/// Entries that are read at once.
const PAGE: usize = 512;

type Writes = BTreeMap<Key, Option<Vec<u8>>>;
type Expected = (Key, Option<Vec<u8>>);

/// A store in etcd.
#[derive(Debug, Clone)]
pub struct EtcdStore {
    etcd: Etcd,
    layout: Layout,
    fence: Fence,
    slots: Arc<Slots>,
    /// Whether no large batch is half written. While one is being written nobody else reads or writes.
    whole: Arc<RwLock<bool>>,
}

impl EtcdStore {
    /// Opens the store below `prefix`, for the leader that `fence` belongs to. What an earlier leader has committed and
    /// not written out is written out first.
    pub(crate) async fn open(etcd: Etcd, layout: Layout, fence: Fence) -> Result<Self, StoreError> {
        let (slots, whole) = (Arc::new(Slots::new()), Arc::new(RwLock::new(true)));
        let store = Self { etcd, layout, fence, slots, whole };
        store.finish().await?;
        Ok(store)
    }

    /// Waits until nothing is half written.
    async fn reading(&self) -> Result<RwLockReadGuard<'_, bool>, StoreError> {
        let whole = self.whole.read().await;
        if *whole { Ok(whole) } else { Err(commit::half_written()) }
    }

    async fn page(&self, range: Range) -> Result<(Entries, i64), StoreError> {
        let (found, revision) = self.etcd.range(self.fence.patience()?, range).await?;
        let entry = |found: dv_etcd::Entry| (self.layout.key(&found.key), found.value.to_vec());
        Ok((found.into_iter().map(entry).collect(), revision))
    }

    /// Up to `limit` entries, all of one instant.
    async fn entries(
        &self,
        prefix: &Key,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Entries, StoreError> {
        let mut range = Range::under(self.layout.entry(prefix));
        if let Some(after) = after {
            range = range.after(&self.layout.entry(after));
        }
        let _reading = self.reading().await?;
        let mut entries = Entries::new();
        while entries.len() < limit {
            let asked = PAGE.min(limit - entries.len());
            let (page, revision) = self.page(range.clone().limit(asked)).await?;
            let is_last = page.len() < asked;
            entries.extend(page);
            match entries.last() {
                Some((last, _)) if !is_last => {
                    range = range.after(&self.layout.entry(last)).at(revision);
                }
                _ => break,
            }
        }
        Ok(entries)
    }
}

impl Store for EtcdStore {
    fn get(&self, key: Key) -> Stored<'_, Option<Vec<u8>>> {
        Box::pin(async move {
            let _reading = self.reading().await?;
            let found = self.etcd.get(self.fence.patience()?, self.layout.entry(&key)).await?;
            Ok(found.map(|found| found.value.to_vec()))
        })
    }

    fn scan(&self, prefix: Key, after: Option<Key>, limit: usize) -> Stored<'_, Entries> {
        Box::pin(async move { self.entries(&prefix, after.as_ref(), limit).await })
    }

    fn snapshot(&self) -> Stored<'_, Snapshot> {
        Box::pin(async move {
            let range = Range::under(self.layout.entry(&Key::from_bytes(&[]))).limit(PAGE);
            let _reading = self.reading().await?;
            let (first, revision) = self.page(range.clone()).await?;
            let range = range.at(revision);
            let store = self.clone();
            let pages = stream::try_unfold(Some(first), move |page| {
                let (store, range) = (store.clone(), range.clone());
                async move {
                    let Some(page) = page else { return Ok(None) };
                    let Some((last, _)) = page.last() else { return Ok(None) };
                    let next = match page.len() {
                        PAGE => {
                            let range = range.after(&store.layout.entry(last));
                            Some(store.page(range).await?.0)
                        }
                        _ => None,
                    };
                    Ok(Some((page, next)))
                }
            });
            Ok(pages.boxed())
        })
    }

    fn commit(&self, batch: Batch) -> Stored<'_, ()> {
        let store = self.clone();
        apart(async move { store.commit_batch(batch).await })
    }

    fn save_document(&self, text: String) -> Stored<'_, String> {
        let store = self.clone();
        apart(async move { store.save(&text).await })
    }

    fn document(&self, hash: String) -> Stored<'_, Option<String>> {
        Box::pin(async move { self.load(&hash).await })
    }

    fn documents(&self, after: Option<String>, limit: usize) -> Stored<'_, Vec<String>> {
        Box::pin(async move { self.names(after.as_deref(), limit).await })
    }

    fn forget_document(&self, hash: String) -> Stored<'_, bool> {
        let store = self.clone();
        // No backup is made of this store: etcd makes its own.
        apart(async move { store.forget(&hash).await.map(|()| true) })
    }

    fn reigns(&self) -> bool {
        self.fence.tenure.holds()
    }

    fn shortage(&self) -> Stored<'_, Option<Shortage>> {
        Box::pin(async move {
            let room = self.etcd.room(self.fence.patience()?).await?;
            let quota = room.quota.unwrap_or(room.taken);
            let free = if room.full { 0 } else { quota.saturating_sub(room.taken) };
            let floor = quota / 10;
            let is_short = room.full || room.quota.is_some() && free < floor;
            Ok(is_short.then(|| Shortage { place: "etcd".to_owned(), free, floor }))
        })
    }
}

/// A write goes on to its end, although whoever asked for it may not wait that long.
fn apart<T: Send + 'static>(
    write: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Stored<'static, T> {
    let write = tokio::spawn(write);
    Box::pin(async move { write.await.unwrap_or_else(|why| Err(StoreError::failed(why))) })
}

impl From<dv_etcd::Error> for StoreError {
    fn from(why: dv_etcd::Error) -> Self {
        match why {
            dv_etcd::Error::NoLease => Self::Deposed,
            why => Self::failed(why),
        }
    }
}

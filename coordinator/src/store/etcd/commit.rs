//! Commits. A small batch is one transaction. A large one is put down in parts first; the transaction that makes it
//! count says where they are; then they are written out, and whoever finds them unfinished finishes them before
//! anything is read.

use dv_etcd::{Answer, Bytes, Range, Txn};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::{EtcdStore, Expected, Writes, staged};
use crate::{
    chance,
    ports::StoreError,
    store::{Batch, Key},
};

/// Parts of a transaction of each kind; etcd takes 128, and some are ours.
const PARTS: usize = 120;
/// Bytes of a transaction, roughly; etcd takes 1.5 MiB.
const BYTES: usize = 768 * 1024;
/// Transactions under way at once, of those of one large batch.
const AT_ONCE: usize = 8;

impl EtcdStore {
    pub(super) async fn commit_batch(&self, batch: Batch) -> Result<(), StoreError> {
        batch.check()?;
        // etcd refuses a transaction that writes a key twice.
        let writes: Writes =
            batch.writes.into_iter().map(|write| (write.key, write.value)).collect();
        if is_small(&writes, &batch.expected) {
            let _reading = self.reading().await?;
            let txn = self.all(Txn::default(), writes);
            return self.commit_marked(txn, &batch.expected).await;
        }
        let mut whole = self.whole.write().await;
        if !*whole {
            return Err(half_written());
        }
        // Nobody else writes: others can't, and we hold the lock.
        self.expect(&batch.expected).await?;
        let pending = self.stage(&writes).await?;
        *whole = false;
        let committed = Txn::default()
            .if_absent(self.layout.pending())
            .put(self.layout.pending(), pending.clone());
        match self.commit_marked(committed, &[]).await {
            Ok(()) => self.write_out(pending, writes).await?,
            Err(why @ StoreError::Conflict(_)) => {
                *whole = true;
                return Err(why);
            }
            Err(why) => return Err(why),
        }
        *whole = true;
        Ok(())
    }

    /// Finishes the large batch that was committed and not written out, if there is one.
    pub(super) async fn finish(&self) -> Result<(), StoreError> {
        let pending = self.etcd.get(self.fence.patience()?, self.layout.pending()).await?;
        let Some(pending) = pending else {
            // Parts of batches that never were committed.
            let staged = Range::under(self.layout.all_staged());
            return self.write(Txn::default().delete(staged)).await;
        };
        let damaged = || StoreError::Damaged {
            what: "a large batch".to_owned(),
            why: "not all of its parts are there".to_owned(),
        };
        let text = String::from_utf8_lossy(&pending.value).into_owned();
        let (batch, count) = text.split_once(' ').ok_or_else(damaged)?;
        let count: usize = count.parse().map_err(|_| damaged())?;
        let mut writes = Writes::new();
        for number in 0..count {
            let part = self.layout.staged(batch, number);
            let part = self.etcd.get(self.fence.patience()?, part).await?.ok_or_else(damaged)?;
            writes.extend(staged::decode(&part.value).ok_or_else(damaged)?);
        }
        tracing::info!(writes = writes.len(), "a large batch of the last leader is written out");
        self.write_out(pending.value, writes).await
    }

    /// One transaction that only this leader can do, and that happens once. `expected` is what it compares besides.
    pub(super) async fn commit_marked(
        &self,
        txn: Txn,
        expected: &[Expected],
    ) -> Result<(), StoreError> {
        let gone = || StoreError::Failed("too many commits had no answer".to_owned());
        let taken = self.slots.take().await.ok_or_else(gone)?;
        let mark = self.layout.mark(self.fence.created, taken.slot.number);
        let txn = match &taken.slot.last {
            None => txn.if_absent(mark.clone()),
            Some(last) => txn.if_holds(mark.clone(), last.clone()),
        };
        let mut txn = self
            .fence
            .guard(txn)
            .put_leased(mark.clone(), taken.mark.clone(), self.fence.lease)
            .or_read(Range::key(mark))
            .or_read(Range::key(self.fence.key.clone()));
        for (key, value) in expected {
            let name = self.layout.entry(key);
            txn = match value {
                Some(value) => txn.if_holds(name.clone(), value.clone()),
                None => txn.if_absent(name.clone()),
            };
            txn = txn.or_read(Range::key(name));
        }
        let Answer { held, read, .. } = match self.etcd.txn(self.fence.patience()?, txn).await {
            Ok(answer) => answer,
            Err(why) => {
                taken.lost();
                return Err(why.into());
            }
        };
        let [mark, leader, found @ ..] = &read[..] else {
            taken.done();
            return Ok(());
        };
        if held || mark.first().is_some_and(|mark| mark.value == taken.mark.as_bytes()) {
            // An earlier attempt of ours had come through.
            taken.done();
            return Ok(());
        }
        taken.not_done();
        if !self.fence.is(leader) {
            return Err(self.fence.deposed());
        }
        let differs = expected.iter().zip(found).find(|((_, expected), found)| {
            found.first().map(|found| &found.value[..]) != expected.as_deref()
        });
        match differs {
            Some(((key, _), _)) => Err(StoreError::Conflict(key.clone())),
            None => Err(StoreError::Failed("etcd refused a commit that it should take".to_owned())),
        }
    }

    /// A transaction that only this leader can do, and whose second time changes nothing.
    pub(super) async fn write(&self, txn: Txn) -> Result<(), StoreError> {
        let answer = self.etcd.txn(self.fence.patience()?, self.fence.guard(txn)).await?;
        if answer.held { Ok(()) } else { Err(self.fence.deposed()) }
    }

    fn all(&self, txn: Txn, writes: impl IntoIterator<Item = (Key, Option<Vec<u8>>)>) -> Txn {
        writes.into_iter().fold(txn, |txn, (key, value)| {
            let name = self.layout.entry(&key);
            match value {
                Some(value) => txn.put(name, value),
                None => txn.delete(Range::key(name)),
            }
        })
    }

    /// Whether everything is as expected.
    async fn expect(&self, expected: &[Expected]) -> Result<(), StoreError> {
        let looks = expected.chunks(PARTS).map(|expected| async move {
            let read = |txn: Txn, (key, _): &Expected| txn.read(Range::key(self.layout.entry(key)));
            let txn = expected.iter().fold(Txn::default(), read);
            let answer = self.etcd.txn(self.fence.patience()?, txn).await?;
            for ((key, value), found) in expected.iter().zip(answer.read) {
                if found.first().map(|found| &found.value[..]) != value.as_deref() {
                    return Err(StoreError::Conflict(key.clone()));
                }
            }
            Ok(())
        });
        stream::iter(looks.collect::<Vec<_>>()).buffered(AT_ONCE).try_collect().await
    }

    /// Puts writes down, and answers with where they are.
    async fn stage(&self, writes: &Writes) -> Result<Bytes, StoreError> {
        let batch: String = chance::bytes::<8>().iter().map(|b| format!("{b:02x}")).collect();
        let parts = staged::encode(writes);
        let count = parts.len();
        for (number, part) in parts.into_iter().enumerate() {
            self.write(Txn::default().put(self.layout.staged(&batch, number), part)).await?;
        }
        Ok(format!("{batch} {count}").into())
    }

    /// Writes a committed batch out, and forgets its parts. An attempt that is late finds nothing pending.
    async fn write_out(&self, pending: Bytes, writes: Writes) -> Result<(), StoreError> {
        let name = self.layout.pending();
        let guarded = || Txn::default().if_holds(name.clone(), pending.clone());
        let groups = groups(writes);
        let txns = groups.into_iter().map(|group| self.write(self.all(guarded(), group)));
        stream::iter(txns.collect::<Vec<_>>())
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await?;
        let text = String::from_utf8_lossy(&pending);
        let staged = self.layout.staged_of(text.split(' ').next().unwrap_or_default());
        let txn = Txn::default().delete(Range::key(name.clone())).delete(Range::under(staged));
        self.write(txn).await
    }
}

fn size(key: &Key, value: Option<&[u8]>) -> usize {
    2 * key.as_bytes().len() + value.map_or(0, <[u8]>::len) + 64
}

fn is_small(writes: &Writes, expected: &[Expected]) -> bool {
    let bytes = writes.iter().map(|(key, value)| size(key, value.as_deref())).sum::<usize>()
        + expected.iter().map(|(key, value)| size(key, value.as_deref())).sum::<usize>();
    writes.len() <= PARTS && expected.len() <= PARTS && bytes <= BYTES
}

/// Writes in groups that each fit in a transaction.
fn groups(writes: Writes) -> Vec<Vec<(Key, Option<Vec<u8>>)>> {
    let mut groups: Vec<Vec<_>> = Vec::new();
    let mut bytes = 0;
    for (key, value) in writes {
        let more = size(&key, value.as_deref());
        match groups.last_mut().filter(|group| group.len() < PARTS && bytes + more <= BYTES) {
            Some(group) => {
                bytes += more;
                group.push((key, value));
            }
            None => {
                bytes = more;
                groups.push(vec![(key, value)]);
            }
        }
    }
    groups
}

pub(super) fn half_written() -> StoreError {
    StoreError::Failed("a large batch is half written: the next leader finishes it".to_owned())
}

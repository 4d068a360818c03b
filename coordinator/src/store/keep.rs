//! Ended rollouts are not kept for ever: one that is dropped leaves a line, and nothing else.

use std::{collections::HashSet, time::Duration};

use dv_types::{ReleaseId, Timestamp};
use tokio::sync::{Mutex, MutexGuard};

use super::{
    Dropped, Header, Journal, Key, TokenRecord,
    value::{decode, encode},
};
use crate::ports::StoreError;

/// Entries that are deleted at once.
const PORTION: usize = 500;
/// The pause before it is looked again whether a backup is done.
const PAUSE: Duration = Duration::from_secs(2);
/// Documents that are looked at at once.
const PAGE: usize = 1_000;

/// Documents that were saved lately: what names them may be written yet. By two sweeps.
#[derive(Debug, Default)]
pub(super) struct Lately(Mutex<[HashSet<String>; 2]>);

impl Lately {
    /// Notes one that is saved now. It is not forgotten while the answer is held, nor before the second sweep from now.
    pub(super) async fn note(&self, hash: &str) -> MutexGuard<'_, [HashSet<String>; 2]> {
        let mut lately = self.0.lock().await;
        lately[0].insert(hash.to_owned());
        lately
    }
}

impl Journal {
    /// Every rollout that was dropped, the oldest first.
    pub async fn dropped(&self) -> Result<Vec<Dropped>, StoreError> {
        self.all(Key::all_dropped()).await
    }

    /// Drops a rollout that has ended: from here on, nobody finds more of it than this line.
    pub async fn drop_rollout(
        &self,
        header: &Header,
        now: Timestamp,
    ) -> Result<Option<Dropped>, StoreError> {
        let Some(end) = &header.end else { return Ok(None) };
        let (key, line) = (Key::header(header.rollout), Key::dropped(header.rollout));
        // What was read is expected as it is: an earlier version may have written it in another form.
        let before = self.store().get(key.clone()).await?;
        let found: Option<Header> =
            before.as_deref().map(|bytes| decode(&key, bytes)).transpose()?;
        if found.as_ref() != Some(header) {
            return Err(StoreError::Conflict(key));
        }
        let dropped = Dropped {
            rollout: header.rollout,
            service: header.service.clone(),
            version: header.version.clone(),
            kind: header.kind.clone(),
            created: header.created,
            state: end.summary.state.clone(),
            dropped: now,
            cleared: false,
        };
        let value = encode(&line, &dropped)?;
        let batch = self.batch()?.expect(key.clone(), before).delete(key).put(line, value);
        self.store().commit(batch.delete(Key::way_back(header.rollout))).await?;
        Ok(Some(dropped))
    }

    /// Deletes the records of a rollout that was dropped, and what came late for it.
    pub async fn clear(&self, dropped: &Dropped) -> Result<(), StoreError> {
        for prefix in [Key::records(dropped.rollout), Key::late_of(dropped.rollout)] {
            loop {
                let page = self.store().scan(prefix.clone(), None, PORTION).await?;
                if page.is_empty() {
                    break;
                }
                let batch =
                    page.into_iter().fold(self.batch()?, |batch, (key, _)| batch.delete(key));
                self.store().commit(batch).await?;
            }
        }
        let line = Key::dropped(dropped.rollout);
        let value = encode(&line, &Dropped { cleared: true, ..dropped.clone() })?;
        self.store().commit(self.batch()?.put(line, value)).await
    }

    /// Drops a release that has ended, and whose rollouts are dropped.
    pub async fn drop_release(&self, release: ReleaseId) -> Result<(), StoreError> {
        self.store().commit(self.batch()?.delete(Key::release(release))).await
    }

    /// Forgets tokens that nobody can use since `before`; how many.
    pub async fn forget_tokens(&self, before: Timestamp) -> Result<usize, StoreError> {
        let (mut forgotten, mut after) = (0, None);
        loop {
            let page = self.store().scan(Key::tokens(), after.take(), PORTION).await?;
            let Some((last, _)) = page.last().cloned() else { return Ok(forgotten) };
            let mut batch = self.batch()?;
            for (key, value) in page {
                let token: TokenRecord = decode(&key, &value)?;
                if token.expires < before {
                    // Used up meanwhile, it stays until the next sweep.
                    batch = batch.expect(key.clone(), Some(value)).delete(key);
                    forgotten += 1;
                }
            }
            if !batch.writes.is_empty() {
                self.store().commit(batch).await?;
            }
            after = Some(last);
        }
    }

    /// Forgets documents that nothing names; how many.
    pub async fn forget_documents(&self) -> Result<usize, StoreError> {
        let mut named = HashSet::new();
        for header in self.headers().await? {
            named.insert(header.plan);
            named.extend(header.end.map(|end| end.report));
        }
        named.extend(self.releases().await?.into_iter().map(|release| release.document));
        named.extend(self.left_records().await?.into_iter().map(|left| left.document));
        let (mut forgotten, mut after) = (0, None);
        loop {
            let names = self.store().documents(after.clone(), PAGE).await?;
            let Some(last) = names.last().cloned() else { break };
            for name in names.into_iter().filter(|name| !named.contains(name)) {
                forgotten += usize::from(self.forget(&name).await?);
            }
            after = Some(last);
        }
        let mut lately = self.lately().0.lock().await;
        let new = std::mem::take(&mut lately[0]);
        lately[1] = new;
        Ok(forgotten)
    }

    /// Forgets a document, unless it was saved lately; while a backup is made, not before that is done.
    async fn forget(&self, name: &str) -> Result<bool, StoreError> {
        loop {
            {
                let lately = self.lately().0.lock().await;
                if lately.iter().any(|saved| saved.contains(name)) {
                    return Ok(false);
                }
                if self.store().forget_document(name.to_owned()).await? {
                    return Ok(true);
                }
            }
            // Nobody who saves one waits meanwhile.
            tokio::time::sleep(PAUSE).await;
        }
    }
}

//! The store in our words. What belongs together is written together.

use dv_types::{
    CommandId, Epoch, HostName, Outcome, Plan, Record, Release, Report, RolloutId, ServiceName,
    Timestamp, plan::Wish,
};
use serde::{Serialize, de::DeserializeOwned};
use std::sync::Arc;

use super::{
    BadMark, Batch, End, Header, HostRecord, Key, Left, OperatorRecord, ReleaseRecord, TokenRecord,
    bundle,
    ends::Ends,
    hash,
    keep::Lately,
    value::{decode, encode, encode_cut},
};
use crate::ports::{Shortage, Store, StoreError};

/// Entries that are read at once.
const PAGE: usize = 512;

/// The coordinator's memory, in its reign. A reign that is over can write no record any more.
#[derive(Clone)]
pub struct Journal {
    store: Arc<dyn Store>,
    epoch: Epoch,
    lately: Arc<Lately>,
    ends: Arc<Ends>,
}

impl Journal {
    /// Begins a reign. Its epoch is higher than the stored one, and no lower than the seconds since 1970: a store
    /// that was lost, or restored from a copy, does not know the epochs that agents have seen since.
    pub async fn open(store: Arc<dyn Store>, now: Timestamp) -> Result<Self, StoreError> {
        let key = Key::epoch();
        let before = store.get(key.clone()).await?;
        let last: Epoch =
            before.as_deref().map(|bytes| decode(&key, bytes)).transpose()?.unwrap_or_default();
        let seconds = u64::try_from(now.as_second()).unwrap_or_default();
        let epoch = Epoch((last.0 + 1).max(seconds));
        let value = encode(&key, &epoch)?;
        store.commit(Batch::default().expect(key.clone(), before).put(key, value)).await?;
        Ok(Self { store, epoch, lately: Arc::default(), ends: Arc::default() })
    }

    /// This reign's number.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Whether this reign lasts, as far as can be told without asking.
    #[must_use]
    pub fn reigns(&self) -> bool {
        self.store.reigns()
    }

    /// Whether there is so little room left that nothing new should begin.
    pub async fn shortage(&self) -> Result<Option<Shortage>, StoreError> {
        self.store.shortage().await
    }

    pub(super) fn store(&self) -> &dyn Store {
        &*self.store
    }

    pub(super) fn lately(&self) -> &Lately {
        &self.lately
    }

    /// A batch that only the present reign can write.
    pub(super) fn batch(&self) -> Result<Batch, StoreError> {
        let key = Key::epoch();
        let value = encode(&key, &self.epoch)?;
        Ok(Batch::default().expect(key, Some(value)))
    }

    async fn get<T: DeserializeOwned>(&self, key: Key) -> Result<Option<T>, StoreError> {
        let bytes = self.store.get(key.clone()).await?;
        bytes.map(|bytes| decode(&key, &bytes)).transpose()
    }

    pub(super) async fn all<T: DeserializeOwned>(&self, prefix: Key) -> Result<Vec<T>, StoreError> {
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let page = self.store.scan(prefix.clone(), after.take(), PAGE).await?;
            for (key, value) in &page {
                found.push(decode(key, value)?);
            }
            match page.last() {
                Some((key, _)) if page.len() == PAGE => after = Some(key.clone()),
                _ => return Ok(found),
            }
        }
    }

    pub(super) async fn document<T: DeserializeOwned>(&self, hash: &str) -> Result<T, StoreError> {
        let damaged = |why: String| StoreError::Damaged { what: format!("document {hash}"), why };
        let text = self.store.document(hash.to_owned()).await?;
        let text = text.ok_or_else(|| damaged("it is missing".to_owned()))?;
        serde_json::from_str(&text).map_err(|why| damaged(why.to_string()))
    }

    pub(super) async fn save_document<T: Serialize>(
        &self,
        document: &T,
    ) -> Result<String, StoreError> {
        let text = serde_json::to_string(document).map_err(StoreError::failed)?;
        // Whoever forgets documents meanwhile leaves this one.
        drop(self.lately.note(&hash(&text)).await);
        self.store.save_document(text).await
    }

    /// Every rollout, the oldest first.
    pub async fn headers(&self) -> Result<Vec<Header>, StoreError> {
        self.all(Key::headers()).await
    }

    /// Keeps a plan, and answers with the name under which a header finds it.
    pub async fn save_plan(&self, plan: &Plan) -> Result<String, StoreError> {
        self.save_document(plan).await
    }

    /// The plan of this name.
    pub async fn plan(&self, hash: &str) -> Result<Plan, StoreError> {
        self.document(hash).await
    }

    /// The number that the next rollout gets.
    pub async fn next_rollout(&self) -> Result<RolloutId, StoreError> {
        Ok(self.get(Key::next_rollout()).await?.unwrap_or(RolloutId(1)))
    }

    /// Gives the numbers from `next`, the next one, up to `after` to nobody.
    pub async fn skip_to(&self, next: RolloutId, after: RolloutId) -> Result<(), StoreError> {
        let key = Key::next_rollout();
        let (before, after) = (number_before(next)?, encode(&key, &after)?);
        self.store.commit(self.batch()?.expect(key.clone(), before).put(key, after)).await
    }

    /// Makes a rollout known. Refused if its service has an unfinished one. A reversal takes its turn out of
    /// those that are due, and `bad` goes with it.
    pub async fn create(&self, header: &Header, bad: Option<&BadMark>) -> Result<(), StoreError> {
        let next = Key::next_rollout();
        let before = number_before(header.rollout)?;
        let after = encode(&next, &RolloutId(header.rollout.0 + 1))?;
        let (key, active) = (Key::header(header.rollout), Key::active(&header.service));
        let value = encode(&key, header)?;
        let unfinished = encode(&active, &header.rollout)?;
        let mut batch = self
            .batch()?
            .expect(next.clone(), before)
            .put(next, after)
            .create(key, value)
            .create(active, unfinished);
        if let dv_types::plan::Kind::Reversal { of } = header.kind {
            batch = batch.delete(Key::reversal_due(of)).delete(Key::way_back(of));
        }
        if let Some(bad) = bad {
            let key = Key::bad_version(&bad.service, &bad.version);
            let value = encode(&key, bad)?;
            batch = batch.put(key, value);
        }
        self.store.commit(batch).await
    }

    /// A batch with records, if their places are free. In a reign a journal has one writer, and of two reigns the later
    /// one writes: the store need not be asked about those in the middle of an entry with each batch.
    async fn with_records(&self, id: RolloutId, records: &[Record]) -> Result<Batch, StoreError> {
        let mut batch = self.batch()?;
        if let Some(first) = records.first() {
            let taken = match self.ends.take(id) {
                Some(last) => first.number <= last,
                None => !self.records(id, first.number.saturating_sub(1)).await?.is_empty(),
            };
            if taken {
                return Err(StoreError::Conflict(Key::record(id, first.number)));
            }
        }
        for (place, (key, value)) in bundle::encode(id, records)?.into_iter().enumerate() {
            // Their numbers have no gap: where the first is not there, none after it is.
            batch = if place == 0 { batch.create(key, value) } else { batch.put(key, value) };
        }
        Ok(batch)
    }

    /// Adds records to a rollout's journal.
    pub async fn append(&self, id: RolloutId, records: &[Record]) -> Result<(), StoreError> {
        self.store.commit(self.with_records(id, records).await?).await?;
        if let Some(last) = records.last() {
            self.ends.note(id, last.number);
        }
        Ok(())
    }

    /// Adds a rollout's last records, and closes it; `left` is what its service's rollouts left, this one counted in,
    /// where that is to be kept. Answers with the header that is stored now.
    pub async fn close(
        &self,
        header: &Header,
        records: &[Record],
        report: &Report,
        left: Option<&Left>,
    ) -> Result<Header, StoreError> {
        let document = self.save_document(report).await?;
        let closed = Header { end: Some(End::of(report, document)), ..header.clone() };
        let key = Key::header(header.rollout);
        let value = encode_cut(&key, &closed)?;
        let mut batch = self
            .with_records(header.rollout, records)
            .await?
            .put(key, value)
            .delete(Key::active(&header.service));
        if let Some(left) = left {
            let (key, value) = self.save_left(&header.service, header.rollout, left).await?;
            batch = batch.put(key, value);
        }
        if report.rollback {
            let key = Key::reversal_due(header.rollout);
            let value = encode(&key, &header.rollout)?;
            batch = batch.put(key, value);
        }
        self.store.commit(batch).await?;
        Ok(closed)
    }

    /// Records of a rollout, in order, those after number `after`; a page at a time.
    pub async fn records(&self, id: RolloutId, after: u64) -> Result<Vec<Record>, StoreError> {
        let start = bundle::start(id, after);
        let page = self.store.scan(Key::records(id), Some(start), PAGE).await?;
        // Of those that begin before the next record, only the last may hold it.
        let next = Key::record(id, after.saturating_add(1));
        let first = page.partition_point(|(key, _)| *key <= next).saturating_sub(1);
        let mut records = Vec::new();
        for (key, value) in &page[first..] {
            records.extend(bundle::records(key, value)?);
        }
        records.retain(|record| record.number > after);
        Ok(records)
    }

    /// Every record of a rollout.
    pub async fn all_records(&self, id: RolloutId) -> Result<Vec<Record>, StoreError> {
        let mut all = Vec::new();
        loop {
            let last = all.last().map_or(0, |record: &Record| record.number);
            match self.records(id, last).await? {
                page if page.is_empty() => return Ok(all),
                page => all.extend(page),
            }
        }
    }

    /// The last report of a rollout that has ended.
    pub async fn last_report(&self, end: &End) -> Result<Report, StoreError> {
        self.document(&end.report).await
    }

    /// Rollouts that are to be taken back, the lowest number first.
    pub async fn reversals_due(&self) -> Result<Vec<RolloutId>, StoreError> {
        self.all(Key::reversals_due()).await
    }

    /// Notes that a rollout is to be taken back, and how.
    pub async fn demand_reversal(&self, id: RolloutId, wish: &Wish) -> Result<(), StoreError> {
        let (due, how) = (Key::reversal_due(id), Key::way_back(id));
        let (id, wish) = (encode(&due, &id)?, encode(&how, wish)?);
        self.store.commit(self.batch()?.put(due, id).put(how, wish)).await
    }

    /// Notes how this rollout shall be taken back, when it is.
    pub async fn wish(&self, id: RolloutId, wish: &Wish) -> Result<(), StoreError> {
        let key = Key::way_back(id);
        let value = encode(&key, wish)?;
        self.store.commit(self.batch()?.put(key, value)).await
    }

    /// How this rollout shall be taken back.
    pub async fn wished(&self, id: RolloutId) -> Result<Wish, StoreError> {
        Ok(self.get(Key::way_back(id)).await?.unwrap_or_default())
    }

    /// Notes that a rollout is not taken back after all.
    pub async fn forget_reversal(&self, id: RolloutId) -> Result<(), StoreError> {
        let batch = self.batch()?.delete(Key::reversal_due(id)).delete(Key::way_back(id));
        self.store.commit(batch).await
    }

    /// Every release, the oldest first.
    pub async fn releases(&self) -> Result<Vec<ReleaseRecord>, StoreError> {
        self.all(Key::releases()).await
    }

    /// Keeps a release's members, and answers with the name under which its record finds them.
    pub async fn save_release(&self, release: &Release) -> Result<String, StoreError> {
        self.save_document(release).await
    }

    /// The release of this name.
    pub async fn release(&self, hash: &str) -> Result<Release, StoreError> {
        self.document(hash).await
    }

    /// Makes a release known.
    pub async fn create_release(&self, release: &ReleaseRecord) -> Result<(), StoreError> {
        let key = Key::release(release.release);
        let value = encode(&key, release)?;
        self.store.commit(self.batch()?.create(key, value)).await
    }

    /// Writes down which way a release goes now.
    pub async fn put_release(&self, release: &ReleaseRecord) -> Result<(), StoreError> {
        let key = Key::release(release.release);
        let value = encode_cut(&key, release)?;
        self.store.commit(self.batch()?.put(key, value)).await
    }

    /// Every version that was rolled back.
    pub async fn bad_versions(&self) -> Result<Vec<BadMark>, StoreError> {
        self.all(Key::bad_versions()).await
    }

    /// Takes the mark off a version, because a person starts it again.
    pub async fn forgive(
        &self,
        service: &ServiceName,
        version: &dv_types::Version,
    ) -> Result<(), StoreError> {
        self.store.commit(self.batch()?.delete(Key::bad_version(service, version))).await
    }

    /// Keeps an outcome that came after its rollout had ended.
    pub async fn keep_late(&self, host: &HostName, outcome: &Outcome) -> Result<(), StoreError> {
        let key = Key::late(host, outcome.command);
        let value = encode(&key, outcome)?;
        self.store.commit(self.batch()?.put(key, value)).await
    }

    /// An outcome that came after its rollout had ended.
    pub async fn late(
        &self,
        host: &HostName,
        command: CommandId,
    ) -> Result<Option<Outcome>, StoreError> {
        self.get(Key::late(host, command)).await
    }

    /// Every host that enrolled.
    pub async fn hosts(&self) -> Result<Vec<HostRecord>, StoreError> {
        self.all(Key::hosts()).await
    }

    /// Keeps what is known of a host.
    pub async fn save_host(&self, host: &HostRecord) -> Result<(), StoreError> {
        let key = Key::host(&host.name);
        let value = encode(&key, host)?;
        self.store.commit(self.batch()?.put(key, value)).await
    }

    /// Every operator that is known.
    pub async fn operators(&self) -> Result<Vec<OperatorRecord>, StoreError> {
        self.all(Key::operators()).await
    }

    /// Keeps what is known of an operator.
    pub async fn save_operator(&self, operator: &OperatorRecord) -> Result<(), StoreError> {
        let key = Key::operator(&operator.name);
        let value = encode(&key, operator)?;
        self.store.commit(self.batch()?.put(key, value)).await
    }

    /// Keeps a token.
    pub async fn save_token(&self, id: &str, token: &TokenRecord) -> Result<(), StoreError> {
        let key = Key::token(id);
        let value = encode(&key, token)?;
        self.store.commit(self.batch()?.create(key, value)).await
    }

    /// The token of this id.
    pub async fn token(&self, id: &str) -> Result<Option<TokenRecord>, StoreError> {
        self.get(Key::token(id)).await
    }

    /// Uses a token up and records the host that it let in, both or neither. Refused if it was used meanwhile.
    pub async fn use_token(
        &self,
        id: &str,
        token: &TokenRecord,
        host: &HostRecord,
    ) -> Result<(), StoreError> {
        let (token_key, host_key) = (Key::token(id), Key::host(&host.name));
        // What was read is expected as it is: an earlier version may have written it in another form.
        let before = self.store.get(token_key.clone()).await?;
        let now: Option<TokenRecord> =
            before.as_deref().map(|bytes| decode(&token_key, bytes)).transpose()?;
        if now.as_ref() != Some(token) {
            return Err(StoreError::Conflict(token_key));
        }
        let used = TokenRecord {
            used: host.certificates.last().map(|held| held.serial.clone()),
            ..token.clone()
        };
        let after = encode(&token_key, &used)?;
        let value = encode(&host_key, host)?;
        let batch = self
            .batch()?
            .expect(token_key.clone(), before)
            .put(token_key, after)
            .put(host_key, value);
        self.store.commit(batch).await
    }
}

/// What is stored where this is the number of the next rollout.
fn number_before(next: RolloutId) -> Result<Option<Vec<u8>>, StoreError> {
    match next {
        RolloutId(1) => Ok(None),
        id => encode(&Key::next_rollout(), &id).map(Some),
    }
}

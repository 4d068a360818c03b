//! Reads everything that is kept, and says what is damaged.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fmt,
    io::BufRead,
    sync::Arc,
};

use dv_rollout::Rollout;
use dv_types::{Epoch, Outcome, Plan, Release, Report, RolloutId, plan::Wish};
use futures_util::TryStreamExt as _;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::{
    Archive, ArchiveError, BadMark, Contents, Dropped, Header, HostRecord, Item, Key, Left,
    OperatorRecord, ReleaseRecord, TokenRecord, bundle, hash, left, value::decode,
};
use crate::ports::{Store, StoreError};

/// Things that are asked for at once.
const PAGE: usize = 1_000;

/// What was read, and what is wrong with it.
#[derive(Debug, Default)]
pub struct Checked {
    /// Entries.
    pub entries: u64,
    /// Documents.
    pub documents: u64,
    /// Rollouts whose journal was replayed.
    pub rollouts: u64,
    /// What is damaged: where, and how.
    pub damage: Vec<String>,
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for damage in &self.damage {
            writeln!(f, "damaged: {damage}")?;
        }
        let Self { entries, documents, rollouts, damage } = self;
        write!(f, "{entries} entries, {documents} documents, {rollouts} rollouts replayed: ")?;
        match damage.len() {
            0 => f.write_str("all is well"),
            1 => f.write_str("1 thing is damaged"),
            more => write!(f, "{more} things are damaged"),
        }
    }
}

/// Reads everything: each value by its kind, each document by its hash, each journal by a replay. An error means that
/// the store can't be read at all.
pub async fn check(store: &dyn Store) -> Result<Checked, StoreError> {
    let mut checked = Checked::default();
    let mut known = Known::default();
    let mut snapshot = store.snapshot().await?;
    while let Some(page) = snapshot.try_next().await? {
        for (key, value) in page {
            checked.entries += 1;
            if let Err(why) = known.take(&key, &value) {
                checked.damage.push(why);
            }
        }
    }
    documents(store, &mut checked).await?;
    for header in known.headers.values() {
        let before = checked.damage.len();
        rollout(store, header, &mut checked).await?;
        // One that is dropped while it is read is in pieces for a moment.
        let is_news = checked.damage.len() > before;
        if is_news && store.get(Key::header(header.rollout)).await?.is_none() {
            checked.damage.truncate(before);
        }
    }
    for release in &known.releases {
        let what = format!("{}: its services", release.release);
        checked.read(document::<Release>(store, &release.document).await, &what)?;
    }
    for left in &known.left {
        checked.read(document::<Left>(store, left).await, "what the rollouts of a service left")?;
    }
    known.references(&mut checked);
    Ok(checked)
}

/// Reads a backup: each entry by its kind, each document by its hash, and whether all is there that is named. Journals are
/// not replayed: a backup may be larger than memory.
pub fn check_backup(from: impl BufRead) -> Result<(Checked, Contents), ArchiveError> {
    let mut archive = Archive::begin(from)?;
    let (mut checked, mut contents) = (Checked::default(), Contents::default());
    let (mut known, mut documents) = (Known::default(), HashSet::new());
    while let Some(item) = archive.read()? {
        contents.count(&item);
        let read = match item {
            Item::Entry(key, value) => known.take(&key, &value),
            Item::Document(name, text) if hash(&text) == name => {
                documents.insert(name);
                Ok(())
            }
            Item::Document(name, _) => Err(format!("document {name} is another")),
            Item::File(..) => Ok(()),
        };
        checked.damage.extend(read.err());
    }
    (checked.entries, checked.documents) = (contents.entries, contents.documents);
    for (what, name) in known.named() {
        if !documents.contains(name) {
            checked.damage.push(format!("{what}: document {name} is missing"));
        }
    }
    known.references(&mut checked);
    Ok((checked, contents))
}

/// Every document is what its name says.
async fn documents(store: &dyn Store, checked: &mut Checked) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        let names = store.documents(after.clone(), PAGE).await?;
        let Some(last) = names.last().cloned() else { return Ok(()) };
        for name in names {
            checked.documents += 1;
            match store.document(name.clone()).await {
                Ok(_) => {}
                Err(StoreError::Damaged { what, why }) => {
                    checked.damage.push(format!("{what}: {why}"));
                }
                Err(why) => return Err(why),
            }
        }
        after = Some(last);
    }
}

/// The plan, the journal by a replay, and the last report.
async fn rollout(
    store: &dyn Store,
    header: &Header,
    checked: &mut Checked,
) -> Result<(), StoreError> {
    let id = header.rollout;
    let plan = document::<Plan>(store, &header.plan).await;
    let plan = checked.read(plan, &format!("{id}: its plan"))?;
    let mut records = Vec::new();
    let mut after = None;
    loop {
        let page = store.scan(Key::records(id), after.take(), PAGE).await?;
        for (key, value) in &page {
            match bundle::records(key, value) {
                Ok(bundle) => records.extend(bundle),
                // The first look has said so.
                Err(_) => return Ok(()),
            }
        }
        match page.last() {
            Some((key, _)) if page.len() == PAGE => after = Some(key.clone()),
            _ => break,
        }
    }
    checked.rollouts += 1;
    let missing = records.iter().zip(1..).find(|(record, number)| record.number != *number);
    if let Some((_, number)) = missing {
        checked.damage.push(format!("{id}: record {number} of its journal is missing"));
        return Ok(());
    }
    if let Some(plan) = plan {
        match Rollout::replay(id, Arc::new(plan), &records) {
            Err(why) => checked.damage.push(format!("{id}: its journal makes no sense: {why}")),
            Ok(rollout) if header.end.is_some() && !rollout.is_ended() => {
                checked.damage.push(format!("{id}: the end of its journal is missing"));
            }
            Ok(_) => {}
        }
    }
    if let Some(end) = &header.end {
        let report = document::<Report>(store, &end.report).await;
        checked.read(report, &format!("{id}: its last report"))?;
    }
    Ok(())
}

async fn document<T: DeserializeOwned>(
    store: &dyn Store,
    hash: &str,
) -> Result<Result<T, String>, StoreError> {
    Ok(match store.document(hash.to_owned()).await {
        Ok(Some(text)) => serde_json::from_str(&text).map_err(|why| format!("{hash}: {why}")),
        Ok(None) => Err(format!("document {hash} is missing")),
        Err(StoreError::Damaged { why, .. }) => Err(format!("document {hash}: {why}")),
        Err(why) => return Err(why),
    })
}

impl Checked {
    fn read<T>(
        &mut self,
        read: Result<Result<T, String>, StoreError>,
        what: &str,
    ) -> Result<Option<T>, StoreError> {
        match read? {
            Ok(read) => Ok(Some(read)),
            Err(why) => {
                self.damage.push(format!("{what}: {why}"));
                Ok(None)
            }
        }
    }
}

/// What the entries say of each other.
#[derive(Default)]
struct Known {
    headers: BTreeMap<RolloutId, Header>,
    releases: Vec<ReleaseRecord>,
    /// Documents that say what rollouts left.
    left: Vec<String>,
    active: Vec<(String, RolloutId)>,
    next: Option<RolloutId>,
    /// Rollouts with records.
    journals: BTreeSet<RolloutId>,
    /// Rollouts that are dropped, and whose records are being deleted.
    clearing: HashSet<RolloutId>,
}

impl Known {
    fn take(&mut self, key: &Key, value: &[u8]) -> Result<(), String> {
        let plain = |why: StoreError| why.to_string();
        let any = |read: Result<(), StoreError>| read.map_err(plain);
        let (tree, rest) = key.parts().ok_or_else(|| format!("{key}: nobody knows such a key"))?;
        match tree {
            "meta" if rest == b"epoch" => any(decode::<Epoch>(key, value).map(drop)),
            "meta" if rest == b"next-rollout" => {
                self.next = Some(decode(key, value).map_err(plain)?);
                Ok(())
            }
            "rollout" => {
                let header: Header = decode(key, value).map_err(plain)?;
                self.headers.insert(header.rollout, header);
                Ok(())
            }
            "record" => {
                let records = bundle::records(key, value).map_err(plain)?;
                let rollout = rest.first_chunk().map(|id| RolloutId(u64::from_be_bytes(*id)));
                let rollout = rollout.ok_or_else(|| format!("{key}: nobody knows such a key"))?;
                let first = records.first().map(|record| Key::record(rollout, record.number));
                if first.as_ref() != Some(key) {
                    return Err(format!("{key}: its first record is another one"));
                }
                self.journals.insert(rollout);
                Ok(())
            }
            "active" => {
                let rollout = decode(key, value).map_err(plain)?;
                self.active.push((String::from_utf8_lossy(rest).into_owned(), rollout));
                Ok(())
            }
            "release" => {
                self.releases.push(decode(key, value).map_err(plain)?);
                Ok(())
            }
            "left" => {
                self.left.push(left::document(key, value).map_err(plain)?);
                Ok(())
            }
            "reversal-due" => any(decode::<RolloutId>(key, value).map(drop)),
            "way-back" => any(decode::<Wish>(key, value).map(drop)),
            "bad" => any(decode::<BadMark>(key, value).map(drop)),
            "late" => any(decode::<Outcome>(key, value).map(drop)),
            "host" => any(decode::<HostRecord>(key, value).map(drop)),
            "dropped" => {
                let dropped: Dropped = decode(key, value).map_err(plain)?;
                if !dropped.cleared {
                    self.clearing.insert(dropped.rollout);
                }
                Ok(())
            }
            "operator" => any(decode::<OperatorRecord>(key, value).map(drop)),
            "token" => any(decode::<TokenRecord>(key, value).map(drop)),
            // Of a kind that is not looked into; it has the form that everything has.
            _ => any(decode::<IgnoredAny>(key, value).map(drop)),
        }
    }

    /// The documents that are named, and what each is.
    fn named(&self) -> impl Iterator<Item = (String, &String)> {
        let headers = self.headers.values();
        let plans = headers.map(|header| (format!("{}: its plan", header.rollout), &header.plan));
        let ended = self.headers.values().filter_map(|h| Some((h.rollout, h.end.as_ref()?)));
        let reports = ended.map(|(id, end)| (format!("{id}: its last report"), &end.report));
        let releases = self.releases.iter();
        let releases = releases.map(|r| (format!("{}: its services", r.release), &r.document));
        let left = self.left.iter();
        let left = left.map(|name| ("what the rollouts of a service left".to_owned(), name));
        plans.chain(reports).chain(releases).chain(left)
    }

    fn references(&self, checked: &mut Checked) {
        for (service, rollout) in &self.active {
            match self.headers.get(rollout) {
                None => checked.damage.push(format!("{service}: its rollout {rollout} is missing")),
                Some(header) if header.end.is_some() => checked
                    .damage
                    .push(format!("{service}: {rollout} has ended, and counts as unfinished")),
                Some(_) => {}
            }
        }
        let is_known =
            |id: &&RolloutId| self.headers.contains_key(id) || self.clearing.contains(id);
        for rollout in self.journals.iter().filter(|id| !is_known(id)) {
            checked.damage.push(format!("{rollout}: there are records, and nothing says of what"));
        }
        let last = self.headers.keys().next_back();
        if let (Some(last), next) = (last, self.next.unwrap_or(RolloutId(1)))
            && *last >= next
        {
            checked.damage.push(format!("{last} is there, and the next rollout would be {next}"));
        }
    }
}

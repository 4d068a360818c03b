//! What writers write, and how it is found again.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    io::{self, Write as _},
    path::Path,
    sync::Arc,
};

use dv_coordinator::{
    ports::Store,
    store::{Batch, Compaction, DEFAULT_FLOOR, Key, SledStore},
};
use tokio::{runtime::Runtime, task::JoinSet};

use crate::{chance::Chance, restores};

/// Whose writer it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The coordinator's store: it writes, deletes, and is written anew at each start.
    Store,
    /// A backup that is restored in the place of what is there, again and again.
    Restore,
    /// sled as it is shipped: `insert`, `flush`.
    Shipped,
}

/// Callers that write at the same time.
const CALLERS: u64 = 4;
/// Writes of each that stay; of those before, one goes for each that comes.
const KEPT: usize = 20;
/// Keys that are written over and over by each.
const OFTEN: u64 = 50;

impl Kind {
    /// From its name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Store, Self::Restore, Self::Shipped].into_iter().find(|kind| kind.name() == name)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Restore => "restore",
            Self::Shipped => "shipped",
        }
    }

    /// Writes in `directory` for ever, counting from `first`, and prints each acknowledgement.
    pub fn write(self, directory: &Path, first: u64) -> Result<(), String> {
        match self {
            Self::Store => runtime()?.block_on(write(directory, first)),
            Self::Restore => runtime()?.block_on(restores::write(directory)),
            Self::Shipped => write_shipped(directory, first),
        }
    }

    /// Looks for all that was acknowledged; what is missing.
    pub fn verify(self, directory: &Path, acknowledged: &[String]) -> Result<(), String> {
        match self {
            Self::Store => runtime()?.block_on(verify(directory, acknowledged)),
            Self::Restore => runtime()?.block_on(restores::verify(directory, acknowledged)),
            Self::Shipped => verify_shipped(directory, acknowledged),
        }
    }
}

fn runtime() -> Result<Runtime, String> {
    Runtime::new().map_err(|why| why.to_string())
}

/// A line is whole when it ends with a full stop.
pub(crate) fn tell(line: &str) -> Result<(), String> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line} .").and_then(|()| out.flush()).map_err(|why| why.to_string())
}

fn often(caller: u64, n: u64) -> Key {
    Key::from_bytes(format!("often/{caller}/{:03}", n % OFTEN).as_bytes())
}

fn once(caller: u64, n: u64) -> Key {
    Key::from_bytes(format!("once/{caller}/{n:012}").as_bytes())
}

/// Opens the store as a coordinator does, and writes it anew however small it is.
fn open(directory: &Path) -> Result<SledStore, String> {
    let always = Compaction { above: 0, times: 0 };
    SledStore::open_and_compact(directory, DEFAULT_FLOOR, always)
        .map_err(|why| format!("it can't be opened: {why}"))
}

/// Of each write: a document, the key that names it, and a key that is written over. Most go again later: first it is told
/// that one goes, as nobody knows what became of it where the power was cut then.
async fn write(directory: &Path, first: u64) -> Result<(), String> {
    let store: Arc<dyn Store> = Arc::new(open(directory)?);
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let store = Arc::clone(&store);
        callers.spawn(async move {
            let mut chance = Chance::new(first + caller);
            let mut there = VecDeque::new();
            for n in first.. {
                let letters = "x".repeat(20 + chance.below(3_000) as usize);
                let text = format!("{{\"of\":\"{caller} {n}\",\"text\":\"{letters}\"}}");
                let hash = store.save_document(text).await.map_err(|why| why.to_string())?;
                let mut value = format!("{n:012}").into_bytes();
                value.resize(12 + chance.below(2_000) as usize, b'y');
                let batch = Batch::default()
                    .create(once(caller, n), hash.clone().into_bytes())
                    .put(often(caller, n), value);
                store.commit(batch).await.map_err(|why| why.to_string())?;
                tell(&format!("{caller} {n} {hash}"))?;
                there.push_back((n, hash));
                if there.len() > KEPT {
                    let old = chance.below(KEPT as u64) as usize;
                    let Some((n, hash)) = there.remove(old) else { continue };
                    tell(&format!("{caller} {n} goes"))?;
                    let batch = Batch::default()
                        .expect(once(caller, n), Some(hash.clone().into_bytes()))
                        .delete(once(caller, n));
                    store.commit(batch).await.map_err(|why| why.to_string())?;
                    store.forget_document(hash).await.map_err(|why| why.to_string())?;
                    tell(&format!("{caller} {n} gone"))?;
                }
            }
            Ok::<(), String>(())
        });
    }
    while let Some(ended) = callers.join_next().await {
        ended.map_err(|why| why.to_string())??;
    }
    Ok(())
}

async fn verify(directory: &Path, acknowledged: &[String]) -> Result<(), String> {
    let store = open(directory)?;
    let get = async |key: Key| store.get(key).await.map_err(|why| why.to_string());
    let mut newest: HashMap<(u64, u64), u64> = HashMap::new();
    let mut last: BTreeMap<(u64, u64), String> = BTreeMap::new();
    for line in acknowledged {
        let (caller, n, what) = parse(line)?;
        if what == "goes" && !last.contains_key(&(caller, n)) {
            // It was written after what must be there was looked at.
            continue;
        }
        if last.insert((caller, n), what).is_none() {
            let newest = newest.entry((caller, n % OFTEN)).or_default();
            *newest = n.max(*newest);
        }
    }
    for ((caller, n), what) in last {
        let found = get(once(caller, n)).await?;
        match what.as_str() {
            "goes" => {}
            "gone" if found.is_none() => {}
            "gone" => return Err(format!("write {n} of caller {caller} was deleted, and is back")),
            hash if found.as_deref() != Some(hash.as_bytes()) => {
                return Err(format!(
                    "lost: write {n} of caller {caller}, of {}",
                    acknowledged.len()
                ));
            }
            hash => {
                let document =
                    store.document(hash.to_owned()).await.map_err(|why| why.to_string())?;
                if document.is_none() {
                    return Err(format!("lost: document {hash} of write {n} of caller {caller}"));
                }
            }
        }
    }
    for ((caller, _), n) in newest {
        let value = get(often(caller, n)).await?.unwrap_or_default();
        let found = value.get(..12).and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
        if found.is_none_or(|found: u64| found < n) {
            return Err(format!("lost: {n} of caller {caller} is older again ({found:?})"));
        }
    }
    Ok(())
}

fn parse(line: &str) -> Result<(u64, u64, String), String> {
    let mut words = line.split(' ');
    let mut next = || words.next().ok_or_else(|| format!("no acknowledgement: {line}"));
    let mut number = || next()?.parse().map_err(|why| format!("{line}: {why}"));
    Ok((number()?, number()?, next()?.to_owned()))
}

fn write_shipped(directory: &Path, first: u64) -> Result<(), String> {
    let db = sled::open(directory.join("db")).map_err(|why| why.to_string())?;
    for n in first.. {
        let key = format!("{n:012}");
        db.insert(&key, vec![b'x'; 200]).map_err(|why| why.to_string())?;
        db.flush().map_err(|why| why.to_string())?;
        tell(&format!("0 {n} {key}"))?;
    }
    Ok(())
}

fn verify_shipped(directory: &Path, acknowledged: &[String]) -> Result<(), String> {
    let open = || sled::open(directory.join("db"));
    let db =
        std::panic::catch_unwind(open).map_err(|_| "it can't be opened: a panic".to_owned())?;
    let db = db.map_err(|why| format!("it can't be opened: {why}"))?;
    let mut lost = 0;
    for line in acknowledged {
        let (_, _, key) = parse(line)?;
        lost += u64::from(db.get(key).map_err(|why| why.to_string())?.is_none());
    }
    match lost {
        0 => Ok(()),
        lost => Err(format!("lost: {lost} of {}", acknowledged.len())),
    }
}

//! What writers write, and how it is found again.

use std::{
    collections::HashMap,
    io::{self, Write as _},
    path::Path,
    sync::Arc,
};

use dv_coordinator::{
    ports::Store,
    store::{Batch, DEFAULT_FLOOR, Key, SledStore},
};
use tokio::{runtime::Runtime, task::JoinSet};

use crate::chance::Chance;

/// Whose writer it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The coordinator's store.
    Store,
    /// sled as it is shipped: `insert`, `flush`.
    Shipped,
}

/// Callers that write at the same time.
const CALLERS: u64 = 4;
/// Keys that are written over and over by each.
const OFTEN: u64 = 50;

impl Kind {
    /// From its name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Store, Self::Shipped].into_iter().find(|kind| kind.name() == name)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Shipped => "shipped",
        }
    }

    /// Writes in `directory` for ever, counting from `first`, and prints each acknowledgement.
    pub fn write(self, directory: &Path, first: u64) -> Result<(), String> {
        match self {
            Self::Store => runtime()?.block_on(write(directory, first)),
            Self::Shipped => write_shipped(directory, first),
        }
    }

    /// Looks for all that was acknowledged; what is missing.
    pub fn verify(self, directory: &Path, acknowledged: &[String]) -> Result<(), String> {
        match self {
            Self::Store => runtime()?.block_on(verify(directory, acknowledged)),
            Self::Shipped => verify_shipped(directory, acknowledged),
        }
    }
}

fn runtime() -> Result<Runtime, String> {
    Runtime::new().map_err(|why| why.to_string())
}

/// A line is whole when it ends with a full stop.
fn tell(line: &str) -> Result<(), String> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line} .").and_then(|()| out.flush()).map_err(|why| why.to_string())
}

fn often(caller: u64, n: u64) -> Key {
    Key::from_bytes(format!("often/{caller}/{:03}", n % OFTEN).as_bytes())
}

fn once(caller: u64, n: u64) -> Key {
    Key::from_bytes(format!("once/{caller}/{n:012}").as_bytes())
}

/// Of each write: a document, the key that names it, and a key that is written over.
async fn write(directory: &Path, first: u64) -> Result<(), String> {
    let store = SledStore::open(directory, DEFAULT_FLOOR).map_err(|why| why.to_string())?;
    let store: Arc<dyn Store> = Arc::new(store);
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let store = Arc::clone(&store);
        callers.spawn(async move {
            let mut chance = Chance::new(first + caller);
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
    let store = SledStore::open(directory, DEFAULT_FLOOR)
        .map_err(|why| format!("it can't be opened: {why}"))?;
    let get = async |key: Key| store.get(key).await.map_err(|why| why.to_string());
    let mut newest: HashMap<(u64, u64), u64> = HashMap::new();
    for line in acknowledged {
        let (caller, n, hash) = parse(line)?;
        if get(once(caller, n)).await?.as_deref() != Some(hash.as_bytes()) {
            return Err(format!("lost: write {n} of caller {caller}, of {}", acknowledged.len()));
        }
        if store.document(hash.clone()).await.map_err(|why| why.to_string())?.is_none() {
            return Err(format!("lost: document {hash} of write {n} of caller {caller}"));
        }
        newest.insert((caller, n % OFTEN), n);
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

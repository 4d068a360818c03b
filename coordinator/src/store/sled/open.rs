//! How sled's files are opened: by one program at a time, on a disk with room, and never as if nothing had been there.

use std::{
    fs::{File, OpenOptions, TryLockError},
    path::Path,
    time::Duration,
};

use super::{
    compact, copies,
    cure::{Cure, cure},
    mark::{Mark, State},
    restore, room,
};
use crate::{files, store::Key};

/// sled's own default is 1 GiB.
const CACHE: u64 = 64 * 1024 * 1024;

/// A coordinator that was killed may hold its lock for a moment longer.
const LOCK_TRIES: u32 = 20;

/// The tree that says which store it is, and how far it has come; entries are in sled's default tree.
const SELF: &str = "self";

/// A store that is open.
pub(super) struct Opened {
    pub(super) db: sled::Db,
    pub(super) progress: Progress,
    pub(super) mark: Mark,
    pub(super) cure: Cure,
    /// Nobody else has the state directory while this is held.
    pub(super) lock: File,
}

/// Opens the store in `state_dir`, or makes it.
pub(super) fn open(state_dir: &Path, compaction: compact::Compaction) -> Result<Opened, String> {
    files::private_directory(state_dir).map_err(|why| why.to_string())?;
    let lock = lock(state_dir)?;
    let directory = state_dir.join("store");
    restore::ended(state_dir)?;
    compact::settle(state_dir).map_err(|why| format!("{}: {why}", state_dir.display()))?;
    room::enough_to_open(state_dir)?;
    let cure = cure(state_dir);

    let mark = Mark::read(state_dir)?;
    if mark.is_none() && !directory.exists() && state_dir.join("identity").exists() {
        return Err(format!(
            "it is gone, and the coordinator's identity is still there. Nothing was begun anew. To go on from a backup: \
             `dv-coordinator restore FILE --replace`. To begin with nothing, make the directory {}",
            directory.display()
        ));
    }
    let write = |mark: &Mark| mark.write(state_dir).map_err(|why| why.to_string());
    if let Some(mark) = mark.as_ref().filter(|mark| mark.state == State::Open && directory.exists())
    {
        copies::copy(state_dir, &directory, mark.revision);
        // A store that can't be opened is not copied again and again: the first copy is the best.
        write(&Mark { state: State::Copied, ..mark.clone() })?;
    }
    files::private_directory(&directory).map_err(|why| why.to_string())?;
    let db = patiently(&directory)?;
    let progress = Progress::open(&db)?;
    let found = progress.found()?;
    if let Some(mark) = &mark {
        mark.check(state_dir, found.as_ref().map(|(store, revision)| (store.as_str(), *revision)))?;
    }
    if mark.is_none() && found.is_some() {
        older(&db)?;
    }
    let mut now = match found {
        Some((store, revision)) => Mark { store, revision, state: State::Open },
        None => mark.unwrap_or_else(Mark::new),
    };
    now.state = State::Open;
    progress.put(&now.store, now.revision)?;
    db.flush().map_err(|why| one_line(&why.to_string()))?;
    let (db, progress) = match compact::compacted(state_dir, &db, &now, compaction) {
        Ok(None) => (db, progress),
        Ok(Some(new)) => {
            drop((progress, db));
            compact::switch(state_dir, new)
                .map_err(|why| format!("{}: {why}", state_dir.display()))?;
            let db = patiently(&directory)?;
            let progress = Progress::open(&db)?;
            (db, progress)
        }
        Err(why) => {
            tracing::warn!(%why, "the store is larger than it need be, and can't be made smaller");
            (db, progress)
        }
    };
    write(&now)?;
    Ok(Opened { db, progress, mark: now, cure, lock })
}

/// Nobody knows how far this store had come: somebody has put a copy there, and it is older than what was.
fn older(db: &sled::Db) -> Result<(), String> {
    let plain = |why: sled::Error| one_line(&why.to_string());
    let before = db.get(Key::next_rollout().as_bytes()).map_err(plain)?;
    let (key, value) = restore::skip(before.as_deref())?;
    db.insert(key, value).map_err(plain)?;
    tracing::warn!(
        "nothing says how far the store had come, so it is taken for an older one: numbers of rollouts are skipped"
    );
    Ok(())
}

/// Which store it is and how far it has come, as the store itself knows it.
#[derive(Debug, Clone)]
pub(super) struct Progress(sled::Tree);

impl Progress {
    pub(super) fn open(db: &sled::Db) -> Result<Self, String> {
        db.open_tree(SELF).map(Self).map_err(|why| one_line(&why.to_string()))
    }

    fn found(&self) -> Result<Option<(String, u64)>, String> {
        let get = |name| self.0.get(name).map_err(|why| one_line(&why.to_string()));
        let (Some(store), Some(revision)) = (get("store")?, get("revision")?) else {
            return Ok(None);
        };
        let revision = revision.as_ref().try_into().map(u64::from_be_bytes);
        match (std::str::from_utf8(&store), revision) {
            (Ok(store), Ok(revision)) => Ok(Some((store.to_owned(), revision))),
            _ => Err("what says how far it has come can't be read".to_owned()),
        }
    }

    pub(super) fn put(&self, store: &str, revision: u64) -> Result<(), String> {
        let put = self.0.insert("store", store).and_then(|_| self.advance(revision));
        put.map_err(|why| one_line(&why.to_string()))
    }

    /// After the entries of this revision.
    pub(super) fn advance(&self, revision: u64) -> sled::Result<()> {
        self.0.insert("revision", &revision.to_be_bytes()).map(drop)
    }
}

/// Takes the state directory for this program alone.
#[expect(clippy::disallowed_methods, reason = "nothing runs yet that would wait for this")]
pub(super) fn lock(state_dir: &Path) -> Result<File, String> {
    let path = state_dir.join("lock");
    let why = |why: std::io::Error| format!("{}: {why}", path.display());
    let file =
        OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(why)?;
    let mut tries = 1;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(why(error)),
            Err(TryLockError::WouldBlock) if tries < LOCK_TRIES => {
                tries += 1;
                std::thread::sleep(Duration::from_millis(100));
            }
            Err(TryLockError::WouldBlock) => {
                return Err("a coordinator is running there: stop it first".to_owned());
            }
        }
    }
}

/// sled's own lock may be held for a moment by threads of a handle that has just gone.
#[expect(clippy::disallowed_methods, reason = "nothing runs yet that would wait for this")]
pub(super) fn patiently(directory: &Path) -> Result<sled::Db, String> {
    let mut tries = 1;
    loop {
        match sled(directory) {
            Err(why) if tries < LOCK_TRIES && why.contains("could not acquire lock") => {
                tries += 1;
                std::thread::sleep(Duration::from_millis(100));
            }
            opened => return opened,
        }
    }
}

fn sled(directory: &Path) -> Result<sled::Db, String> {
    let open = || sled::Config::new().path(directory).cache_capacity(CACHE).open();
    // sled panics on some damaged files.
    let opened = std::panic::catch_unwind(open);
    let why = match opened {
        Ok(Ok(db)) => return Ok(db),
        Ok(Err(why)) => one_line(&why.to_string()),
        Err(_) => "its files are damaged, or the disk is broken".to_owned(),
    };
    Err(format!(
        "{why}. Nothing was begun anew. To go on from a backup: `dv-coordinator restore FILE --replace`, which keeps what is \
         there aside"
    ))
}

/// The last words of a start that failed are one line of the log.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

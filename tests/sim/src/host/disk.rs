//! A disk with a memory of its own: what was not synced may be gone after a power cut, in part or in full.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use dv_agent::ports::Disk;
use futures_util::{FutureExt as _, future::BoxFuture};
use tokio::{sync::oneshot, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{chance::Chance, gate::until};

/// Whoever waits for room looks again within this time.
const LATELY: Duration = Duration::from_secs(30);

/// The disk of one host. Clones are the same disk.
#[derive(Clone)]
pub(crate) struct SimDisk(Arc<Mutex<Content>>);

struct Content {
    chance: Chance,
    next: u64,
    /// What is in files, by a number of each.
    files: BTreeMap<u64, File>,
    /// Names as programs see them.
    seen: BTreeMap<PathBuf, u64>,
    /// Names as they are after a power cut.
    kept: BTreeMap<PathBuf, u64>,
    /// Changes of names that no sync has brought to the disk, in order.
    pending: Vec<(PathBuf, Option<u64>)>,
    full: bool,
    /// When it took something again.
    freed: Option<Instant>,
    /// How long what waits for the disk waits, in milliseconds at most.
    slow: u64,
    /// Of the process that uses it.
    life: CancellationToken,
}

#[derive(Clone)]
struct File {
    bytes: Vec<u8>,
    synced: bool,
    /// What was written over, and where, since it was synced; the last at the end.
    over: Vec<(usize, Vec<u8>)>,
}

impl File {
    /// What a power cut leaves for certain.
    fn kept(&self) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        for (at, old) in self.over.iter().rev() {
            bytes[*at..at + old.len()].copy_from_slice(old);
        }
        bytes
    }
}

impl SimDisk {
    pub(crate) fn new(chance: Chance) -> Self {
        let (files, seen, kept, pending) = Default::default();
        Self(Arc::new(Mutex::new(Content {
            chance,
            next: 0,
            files,
            seen,
            kept,
            pending,
            full: false,
            freed: None,
            slow: 5,
            life: CancellationToken::new(),
        })))
    }

    /// Another disk, with what this one holds now.
    pub(crate) fn copied(&self, chance: Chance) -> Self {
        let content = self.content();
        Self(Arc::new(Mutex::new(Content {
            chance,
            next: content.next,
            files: content.files.clone(),
            seen: content.seen.clone(),
            kept: content.kept.clone(),
            pending: content.pending.clone(),
            full: false,
            freed: None,
            slow: 5,
            life: CancellationToken::new(),
        })))
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.0.lock().unwrap()
    }

    /// From now on it takes nothing new, or does again.
    pub(crate) fn fill(&self, full: bool) {
        let mut content = self.content();
        if content.full && !full {
            content.freed = Some(Instant::now());
        }
        content.full = full;
    }

    /// A process begins that uses it as long as it lives.
    pub(crate) fn serve(&self, life: CancellationToken) {
        self.content().life = life;
    }

    pub(crate) fn slow(&self, millis: u64) {
        self.content().slow = millis;
    }

    /// What is there after a power cut: what was synced, and of the rest whatever had reached the disk by chance.
    pub(crate) fn power_cut(&self) {
        let mut content = self.content();
        let content = &mut *content;
        let reached = content.chance.between(0, content.pending.len() as u64) as usize;
        for (path, file) in content.pending.drain(..).take(reached) {
            match file {
                Some(file) => content.kept.insert(path, file),
                None => content.kept.remove(&path),
            };
        }
        content.seen = content.kept.clone();
        let there: BTreeSet<u64> = content.seen.values().copied().collect();
        content.files.retain(|number, _| there.contains(number));
        for file in content.files.values_mut().filter(|file| !file.synced) {
            let length = content.chance.between(0, file.bytes.len() as u64) as usize;
            file.bytes.truncate(if content.chance.coin() { length } else { 0 });
            file.synced = true;
        }
        for file in content.files.values_mut() {
            for (at, old) in std::mem::take(&mut file.over).into_iter().rev() {
                // Some of it had reached the disk.
                let reached = content.chance.between(0, old.len() as u64) as usize;
                file.bytes[at + reached..at + old.len()].copy_from_slice(&old[reached..]);
            }
        }
    }

    /// Whether it is full, or was a moment ago: what it did not take is not yet tried again.
    pub(crate) fn is_full(&self) -> bool {
        let content = self.content();
        content.full || content.freed.is_some_and(|freed| freed.elapsed() < LATELY)
    }

    /// What a power cut at this moment would leave of a file for certain.
    pub(crate) fn durable(&self, path: &Path) -> Option<Vec<u8>> {
        let content = self.content();
        let file = content.files.get(content.kept.get(path)?)?;
        file.synced.then(|| file.kept())
    }
}

impl Content {
    fn rename(&mut self, path: &Path, file: Option<u64>) {
        match file {
            Some(file) => self.seen.insert(path.to_owned(), file),
            None => self.seen.remove(path),
        };
        self.pending.push((path.to_owned(), file));
    }
}

fn missing() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl Disk for SimDisk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let content = self.content();
        let number = content.seen.get(path).ok_or_else(missing)?;
        Ok(content.files[number].bytes.clone())
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        let content = self.content();
        Ok(content.seen.keys().filter(|path| path.parent() == Some(directory)).cloned().collect())
    }

    fn create(&self, path: &Path, bytes: &[u8], _: u32) -> io::Result<()> {
        let mut content = self.content();
        if content.full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if content.seen.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        content.next += 1;
        let number = content.next;
        content
            .files
            .insert(number, File { bytes: bytes.to_vec(), synced: false, over: Vec::new() });
        content.rename(path, Some(number));
        Ok(())
    }

    fn overwrite(&self, path: &Path, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut content = self.content();
        let number = *content.seen.get(path).ok_or_else(missing)?;
        let full = content.full;
        let file = content.files.get_mut(&number).ok_or_else(missing)?;
        let (at, end) = (at as usize, at as usize + bytes.len());
        if end > file.bytes.len() {
            if full {
                return Err(io::ErrorKind::StorageFull.into());
            }
            file.bytes.resize(end, 0);
        }
        file.over.push((at, file.bytes[at..end].to_vec()));
        file.bytes[at..end].copy_from_slice(bytes);
        Ok(())
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        let mut content = self.content();
        let content = &mut *content;
        if let Some(number) = content.seen.get(path) {
            if let Some(file) = content.files.get_mut(number) {
                file.synced = true;
                file.over.clear();
            }
            return Ok(());
        }
        let in_it = |(changed, _): &mut (PathBuf, Option<u64>)| changed.parent() == Some(path);
        for (changed, file) in content.pending.extract_if(.., in_it) {
            match file {
                Some(file) => content.kept.insert(changed, file),
                None => content.kept.remove(&changed),
            };
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut content = self.content();
        let number = *content.seen.get(from).ok_or_else(missing)?;
        content.rename(to, Some(number));
        content.rename(from, None);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut content = self.content();
        if !content.seen.contains_key(path) {
            return Err(missing());
        }
        content.rename(path, None);
        Ok(())
    }

    fn private_directory(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn apart(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()> {
        let (before, after) = {
            let mut content = self.content();
            let slow = content.slow;
            (content.chance.millis(0, slow), content.chance.millis(0, slow))
        };
        // A thread of its own goes on when its caller gives up; when the process is killed it ends with that.
        let (tell, told) = oneshot::channel();
        let life = self.content().life.clone();
        tokio::spawn(async move {
            let work = async move {
                tokio::time::sleep(before).await;
                work();
                tokio::time::sleep(after).await;
                // Whoever asked may have given up.
                let _ = tell.send(());
            };
            until(&life, work).await
        });
        async move {
            if told.await.is_err() {
                // The process is dead, and whoever waits here with it.
                std::future::pending::<()>().await;
            }
        }
        .boxed()
    }
}

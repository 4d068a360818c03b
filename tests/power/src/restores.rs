//! A backup that is restored again and again, each time in the place of what is there.

use std::{fs, io::BufReader, path::Path};

use dv_coordinator::{
    ports::Store,
    store::{Batch, DEFAULT_FLOOR, Key, SledStore, backup},
};

use crate::workload::tell;

/// Entries, each with a document.
const ENTRIES: u64 = 40;
/// The backup, beside what it is restored to.
const BACKUP: &str = "backup";

fn key(n: u64) -> Key {
    Key::from_bytes(format!("kept/{n:04}").as_bytes())
}

fn text(n: u64) -> String {
    format!("{{\"of\":{n}}}")
}

/// Restores for ever, and tells each time that it has.
pub(crate) async fn write(directory: &Path) -> Result<(), String> {
    let file = directory.join(BACKUP);
    if !file.exists() {
        make(directory, &file).await?;
    }
    tell("0 0 backup")?;
    for n in 1.. {
        restore(directory)?;
        tell(&format!("0 {n} restored"))?;
        // The first of what was moved aside is what was there before all of this.
        for entry in fs::read_dir(directory).map_err(|why| why.to_string())?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with("replaced-") && name != "replaced-1" {
                fs::remove_dir_all(entry.path()).map_err(|why| why.to_string())?;
            }
        }
    }
    Ok(())
}

async fn make(directory: &Path, file: &Path) -> Result<(), String> {
    let store = SledStore::open(directory, DEFAULT_FLOOR).map_err(|why| why.to_string())?;
    for n in 0..ENTRIES {
        let hash = store.save_document(text(n)).await.map_err(|why| why.to_string())?;
        let batch = Batch::default().put(key(n), hash.into_bytes());
        store.commit(batch).await.map_err(|why| why.to_string())?;
    }
    let mut made = Vec::new();
    backup(&store, Vec::new(), &mut made).await.map_err(|why| why.to_string())?;
    drop(store);
    let unfinished = file.with_extension("new");
    let written = fs::write(&unfinished, made)
        .and_then(|()| fs::File::open(&unfinished)?.sync_all())
        .and_then(|()| fs::rename(&unfinished, file))
        .and_then(|()| fs::File::open(directory)?.sync_all());
    written.map_err(|why| why.to_string())
}

fn restore(directory: &Path) -> Result<(), String> {
    let file = fs::File::open(directory.join(BACKUP)).map_err(|why| why.to_string())?;
    SledStore::restore(directory, BufReader::new(file), true).map_err(|why| why.to_string())?;
    Ok(())
}

/// Whatever it was in the middle of: the whole content is there, or it is said that a restore was interrupted, and another
/// one brings it.
pub(crate) async fn verify(directory: &Path, acknowledged: &[String]) -> Result<(), String> {
    if acknowledged.is_empty() {
        return Ok(());
    }
    let store = match SledStore::open(directory, DEFAULT_FLOOR) {
        Err(why) if why.to_string().contains("a restore was interrupted") => {
            restore(directory)?;
            SledStore::open(directory, DEFAULT_FLOOR)
        }
        opened => opened,
    };
    let store = store.map_err(|why| format!("it can't be opened: {why}"))?;
    for n in 0..ENTRIES {
        let found = store.get(key(n)).await.map_err(|why| why.to_string())?;
        let hash = found.ok_or_else(|| format!("lost: entry {n}"))?;
        let hash = String::from_utf8_lossy(&hash).into_owned();
        let document = store.document(hash).await.map_err(|why| why.to_string())?;
        if document != Some(text(n)) {
            return Err(format!("lost: the document of entry {n} ({document:?})"));
        }
    }
    Ok(())
}

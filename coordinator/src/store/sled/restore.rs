//! Puts a backup in the place of what a state directory holds. Nothing that is there is destroyed: it is moved aside.

use std::{
    fs,
    io::BufRead,
    path::{Path, PathBuf},
};

use dv_types::RolloutId;

use super::{
    compact,
    cure::cure,
    mark::{Mark, State},
    open, room,
};
use crate::{
    files,
    store::{
        Archive, Contents, Item, Key,
        documents::Documents,
        value::{decode, encode},
    },
};

/// Numbers of rollouts that are not given after a restore. Agents say which ones they remember; those of the first version
/// do not, and would answer for what they did under them since the backup was made.
const SKIPPED: u64 = 1_000;

/// While this file is there, a restore has begun to move things and has not ended.
const UNFINISHED: &str = "restore.unfinished";

/// What a restore did.
#[derive(Debug)]
pub struct Restored {
    /// What is there now.
    pub contents: Contents,
    /// Where that is which was there before.
    pub aside: Option<PathBuf>,
}

/// Restores the backup `from` into `state_dir`. Where there is something, only if it may be replaced.
pub(super) fn restore(
    state_dir: &Path,
    from: impl BufRead,
    replace: bool,
) -> Result<Restored, String> {
    let plain = |why: std::io::Error| why.to_string();
    files::private_directory(state_dir).map_err(plain)?;
    let _lock = open::lock(state_dir)?;
    if !replace && is_there(state_dir) {
        return Err(format!(
            "{} is not empty; with --replace, what is there is moved aside first, and kept",
            state_dir.display()
        ));
    }
    room::enough_to_open(state_dir)?;
    cure(state_dir);

    // All of the backup is read, and known to be whole, before anything is touched.
    let mut archive = Archive::begin(from).map_err(|why| format!("the backup: {why}"))?;
    let fresh = state_dir.join("documents.new");
    if fresh.exists() {
        fs::remove_dir_all(&fresh).map_err(plain)?;
    }
    let documents = Documents::open(&fresh).map_err(plain)?;
    let (mut contents, mut identity) = (Contents::default(), Vec::new());
    let mut numbered = false;
    let entries = std::iter::from_fn(|| {
        loop {
            let item = match archive.read() {
                Ok(Some(item)) => item,
                Ok(None) if numbered => return None,
                Ok(None) => {
                    numbered = true;
                    return Some(skip(None));
                }
                Err(why) => return Some(Err(format!("the backup: {why}"))),
            };
            contents.count(&item);
            match item {
                Item::Entry(key, value) if key == Key::next_rollout() => {
                    numbered = true;
                    return Some(skip(Some(&value)));
                }
                Item::Entry(key, value) => return Some(Ok((key.as_bytes().to_vec(), value))),
                Item::File(name, content) => identity.push((name, content)),
                Item::Document(hash, text) => match documents.save(&text) {
                    Ok(saved) if saved == hash => {}
                    Ok(_) => return Some(Err(format!("the backup: document {hash} is another"))),
                    Err(why) => return Some(Err(why.to_string())),
                },
            }
        }
    });
    let mark = Mark { revision: 1, state: State::Closed, ..Mark::new() };
    let new = compact::write(state_dir, entries, &mark)?;
    let identity = identity.into_iter().map(|(name, content)| Ok((inside(&name)?, content)));
    let identity = identity.collect::<Result<Vec<_>, String>>()?;

    files::write_durably(&state_dir.join(UNFINISHED), b"").map_err(plain)?;
    let aside = move_aside(state_dir, !identity.is_empty()).map_err(plain)?;
    compact::switch(state_dir, new).map_err(plain)?;
    fs::rename(fresh, state_dir.join("documents")).map_err(plain)?;
    for (name, content) in identity {
        let path = state_dir.join(name);
        files::private_directory(path.parent().unwrap_or(state_dir)).map_err(plain)?;
        files::write_durably(&path, &content).map_err(plain)?;
    }
    mark.write(state_dir).map_err(plain)?;
    fs::remove_file(state_dir.join(UNFINISHED)).map_err(plain)?;
    files::sync_directory(state_dir).map_err(plain)?;
    Ok(Restored { contents, aside })
}

/// The number of the next rollout, as it is after a restore, and its key.
pub(super) fn skip(before: Option<&[u8]>) -> Result<(Vec<u8>, Vec<u8>), String> {
    let key = Key::next_rollout();
    let next = before.map_or(Ok(RolloutId(1)), |value| decode(&key, value));
    let after = next.and_then(|next: RolloutId| encode(&key, &RolloutId(next.0 + SKIPPED)));
    after.map(|value| (key.as_bytes().to_vec(), value)).map_err(|why| why.to_string())
}

/// Refuses a state directory in which a restore was interrupted.
pub(super) fn ended(state_dir: &Path) -> Result<(), String> {
    if state_dir.join(UNFINISHED).exists() {
        return Err("a restore was interrupted there: run `dv-coordinator restore FILE --replace` once more".to_owned());
    }
    Ok(())
}

/// Whether there is anything that a start would take up.
fn is_there(state_dir: &Path) -> bool {
    let filled = |name: &str| {
        fs::read_dir(state_dir.join(name)).is_ok_and(|mut entries| entries.next().is_some())
    };
    Mark::path(state_dir).exists()
        || ["store", "store.old", "documents", "identity"].into_iter().any(filled)
}

/// A name that stays within the state directory.
fn inside(name: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(name);
    let plain = path.components().all(|part| matches!(part, std::path::Component::Normal(_)));
    if plain && path.starts_with("identity") {
        Ok(path)
    } else {
        Err(format!("the backup: a file {name:?} is no part of a coordinator's identity"))
    }
}

fn move_aside(state_dir: &Path, identity: bool) -> std::io::Result<Option<PathBuf>> {
    let mut names = vec!["store", "store.old", "documents", "store.mark"];
    if identity {
        names.push("identity");
    }
    names.retain(|name| state_dir.join(name).exists());
    if names.is_empty() {
        return Ok(None);
    }
    let free = (1..).map(|n| state_dir.join(format!("replaced-{n}"))).find(|path| !path.exists());
    let Some(aside) = free else { return Ok(None) };
    files::private_directory(&aside)?;
    for name in names {
        fs::rename(state_dir.join(name), aside.join(name))?;
    }
    files::sync_directory(&aside)?;
    files::sync_directory(state_dir)?;
    Ok(Some(aside))
}

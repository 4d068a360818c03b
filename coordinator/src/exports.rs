//! Backups that the coordinator makes by itself, in its state directory: they are what a person goes back to when the
//! store's own files are damaged. A copy elsewhere is for the person to make.

use std::{
    fs,
    io::{self, BufReader},
    path::{Path, PathBuf},
    sync::Arc,
};

use dv_types::{Span, Timestamp};
use tokio::fs::OpenOptions;

use crate::{
    files, local,
    ports::{Clock, Store, StoreError},
    store::{Key, backup, check_backup},
};

/// Backups that are kept.
const KEPT: usize = 3;
/// Time between two looks whether the first host has come.
const SOON: Span = Span::from_secs(10);
const SUFFIX: &str = ".dvbackup";
const FORM: &str = "%Y-%m-%dT%H-%M-%SZ";

/// Makes a backup every so often, until it is dropped.
pub async fn run(state_dir: PathBuf, store: Arc<dyn Store>, clock: Arc<dyn Clock>, every: Span) {
    let directory = state_dir.join("backups");
    let (mut is_bare, mut tried) = (bare(&directory), None);
    loop {
        let now = clock.now();
        let last = newest(&directory).max(tried);
        let due = last.map_or(now, |last| every.after(last));
        // Nobody should have to go back to a fleet of nobody for a whole day.
        let first_host = is_bare && matches!(has_hosts(&*store).await, Ok(true));
        if due > now && !first_host {
            clock.sleep_until(if is_bare { due.min(SOON.after(now)) } else { due }).await;
            continue;
        }
        is_bare = !matches!(has_hosts(&*store).await, Ok(true));
        match export(&state_dir, &directory, &*store, now).await {
            Ok(Some(file)) => tracing::info!(file = %file.display(), "a backup was made"),
            Ok(None) => tracing::warn!("no backup was made: the disk has too little room"),
            Err(why) => tracing::error!(%why, "no backup was made"),
        }
        tried = Some(now);
    }
}

/// Makes one, where there is room, and removes the oldest.
async fn export(
    state_dir: &Path,
    directory: &Path,
    store: &dyn Store,
    now: Timestamp,
) -> Result<Option<PathBuf>, Box<dyn std::error::Error + Send + Sync>> {
    if store.shortage().await?.is_some() {
        return Ok(None);
    }
    files::private_directory(directory)?;
    let new = directory.join("new");
    let mut options = OpenOptions::new();
    let mut out = options.write(true).create(true).truncate(true).mode(0o600).open(&new).await?;
    backup(store, local::identity(state_dir)?, &mut out).await?;
    out.sync_all().await?;
    // What a coordinator could not start from does not take the place of what it could.
    let from = BufReader::new(fs::File::open(&new)?);
    let (checked, _) = tokio::task::spawn_blocking(move || check_backup(from)).await??;
    if let Some(first) = checked.damage.first() {
        let more = checked.damage.len() - 1;
        let why = format!("it would be damaged: {first}, and {more} more; the older ones are kept");
        fs::remove_file(&new)?;
        return Err(why.into());
    }
    let file = directory.join(format!("{}{SUFFIX}", now.strftime(FORM)));
    fs::rename(&new, &file)?;
    files::sync_directory(directory)?;
    for old in all(directory)?.iter().rev().skip(KEPT) {
        fs::remove_file(old)?;
    }
    Ok(Some(file))
}

/// The backups in a directory, the oldest first.
fn all(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.to_str().is_some_and(|name| name.ends_with(SUFFIX)) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

async fn has_hosts(store: &dyn Store) -> Result<bool, StoreError> {
    Ok(!store.scan(Key::hosts(), None, 1).await?.is_empty())
}

/// Whether all that is there is of a time before there was any host.
fn bare(directory: &Path) -> bool {
    let Ok(found) = all(directory) else { return true };
    let hosts = found.last().and_then(|newest| {
        let from = BufReader::new(fs::File::open(newest).ok()?);
        check_backup(from).ok().map(|(_, contents)| contents.hosts)
    });
    hosts.is_none_or(|hosts| hosts == 0)
}

/// When the newest one was made, as its name says.
fn newest(directory: &Path) -> Option<Timestamp> {
    let found = all(directory).ok()?;
    let name = found.last()?.file_name()?.to_str()?.strip_suffix(SUFFIX)?;
    let time = name.strip_suffix('Z')?;
    jiff::civil::DateTime::strptime("%Y-%m-%dT%H-%M-%S", time)
        .and_then(|time| time.to_zoned(jiff::tz::TimeZone::UTC))
        .map(|time| time.timestamp())
        .ok()
}

//! A backup's file as the proof of it. It is read on a helper thread: it may be large, or its disk slow.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use dv_types::Timestamp;
use rustix::fs::{Mode, OFlags};
use sha2::{Digest as _, Sha256};

use super::Found;
use crate::{
    ask::ask,
    limits::{Limits, Stop},
};

const CHUNK: usize = 256 * 1024;

/// What the file at `path` shows, or why it shows nothing.
pub(super) async fn look(
    path: &str,
    checksum: bool,
    limits: &Limits,
) -> Result<Result<Found, String>, Stop> {
    let wanted = Wanted::default();
    let (owned, flag) = (path.to_owned(), Arc::clone(&wanted.0));
    let work = ask(Path::new(path), move || read(&owned, checksum, &flag));
    // Where the time is up first, `wanted` is dropped and the thread stops by itself.
    Ok(limits.within(work).await?.unwrap_or_else(Err))
}

/// Tells the thread that nobody waits any more.
#[derive(Default)]
struct Wanted(Arc<AtomicBool>);

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn read(path: &str, checksum: bool, stop: &AtomicBool) -> Result<Found, String> {
    // No link is followed out of what the policy lists, and a pipe without a writer is not waited for.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(rustix::io::Errno::LOOP) => {
            return Err(format!("{path} is a symbolic link; give the path of the file itself"));
        }
        Err(e) if e == rustix::io::Errno::NOENT => {
            return Err(format!("there is no {path}; see where `create` puts it"));
        }
        Err(e) => return Err(format!("can't read {path}: {}", io::Error::from(e))),
    };
    let unreadable = |e: io::Error| format!("can't read {path}: {e}");
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(format!("{path} is not a regular file; give the path of the backup's file"));
    }
    let created = Timestamp::new(metadata.mtime(), metadata.mtime_nsec() as i32)
        .map_err(|e| format!("{path} has no sensible modification time: {e}"))?;
    let sha256 = match checksum {
        true => {
            let (hash, length) = hash(&mut file, stop).map_err(unreadable)?;
            if length != metadata.len() {
                return Err(format!(
                    "{path} changed while it was read; `create` must end when the file is whole"
                ));
            }
            Some(hash)
        }
        false => None,
    };
    let file = Some(path.to_owned());
    Ok(Found { size: Some(metadata.len()), created: Some(created), sha256, file })
}

/// The SHA-256 of all that is left in `file`, and how much that is.
fn hash(file: &mut File, stop: &AtomicBool) -> io::Result<(String, u64)> {
    let (mut hasher, mut length, mut chunk) = (Sha256::new(), 0, vec![0; CHUNK]);
    loop {
        if stop.load(Ordering::Relaxed) {
            return Err(io::Error::other("nobody waits for it any more"));
        }
        match file.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => {
                hasher.update(&chunk[..count]);
                length += count as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok((hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect(), length))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    fn look(path: &Path) -> Result<Found, String> {
        read(path.to_str().unwrap(), true, &AtomicBool::new(false))
    }

    #[test]
    fn a_file_is_measured_and_hashed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("dump");
        fs::write(&path, "abc").unwrap();
        let found = look(&path).unwrap();
        assert_eq!(found.size, Some(3));
        let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(found.sha256.as_deref(), Some(hash));
        assert!(found.created.is_some());
    }

    #[test]
    fn nothing_but_a_file_is_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let (real, link, pipe) =
            (dir.path().join("real"), dir.path().join("link"), dir.path().join("pipe"));
        fs::write(&real, "abc").unwrap();
        symlink(&real, &link).unwrap();
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        for (path, word) in [
            (&link, "symbolic link"),
            (&pipe, "not a regular file"),
            (&dir.path().to_owned(), "not a regular file"),
            (&dir.path().join("none"), "there is no"),
        ] {
            let why = look(path).unwrap_err();
            assert!(why.contains(word), "{why}");
        }
    }

    /// A runtime ends when its helper threads have: were the file read on to its end, this would not.
    #[tokio::test]
    async fn the_thread_stops_when_nobody_waits() {
        let endless = tempfile::NamedTempFile::new().unwrap();
        endless.as_file().set_len(1 << 42).unwrap();
        let limits = Limits::of(std::time::Duration::from_millis(50));
        let looked = super::look(endless.path().to_str().unwrap(), true, &limits).await;
        assert!(matches!(looked, Err(Stop::TimedOut(_))));
    }
}

//! Files that nobody else may read, and that are whole or not there.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use crate::chance;

/// Makes a directory that only its owner enters, unless it is there.
pub(crate) fn private_directory(path: &Path) -> io::Result<()> {
    let named = |why: io::Error| io::Error::new(why.kind(), format!("{}: {why}", path.display()));
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(named)
}

/// Writes a file that only its owner reads. After a power cut it is as it was before, or whole.
pub(crate) fn write_durably(path: &Path, content: &[u8]) -> io::Result<()> {
    let named = |why: io::Error| io::Error::new(why.kind(), format!("{}: {why}", path.display()));
    let write = || {
        let directory = path.parent().unwrap_or(Path::new("."));
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{:016x}.new", u64::from_ne_bytes(chance::bytes())));
        let new = directory.join(name);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        let written = file
            .write_all(content)
            .and_then(|()| file.sync_all())
            .and_then(|()| fs::rename(&new, path));
        if written.is_err() {
            let _ = fs::remove_file(&new);
        }
        written?;
        sync_directory(directory)
    };
    write().map_err(named)
}

/// Reads a key. One that others could read as well is no secret any more, and is refused.
pub(crate) fn read_secret(path: &Path) -> io::Result<String> {
    let named = |why: io::Error| io::Error::new(why.kind(), format!("{}: {why}", path.display()));
    let mode = fs::metadata(path).map_err(named)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(io::Error::other(format!(
            "{} is readable by others (mode {:04o}): if nobody has seen it, run `chmod 600` on it",
            path.display(),
            mode & 0o7777,
        )));
    }
    fs::read_to_string(path).map_err(named)
}

/// What the files of a directory hold, in bytes.
pub(crate) fn size(directory: &Path) -> io::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let data = entry.metadata()?;
        sum += if data.is_dir() { size(&entry.path())? } else { data.len() };
    }
    Ok(sum)
}

/// Copies a directory and all that is in it, durably.
pub(crate) fn copy_directory(from: &Path, to: &Path) -> io::Result<()> {
    private_directory(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_directory(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
        }
    }
    sync_tree(to)
}

/// Makes the names in a directory durable.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Makes everything in a directory durable.
pub(crate) fn sync_tree(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() { sync_tree(&path)? } else { File::open(&path)?.sync_all()? }
    }
    sync_directory(directory)
}

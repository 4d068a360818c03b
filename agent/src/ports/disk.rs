//! The file system that keeps what the agent must not forget.

use std::{
    io,
    path::{Path, PathBuf},
};

use futures_util::future::BoxFuture;

/// Files and directories. What was written or renamed outlives a power cut once it is synced, and not before.
pub trait Disk: Send + Sync {
    /// What is in a file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// What is in a directory, by its whole path.
    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>>;

    /// Writes a new file of this mode. An error if there is one already.
    fn create(&self, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()>;

    /// Writes over what is in a file already. That needs no room on the disk.
    fn overwrite(&self, path: &Path, at: u64, bytes: &[u8]) -> io::Result<()>;

    /// Brings a file, or the names in a directory, to where a power cut does not reach it.
    fn sync(&self, path: &Path) -> io::Result<()>;

    /// Gives a file another name, in the place of whatever had it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes a directory that only its owner can enter, with what leads to it, where it is not there.
    fn private_directory(&self, path: &Path) -> io::Result<()>;

    /// Does `work`, which waits for the disk, where that holds nobody up, and to its end, whatever becomes of the caller.
    fn apart(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()>;
}

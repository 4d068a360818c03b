//! A disk with a volatile write cache: one file in FUSE, held in memory.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, UNIX_EPOCH},
};

use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, LockOwner,
    OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyWrite, Request,
    WriteFlags,
};

use crate::chance::Chance;

/// The name of the file that is the disk.
pub const NAME: &str = "disk";

/// What a disk promises to write as one, in bytes.
const SECTOR: usize = 512;
/// What file systems write as one, in bytes.
const BLOCK: usize = 4096;
const INODE: INodeNo = INodeNo(2);
const TTL: Duration = Duration::from_secs(60);

/// What is left of what was not flushed when the power goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Nothing.
    Nothing,
    /// Some blocks of 4 KiB, whichever.
    Blocks,
    /// The first writes, in their order.
    Beginning,
    /// The first writes, and of the next ones some sectors of 512 bytes.
    Torn,
}

impl Cut {
    /// One of the four.
    pub fn any(chance: &mut Chance) -> Self {
        [Self::Nothing, Self::Blocks, Self::Beginning, Self::Torn][chance.below(4) as usize]
    }
}

#[derive(Debug)]
struct Content {
    /// What survives.
    flushed: Vec<u8>,
    /// What is read.
    current: Vec<u8>,
    /// What was written since the last flush, in order.
    cache: Vec<(usize, Vec<u8>)>,
}

/// A disk. Clones are the same disk.
#[derive(Debug, Clone)]
pub struct Disk(Arc<Mutex<Content>>);

impl Disk {
    /// A disk that holds what is in `image`.
    pub fn from_image(image: &Path) -> io::Result<Self> {
        let mut flushed = Vec::new();
        File::open(image)?.read_to_end(&mut flushed)?;
        let current = flushed.clone();
        Ok(Self(Arc::new(Mutex::new(Content { flushed, current, cache: Vec::new() }))))
    }

    /// What a disk would hold if the power went now.
    #[must_use]
    pub fn cut(&self, cut: Cut, chance: &mut Chance) -> Vec<u8> {
        let content = self.content();
        let mut image = content.flushed.clone();
        let kept = match (cut, content.cache.len() as u64) {
            (Cut::Nothing, _) => 0,
            (Cut::Blocks, all) => all,
            (Cut::Beginning | Cut::Torn, all) => chance.below(all + 1),
        } as usize;
        let (whole, rest) = content.cache.split_at(kept);
        let share = chance.below(101);
        for (at, data) in whole {
            for (n, block) in data.chunks(BLOCK).enumerate() {
                if cut != Cut::Blocks || chance.percent(share) {
                    put(&mut image, at + n * BLOCK, block);
                }
            }
        }
        if cut == Cut::Torn {
            for (at, data) in rest {
                for (n, sector) in data.chunks(SECTOR).enumerate() {
                    if chance.percent(share) {
                        put(&mut image, at + n * SECTOR, sector);
                    }
                }
            }
        }
        image
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn attributes(&self, inode: INodeNo) -> FileAttr {
        let size = self.content().current.len() as u64;
        let directory = inode == INodeNo::ROOT;
        FileAttr {
            ino: inode,
            size: if directory { 0 } else { size },
            blocks: size / SECTOR as u64,
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind: if directory { FileType::Directory } else { FileType::RegularFile },
            perm: if directory { 0o700 } else { 0o600 },
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: BLOCK as u32,
            flags: 0,
        }
    }
}

fn put(image: &mut [u8], at: usize, data: &[u8]) {
    image[at..at + data.len()].copy_from_slice(data);
}

/// Writes an image to a file, with holes where it is zero.
pub fn save(image: &[u8], path: &Path) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.set_len(image.len() as u64)?;
    for (n, block) in image.chunks(BLOCK).enumerate() {
        if block != &[0; BLOCK][..block.len()] {
            file.seek(SeekFrom::Start((n * BLOCK) as u64))?;
            file.write_all(block)?;
        }
    }
    Ok(())
}

impl Filesystem for Disk {
    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        if name == NAME {
            reply.entry(&TTL, &self.attributes(INODE), Generation(0));
        } else {
            reply.error(Errno::ENOENT);
        }
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&TTL, &self.attributes(inode));
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        // The page cache of the machine must not stand between a write and the disk.
        reply.opened(FileHandle(0), FopenFlags::FOPEN_DIRECT_IO);
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let content = self.content();
        let start = (offset as usize).min(content.current.len());
        let end = (start + size as usize).min(content.current.len());
        reply.data(&content.current[start..end]);
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let mut content = self.content();
        let at = offset as usize;
        if at + data.len() > content.current.len() {
            reply.error(Errno::ENOSPC);
            return;
        }
        put(&mut content.current, at, data);
        content.cache.push((at, data.to_vec()));
        reply.written(data.len() as u32);
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        let content = &mut *self.content();
        for (at, data) in content.cache.drain(..) {
            put(&mut content.flushed, at, &data);
        }
        reply.ok();
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        // What a file's closing does is no flush of a disk.
        reply.ok();
    }
}

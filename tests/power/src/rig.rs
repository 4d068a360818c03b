//! A disk that is attached and mounted, and images of it that are looked at.

use std::{
    fs,
    path::{Path, PathBuf},
};

use fuser::{BackgroundSession, Config};
use tempfile::TempDir;

use crate::{
    disk::{self, Disk},
    machine::run,
};

/// How large the disk is, in MiB.
const SIZE: u64 = 128;

/// An ext4 file system on a disk whose power can be cut.
pub struct Rig {
    /// The disk.
    pub disk: Disk,
    /// Where its file system is mounted.
    pub mounted: PathBuf,
    device: String,
    session: Option<BackgroundSession>,
    directory: TempDir,
}

impl Rig {
    /// Makes one that is empty.
    pub fn new() -> Result<Self, String> {
        let say = |why: std::io::Error| why.to_string();
        let directory = tempfile::tempdir().map_err(say)?;
        let (image, fuse, mounted) = (
            directory.path().join("image"),
            directory.path().join("fuse"),
            directory.path().join("mounted"),
        );
        let file = fs::File::create(&image).map_err(say)?;
        file.set_len(SIZE << 20).map_err(say)?;
        let options = "lazy_itable_init=0,lazy_journal_init=0";
        run("mkfs.ext4", &["-q", "-F", "-J", "size=8", "-E", options, text(&image)])?;
        let disk = Disk::from_image(&image).map_err(say)?;
        fs::create_dir(&fuse).map_err(say)?;
        fs::create_dir(&mounted).map_err(say)?;
        let session = fuser::spawn_mount(disk.clone(), &fuse, &Config::default()).map_err(say)?;
        let device = run("losetup", &["--find", "--show", text(&fuse.join(disk::NAME))])?;
        // From here on, dropping it takes away what there is.
        let rig = Self { disk, mounted, device, session: Some(session), directory };
        run("mount", &["-t", "ext4", &rig.device, text(&rig.mounted)])?;
        Ok(rig)
    }

    /// Lets the file system of an image recover, and looks at it.
    pub fn look<T>(
        &self,
        image: &[u8],
        look: impl FnOnce(&Path) -> Result<T, String>,
    ) -> Result<T, String> {
        let (file, at) = (self.directory.path().join("cut"), self.directory.path().join("cut.d"));
        disk::save(image, &file).map_err(|why| why.to_string())?;
        fs::create_dir_all(&at).map_err(|why| why.to_string())?;
        run("mount", &["-t", "ext4", "-o", "loop", text(&file), text(&at)])?;
        let seen = look(&at);
        run("umount", &[text(&at)])?;
        seen
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        // Whoever wrote there has ended.
        let ended =
            [run("umount", &[text(&self.mounted)]), run("losetup", &["--detach", &self.device])];
        for why in ended.into_iter().filter_map(Result::err) {
            eprintln!("{why}");
        }
        drop(self.session.take());
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a temporary directory has a plain name")
}

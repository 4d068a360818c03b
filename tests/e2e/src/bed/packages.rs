//! The three Debian packages, as `cargo xtask deb` builds them.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::root;
use crate::shell;

/// The packages of one build.
#[derive(Debug, Clone)]
pub(crate) struct Packages {
    pub(crate) agent: PathBuf,
    pub(crate) coordinator: PathBuf,
    pub(crate) dvctl: PathBuf,
}

impl Packages {
    /// Builds them with cargo's `profile`.
    pub(crate) fn build(profile: &str) -> Result<Self, String> {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(root()).args(["xtask", "deb", "--profile", profile]);
        shell::run(&mut cargo, Duration::from_secs(3600)).result()?;
        let target =
            env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
        Self::find(&target.join("deb"))
    }

    /// Finds them in a directory.
    pub(crate) fn find(directory: &Path) -> Result<Self, String> {
        let find = |package: &str| {
            let found = fs::read_dir(directory).ok().and_then(|files| {
                files.flatten().map(|file| file.path()).find(|path| {
                    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                    name.starts_with(&format!("{package}_")) && name.ends_with(".deb")
                })
            });
            found.ok_or_else(|| format!("there is no {package} package in {}", directory.display()))
        };
        Ok(Self {
            agent: find("dv-agent")?,
            coordinator: find("dv-coordinator")?,
            dvctl: find("dvctl")?,
        })
    }
}

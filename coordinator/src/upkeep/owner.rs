//! Files of a state directory belong to its owner. What root does there is done as the owner, or the coordinator could
//! not read its own files afterwards.

use std::{
    env,
    fs::{self, File},
    os::unix::{fs::MetadataExt as _, process::CommandExt as _},
    process::{Command, exit},
};

use super::Here;

/// If we are root and the directory is not root's: does `arguments` in a program of its own, as the owner, and says
/// true. Where that fails, this program ends as that one did, which has said why.
pub(crate) fn again_as_owner(
    here: &Here,
    arguments: &[&str],
    from: Option<File>,
    to: Option<File>,
) -> std::io::Result<bool> {
    let Ok(directory) = fs::metadata(&here.config.state_dir) else { return Ok(false) };
    if !rustix::process::geteuid().is_root() || directory.uid() == 0 {
        return Ok(false);
    }
    let mut again = Command::new(env::current_exe()?);
    again.args(arguments).arg("--config").arg(&here.file);
    again.uid(directory.uid()).gid(directory.gid());
    if let Some(from) = from {
        again.stdin(from);
    }
    if let Some(to) = to {
        again.stdout(to);
    }
    let status = again.status()?;
    if !status.success() {
        exit(status.code().unwrap_or(1));
    }
    Ok(true)
}

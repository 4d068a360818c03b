//! Which of the five hosts a command runs on.

use std::{
    fs, io,
    os::unix::process::parent_id,
    path::{Path, PathBuf},
};

/// The folder that stands for this host: the one in which its agent was started.
///
/// On real hosts there is nothing to ask, and one manifest fits all. Here five share a machine, so a command
/// tells them apart by the agent that runs it.
pub(crate) fn here() -> io::Result<PathBuf> {
    fs::read_link(format!("/proc/{}/cwd", parent_id()))
}

/// Where the host in `here` takes orders.
pub(crate) fn control(here: &Path) -> PathBuf {
    here.join("control")
}

/// The port of the service of the host in `here`.
pub(crate) fn port(here: &Path) -> io::Result<u16> {
    let text = fs::read_to_string(here.join("port"))?;
    text.trim().parse().map_err(io::Error::other)
}

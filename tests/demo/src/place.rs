//! Which of the five hosts a command runs on.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

/// The folder that stands for this host: the home of the user as whom its agent runs, so to speak.
///
/// On real hosts there is nothing to ask, and one manifest fits all. Here five share a machine; each agent has a
/// home of its own, and gives it to the commands that it runs.
pub fn here() -> io::Result<PathBuf> {
    env::var_os("HOME").map(PathBuf::from).ok_or_else(|| io::Error::other("there is no HOME"))
}

/// Where the host in `here` takes orders.
pub fn control(here: &Path) -> PathBuf {
    here.join("control")
}

/// The port of the service of the host in `here`.
pub fn port(here: &Path) -> io::Result<u16> {
    let text = fs::read_to_string(here.join("port"))?;
    text.trim().parse().map_err(io::Error::other)
}

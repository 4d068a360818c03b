//! Where things are, and how cargo is called.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

/// The folder of the workspace.
pub(crate) fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("xtask is in tests/xtask")
}

/// The folder in which cargo puts the programs: xtask is one of them.
pub(crate) fn programs() -> PathBuf {
    let xtask = env::current_exe().expect("a running program has a path");
    xtask.parent().expect("a program is in a folder").to_owned()
}

/// The cargo that started us, in the workspace.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    cargo
}

/// Ourselves, for another task.
pub(crate) fn xtask() -> Command {
    Command::new(env::current_exe().expect("a running program has a path"))
}

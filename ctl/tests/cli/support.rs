//! Calling the program.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output},
};

use tempfile::tempdir;

use crate::fake::Fake;

/// A manifest that is good.
pub(crate) const MANIFEST: &str = "\
service: app
hosts:
  labels: {role: web}
steps:
  - restart: {unit: app.service}
health:
  ready: {http: 'http://localhost:8080/health/ready'}
";

/// `dvctl`, knowing nothing of this machine.
pub(crate) fn dvctl(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dvctl"));
    command.env_clear().env("HOME", home).current_dir(home);
    command
}

/// What a call printed and how it ended, as one text.
pub(crate) fn told(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!(
        "exit: {}\n-- stdout\n{}-- stderr\n{}",
        output.status.code().map_or_else(|| "signal".to_owned(), |c| c.to_string()),
        text(&output.stdout),
        text(&output.stderr)
    )
}

/// A home with a context file for `fake` and a good manifest, and what a call in it told.
pub(crate) fn call(fake: &Fake, arguments: &[&str]) -> String {
    call_by(&fake.context(), arguments)
}

/// As [`call`], by this context file.
pub(crate) fn call_by(context: &str, arguments: &[&str]) -> String {
    let home = tempdir().unwrap();
    let output = prepared(home.path(), context).args(arguments).output().unwrap();
    told(&output)
}

/// `dvctl` in a home that has been given a context file and a good manifest.
pub(crate) fn prepared(home: &Path, context: &str) -> Command {
    fs::create_dir_all(home.join(".config/dv")).unwrap();
    let file = home.join(".config/dv/context.yaml");
    fs::write(&file, context).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(home.join("app.yaml"), MANIFEST).unwrap();
    dvctl(home)
}

//! Calling the program.

use std::{path::Path, process::Output};

use assert_cmd::Command;

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
    let mut command = Command::cargo_bin("dvctl").expect("it is built");
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

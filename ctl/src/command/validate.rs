//! `dvctl validate`

use std::path::Path;

use dv_types::Manifest;
use serde_json::json;

use crate::{
    Exit,
    display::words::count,
    error::{Error, Result},
    manifest::{self, Checked},
    output::Output,
};

/// Checks a manifest, and says all that is wrong with it.
pub(crate) fn run(path: &Path, output: &Output) -> Result<Exit> {
    let checked = manifest::read(path)?;
    if output.json() {
        output.document(&json!({
            "file": path, "valid": checked.is_good(), "problems": checked.remarks,
        }))?;
        return Ok(if checked.is_good() { Exit::Succeeded } else { Exit::Refused });
    }
    say(&checked, output);
    if let Some(manifest) = good(checked, path)? {
        let steps = count(manifest.steps.len(), "step");
        output.text(&format!("{}: good: {}, {steps}\n", path.display(), manifest.service))?;
    }
    Ok(Exit::Succeeded)
}

/// The manifest in `path`, if a rollout can be made of it; its warnings are said.
pub(crate) fn load(path: &Path, output: &Output) -> Result<Manifest> {
    let checked = manifest::read(path)?;
    say(&checked, output);
    good(checked, path)?.ok_or_else(|| Error::refused(String::new()))
}

fn good(checked: Checked, path: &Path) -> Result<Option<Manifest>> {
    match checked.errors() {
        0 => Ok(checked.manifest),
        n => Err(Error::refused(format!("{} has {}", path.display(), count(n, "error")))),
    }
}

fn say(checked: &Checked, output: &Output) {
    for line in checked.lines() {
        output.warn(&line);
    }
}

//! `dvctl validate`

use std::path::Path;

use dv_types::{Manifest, Release, Version};
use serde_json::{Value, json};

use crate::{
    Exit,
    display::words::count,
    error::{Error, Result},
    manifest::{self, Checked, File},
    output::Output,
};

/// What a rollout can be made of.
pub(crate) enum Loaded {
    Manifest(Box<Manifest>),
    Release(Release),
}

/// Checks a manifest, or a release with its manifests, and says all that is wrong with it.
pub(crate) fn run(path: &Path, output: &Output) -> Result<Exit> {
    let file = manifest::read(path)?;
    if output.json() {
        let (good, mut document) = match &file {
            File::Manifest(checked) => (checked.is_good(), as_json(checked)),
            File::Release(files) => {
                let mut document = as_json(&files.file);
                document["valid"] = files.is_good().into();
                document["members"] = files.members.iter().map(as_json).collect();
                (files.is_good(), document)
            }
        };
        document["file"] = json!(path);
        output.document(&document)?;
        return Ok(if good { Exit::Succeeded } else { Exit::Refused });
    }
    say(&file, output);
    good(&file)?;
    let text = match &file {
        File::Manifest(checked) => checked.document.as_ref().map(|manifest| {
            format!("{}, {}", manifest.service, count(manifest.steps.len(), "step"))
        }),
        File::Release(files) => files.file.document.as_ref().map(|release| {
            let order = files.order();
            let services = count(order.len(), "service");
            format!("{}, {services}: {}", release.release, order.join(", "))
        }),
    };
    output.text(&format!("{}: good: {}\n", path.display(), text.unwrap_or_default()))?;
    Ok(Exit::Succeeded)
}

fn as_json<T>(checked: &Checked<T>) -> Value {
    json!({ "file": checked.file(), "valid": checked.is_good(), "problems": checked.remarks })
}

/// What is in `path`, if a rollout of `version` can be made of it; its warnings are said.
pub(crate) fn load(path: &Path, version: &Version, output: &Output) -> Result<Loaded> {
    let file = manifest::read(path)?;
    say(&file, output);
    good(&file)?;
    match file {
        File::Manifest(checked) => {
            let manifest = checked.document.ok_or_else(|| Error::refused(String::new()))?;
            Ok(Loaded::Manifest(Box::new(manifest)))
        }
        File::Release(files) => files.release(version).map(Loaded::Release),
    }
}

/// Refuses what has errors, and says in which files how many.
fn good(file: &File) -> Result<()> {
    let errors =
        |name: &str, n: usize| (n > 0).then(|| format!("{name} has {}", count(n, "error")));
    let all: Vec<_> = match file {
        File::Manifest(checked) => errors(checked.file(), checked.errors()).into_iter().collect(),
        File::Release(files) => (files.members.iter())
            .map(|member| errors(member.file(), member.errors()))
            .chain([errors(files.file.file(), files.file.errors())])
            .flatten()
            .collect(),
    };
    if all.is_empty() { Ok(()) } else { Err(Error::refused(all.join("; "))) }
}

fn say(file: &File, output: &Output) {
    let lines = match file {
        File::Manifest(checked) => checked.lines(),
        File::Release(files) => {
            let members = files.members.iter().flat_map(Checked::lines);
            files.file.lines().into_iter().chain(members).collect()
        }
    };
    for line in lines {
        output.warn(&line);
    }
}

//! The file of a release, and the manifests that it names: all are read, and checked together.

use std::path::Path;

use dv_types::{
    Release, ServiceName, Version,
    check::Problem,
    plan::Severity,
    release::{self, Entry, Member, ReleaseFile},
};

use super::{
    place::Tree,
    read::{Checked, check, check_as, text},
};
use crate::error::{Error, Result};

/// What a file that can be rolled out holds.
pub(crate) enum File {
    Manifest(Box<Checked>),
    Release(Box<ReleaseFiles>),
}

/// A release file, and its members' manifests, in the file's order.
pub(crate) struct ReleaseFiles {
    pub(crate) file: Checked<ReleaseFile>,
    /// Those that could be read.
    pub(crate) members: Vec<Checked>,
}

/// Reads and checks what is in `path`, which may be a manifest or a release.
pub(crate) fn read(path: &Path) -> Result<File> {
    let (file, source) = (path.display().to_string(), text(path)?);
    if !is_release(&source) {
        return Ok(File::Manifest(Box::new(check(file, source))));
    }
    let mut file: Checked<ReleaseFile> = check_as(file, source, ReleaseFile::check);
    let mut members = Vec::new();
    let mut problems = Vec::new();
    let entries = file.document.as_ref().map_or(&[][..], |document| &document.services);
    for (i, entry) in entries.iter().enumerate().filter(|(_, e)| !e.manifest.trim().is_empty()) {
        let beside = path.parent().unwrap_or(Path::new("")).join(&entry.manifest);
        match text(&beside) {
            Ok(source) => members.push(check(beside.display().to_string(), source)),
            Err(why) => problems.push(Problem {
                severity: Severity::Error,
                path: format!("services[{i}].manifest"),
                text: why.text,
            }),
        }
    }
    let services = services(file.document.as_ref(), &members);
    // Where a manifest is missing, who knows which service it would have been?
    if services.len() == entries.len() {
        problems.extend(release::order(&services).err().unwrap_or_default());
    }
    file.add(problems);
    Ok(File::Release(Box::new(ReleaseFiles { file, members })))
}

/// The services whose manifests could be read, each with what it comes after.
fn services(
    file: Option<&ReleaseFile>,
    members: &[Checked],
) -> Vec<(ServiceName, Vec<ServiceName>)> {
    let entries = file.map_or(&[][..], |file| &file.services);
    let pair = |(entry, member): (&Entry, &Checked)| {
        Some((member.document.as_ref()?.service.clone(), entry.after.clone()))
    };
    entries.iter().zip(members).filter_map(pair).collect()
}

/// A release is told from a manifest by its keys; in a text that is no YAML, by how its lines begin.
fn is_release(source: &str) -> bool {
    match Tree::read(source) {
        Some(tree) => tree.has("release") && !tree.has("service"),
        None => source.lines().any(|line| line.starts_with("release:")),
    }
}

impl ReleaseFiles {
    /// Whether a release can be made of it.
    pub(crate) fn is_good(&self) -> bool {
        self.file.is_good() && self.members.iter().all(Checked::is_good)
    }

    /// The services in the order in which they go out.
    pub(crate) fn order(&self) -> Vec<&str> {
        let services = services(self.file.document.as_ref(), &self.members);
        let order = release::order(&services).unwrap_or_default();
        let name = |i: usize| Some(self.members.get(i)?.document.as_ref()?.service.as_str());
        order.into_iter().filter_map(name).collect()
    }

    /// The release, with each member's version said, in the order in which they go out.
    pub(crate) fn release(&self, version: &Version) -> Result<Release> {
        let Some(file) = &self.file.document else { return Err(Error::refused("")) };
        let mut members = Vec::new();
        for (i, (entry, checked)) in file.services.iter().zip(&self.members).enumerate() {
            let Some(manifest) = checked.document.clone() else { return Err(Error::refused("")) };
            let version = match &entry.version {
                None => version.clone(),
                Some(template) => Version::new(template.replace("${version}", version.as_str()))
                    .map_err(|why| {
                        let at = self.file.at(&format!("services[{i}].version"));
                        Error::refused(format!("{at}: {why}"))
                    })?,
            };
            members.push(Member { version, after: entry.after.clone(), manifest });
        }
        // What is wrong with the order was said where it stands.
        let release = Release { name: file.release.clone(), members };
        release.arranged().map_err(|_| Error::refused(""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_told_by_its_keys() {
        assert!(is_release("release: shop\nservices: []\n"));
        assert!(is_release("release: shop\nservices: [\n"));
        assert!(is_release("{services: [], release: shop}"));
        assert!(!is_release("service: app\nrelease: x\n"));
        assert!(!is_release("service: app\nhosts: {}\nsteps:\n  - run: {argv: [release]}\n"));
        assert!(!is_release(""));
    }
}

//! A secret for a service that is asked: in a file of its own, or in a credential that systemd hands over. It is read
//! when it is needed.

use std::{
    fmt,
    fs::File,
    io::Read as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

/// No secret is longer.
const LONGEST: u64 = 8 * 1024;

/// Where a secret is, as a configuration says it.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    /// What it is, for people.
    pub(crate) what: &'static str,
    /// The key of the file in the configuration.
    pub(crate) key: &'static str,
    pub(crate) file: Option<&'a Path>,
    pub(crate) credential: Option<&'a str>,
}

impl Source<'_> {
    /// Whether there is one; or what is wrong with it, with the key in front.
    pub(crate) fn check(self) -> Result<bool, String> {
        if self.file.is_some() && self.credential.is_some() {
            return Err(format!("credential: give {} or credential, not both", self.key));
        }
        if let Some(name) = self.credential
            && (name.is_empty() || name.contains('/') || name.starts_with('.'))
        {
            return Err(format!("credential: {name:?} is not the name of a credential"));
        }
        Ok(self.file.is_some() || self.credential.is_some())
    }

    /// The secret, where there is one. `credentials` is where systemd puts those of the unit.
    pub(crate) fn read(self, credentials: Option<&Path>) -> Result<Option<String>, String> {
        let (path, ours) = match (self.file, self.credential, credentials) {
            (Some(path), _, _) => (path.to_owned(), true),
            // Its directory lets nobody else in; how the files in it are marked is systemd's affair.
            (None, Some(name), Some(directory)) => (directory.join(name), false),
            (None, Some(name), None) => {
                let Self { what, key, .. } = self;
                return Err(format!(
                    "there are no credentials: give the unit LoadCredential={name}:/path/to/the/{what}, or use {key}"
                ));
            }
            (None, None, _) => return Ok(None),
        };
        self.of_file(path, ours).map(Some)
    }

    fn of_file(self, path: PathBuf, check_mode: bool) -> Result<String, String> {
        let what = self.what;
        let named = |why: &dyn fmt::Display| format!("the {what} {}: {why}", path.display());
        let mut file = File::open(&path).map_err(|why| named(&why))?;
        let mode = file.metadata().map_err(|why| named(&why))?.permissions().mode();
        // root keeps it, and the coordinator's group may read it.
        if check_mode && mode & 0o027 != 0 {
            return Err(named(&format!(
                "others may read or change it (mode {:04o}): if nobody has seen it, run `chmod 640` on it",
                mode & 0o7777
            )));
        }
        let mut text = String::new();
        file.by_ref()
            .take(LONGEST)
            .read_to_string(&mut text)
            // What was read is not in this message.
            .map_err(|_| named(&"it can't be read as text"))?;
        let text = text.trim();
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(named(&format!("it must hold the {what} in one line, and nothing else")));
        }
        Ok(text.to_owned())
    }
}

//! Secrets that are filled in: where they come from, where they may go, and that nobody reads them afterwards.

mod disguise;

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::Path,
};

use rustix::fs::{Mode, OFlags};
use url::Url;

use crate::policy::Policy;

/// More is no password.
const LONGEST: u64 = 4 << 10;

/// A text that can't be printed by accident: it has neither `Debug` nor `Display`.
#[derive(Clone)]
pub(super) struct Hidden(String);

impl Hidden {
    pub(super) fn new(text: String) -> Self {
        Self(text)
    }

    /// The text, for the request that it goes into.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

/// The secrets that one session uses.
pub(super) struct Secrets<'a> {
    policy: &'a Policy,
    unprivileged: bool,
    read: BTreeMap<String, Hidden>,
}

impl<'a> Secrets<'a> {
    pub(super) fn new(policy: &'a Policy, unprivileged: bool) -> Self {
        Self { policy, unprivileged, read: BTreeMap::new() }
    }

    /// `text` with its `${secret:NAME}` filled in, to be sent to `to`; or why that is refused.
    pub(super) fn fill(&mut self, text: &str, to: &Url) -> Result<Hidden, String> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${secret:") {
            let Some((name, after)) = after.split_once('}') else { break };
            filled.push_str(before);
            self.may_go(name, to)?;
            if !self.read.contains_key(name) {
                let value = self.load(name)?;
                self.read.insert(name.to_owned(), value);
            }
            filled.push_str(self.read[name].expose());
            rest = after;
        }
        filled.push_str(rest);
        Ok(Hidden(filled))
    }

    /// Whether a request with these texts in it may go to `to`: a page or a redirect may have put a secret
    /// into it that nobody filled in there.
    pub(super) fn may_be_sent(&self, texts: &[&str], to: &Url) -> Result<(), String> {
        for (name, secret) in &self.read {
            if texts.iter().any(|text| disguise::contains(text, secret.expose())) {
                self.may_go(name, to)?;
            }
        }
        Ok(())
    }

    /// `text` with the name in place of each secret, however it is written there.
    pub(super) fn redact(&self, text: &str) -> String {
        let mut secrets: Vec<_> = self.read.iter().collect();
        // One may be part of another.
        secrets.sort_by_key(|(_, secret)| std::cmp::Reverse(secret.expose().len()));
        secrets.into_iter().fold(text.to_owned(), |text, (name, secret)| {
            disguise::replace(&text, secret.expose(), &format!("${{secret:{name}}}"))
        })
    }

    fn may_go(&self, name: &str, to: &Url) -> Result<(), String> {
        let secret =
            self.policy.secrets.get(name).ok_or_else(|| {
                format!("the policy does not list the secret {name} under `secrets`")
            })?;
        let origin = to.origin();
        let listed = |text: &String| Url::parse(text).is_ok_and(|url| url.origin() == origin);
        if origin.is_tuple() && secret.origins.iter().any(listed) {
            return Ok(());
        }
        Err(format!(
            "the secret {name} would go to {}; the policy lets it go to {} only",
            origin.ascii_serialization(),
            secret.origins.join(", ")
        ))
    }

    fn load(&self, name: &str) -> Result<Hidden, String> {
        let file = &self.policy.secrets[name].file;
        read(file, self.unprivileged).map_err(|why| {
            format!("the secret {name} can't be taken from {}: {why}", file.display())
        })
    }
}

fn read(path: &Path, unprivileged: bool) -> Result<Hidden, String> {
    let words = |e: io::Error| e.to_string();
    // A pipe without a writer is not waited for.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|e| words(e.into()))?;
    let file = File::from(file);
    // Of the open file, not of the path: what is checked is what is read.
    let metadata = file.metadata().map_err(words)?;
    if !metadata.is_file() {
        return Err("it is not a file".to_owned());
    }
    if let Some(why) = distrust(metadata.uid(), metadata.mode(), unprivileged) {
        return Err(why);
    }
    let mut text = String::new();
    file.take(LONGEST + 1).read_to_string(&mut text).map_err(|e| match e.kind() {
        io::ErrorKind::InvalidData => "it is not a text".to_owned(),
        _ => e.to_string(),
    })?;
    let text =
        text.strip_suffix('\n').map_or(&*text, |line| line.strip_suffix('\r').unwrap_or(line));
    match text.len() as u64 {
        0 => Err("it is empty".to_owned()),
        _ if text.contains(['\n', '\r', '\0']) => Err("it has more than one line".to_owned()),
        length if length > LONGEST => Err("it is longer than 4 KiB".to_owned()),
        _ => Ok(Hidden(text.to_owned())),
    }
}

/// Why a file of this owner and mode keeps no secret.
fn distrust(owner: u32, mode: u32, unprivileged: bool) -> Option<String> {
    let own = rustix::process::geteuid().as_raw();
    if owner != 0 && !(unprivileged && owner == own) {
        return Some(format!("it belongs to user {owner}, not to root (chown root it)"));
    }
    if mode & 0o077 != 0 {
        return Some(format!(
            "its mode {:o} lets others than its owner at it (chmod go= it)",
            mode & 0o7777
        ));
    }
    None
}

#[cfg(test)]
mod tests;

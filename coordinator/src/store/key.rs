//! Where things are kept. Numbers are big-endian, so that the order of keys is the order of numbers.

use std::fmt;

use dv_types::{CommandId, HostName, ReleaseId, RolloutId, ServiceName, Version};

/// A place in the store.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Vec<u8>);

/// What is kept at a key.
pub(super) enum Place {
    Header,
    Records(RolloutId),
    Other,
}

impl Key {
    /// A key from its bytes, as a store hands it out.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether it lies under `prefix`.
    #[must_use]
    pub fn starts_with(&self, prefix: &Self) -> bool {
        self.0.starts_with(&prefix.0)
    }

    /// The lowest key that is higher.
    pub(super) fn successor(&self) -> Self {
        let mut bytes = self.0.clone();
        bytes.push(0);
        Self(bytes)
    }

    /// Its tree, and where in it.
    pub(super) fn parts(&self) -> Option<(&str, &[u8])> {
        let slash = self.0.iter().position(|byte| *byte == b'/')?;
        Some((std::str::from_utf8(&self.0[..slash]).ok()?, &self.0[slash + 1..]))
    }

    fn tree(name: &str) -> Self {
        Self(format!("{name}/").into_bytes())
    }

    fn text(mut self, text: &str) -> Self {
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    fn number(mut self, number: u64) -> Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    pub(super) fn place(&self) -> Place {
        let number = |prefix: &Self| {
            let rest = self.0.strip_prefix(prefix.as_bytes())?;
            rest.first_chunk().map(|bytes| RolloutId(u64::from_be_bytes(*bytes)))
        };
        match number(&Self::tree("record")) {
            Some(rollout) => Place::Records(rollout),
            None if number(&Self::headers()).is_some() => Place::Header,
            None => Place::Other,
        }
    }

    pub(super) fn epoch() -> Self {
        Self::tree("meta").text("epoch")
    }

    pub(in crate::store) fn next_rollout() -> Self {
        Self::tree("meta").text("next-rollout")
    }

    pub(super) fn headers() -> Self {
        Self::tree("rollout")
    }

    pub(super) fn header(rollout: RolloutId) -> Self {
        Self::headers().number(rollout.0)
    }

    pub(super) fn records(rollout: RolloutId) -> Self {
        Self::tree("record").number(rollout.0)
    }

    /// Of the first record of an entry.
    pub(super) fn record(rollout: RolloutId, number: u64) -> Self {
        Self::records(rollout).number(number)
    }

    pub(super) fn active(service: &ServiceName) -> Self {
        Self::tree("active").text(service.as_str())
    }

    pub(super) fn reversals_due() -> Self {
        Self::tree("reversal-due")
    }

    pub(super) fn reversal_due(rollout: RolloutId) -> Self {
        Self::reversals_due().number(rollout.0)
    }

    pub(super) fn way_back(rollout: RolloutId) -> Self {
        Self::tree("way-back").number(rollout.0)
    }

    pub(super) fn releases() -> Self {
        Self::tree("release")
    }

    pub(super) fn release(release: ReleaseId) -> Self {
        Self::releases().number(release.0)
    }

    pub(super) fn bad_versions() -> Self {
        Self::tree("bad")
    }

    pub(super) fn bad_version(service: &ServiceName, version: &Version) -> Self {
        Self::bad_versions().text(service.as_str()).text(" ").text(version.as_str())
    }

    pub(super) fn all_dropped() -> Self {
        Self::tree("dropped")
    }

    pub(super) fn dropped(rollout: RolloutId) -> Self {
        Self::all_dropped().number(rollout.0)
    }

    pub(super) fn all_left() -> Self {
        Self::tree("left")
    }

    pub(super) fn left(service: &ServiceName) -> Self {
        Self::all_left().text(service.as_str())
    }

    pub(super) fn late_of(rollout: RolloutId) -> Self {
        Self::tree("late").number(rollout.0)
    }

    pub(super) fn late(host: &HostName, command: CommandId) -> Self {
        Self::late_of(command.rollout).number(command.number.into()).text(host.as_str())
    }

    pub(crate) fn hosts() -> Self {
        Self::tree("host")
    }

    pub(super) fn host(name: &HostName) -> Self {
        Self::hosts().text(name.as_str())
    }

    pub(super) fn operators() -> Self {
        Self::tree("operator")
    }

    pub(super) fn operator(name: &str) -> Self {
        Self::operators().text(name)
    }

    pub(super) fn tokens() -> Self {
        Self::tree("token")
    }

    pub(super) fn token(id: &str) -> Self {
        Self::tokens().text(id)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

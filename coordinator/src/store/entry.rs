//! What an entry of the store is, for those who look at it from outside.

use dv_types::{Record, RolloutId};

use super::{Header, Key, bundle, key::Place, value::decode};
use crate::ports::StoreError;

/// An entry that tells of a rollout, or another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A rollout.
    Header(Header),
    /// Records of a rollout's journal, one after the other.
    Records(RolloutId, Vec<Record>),
    /// Something else.
    Other,
}

impl Entry {
    /// Understands what is at `key`.
    pub fn read(key: &Key, value: &[u8]) -> Result<Self, StoreError> {
        Ok(match key.place() {
            Place::Header => Self::Header(decode(key, value)?),
            Place::Records(rollout) => Self::Records(rollout, bundle::records(key, value)?),
            Place::Other => Self::Other,
        })
    }
}

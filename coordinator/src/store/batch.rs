//! Writes that happen together or not at all.

use super::{Key, VALUE_LIMIT};
use crate::ports::StoreError;

/// One write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Where.
    pub key: Key,
    /// What, at most [`VALUE_LIMIT`] bytes; nothing deletes.
    pub value: Option<Vec<u8>>,
}

/// Writes that happen together, if what they expect holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// What must be there before: the value, or nothing.
    pub expected: Vec<(Key, Option<Vec<u8>>)>,
    /// What is written then.
    pub writes: Vec<Write>,
}

impl Batch {
    /// Only if `key` holds exactly `value`.
    #[must_use]
    pub fn expect(mut self, key: Key, value: Option<Vec<u8>>) -> Self {
        self.expected.push((key, value));
        self
    }

    /// Writes `value` to `key`.
    #[must_use]
    pub fn put(mut self, key: Key, value: Vec<u8>) -> Self {
        self.writes.push(Write { key, value: Some(value) });
        self
    }

    /// Writes `value` to `key`, only if nothing is there.
    #[must_use]
    pub fn create(self, key: Key, value: Vec<u8>) -> Self {
        self.expect(key.clone(), None).put(key, value)
    }

    /// Deletes what is at `key`.
    #[must_use]
    pub fn delete(mut self, key: Key) -> Self {
        self.writes.push(Write { key, value: None });
        self
    }

    /// Refuses values that are too large. Every store asks this before it writes anything.
    pub fn check(&self) -> Result<(), StoreError> {
        for write in &self.writes {
            let size = write.value.as_ref().map_or(0, Vec::len);
            if size > VALUE_LIMIT {
                return Err(StoreError::TooLarge {
                    key: write.key.clone(),
                    size,
                    limit: VALUE_LIMIT,
                });
            }
        }
        Ok(())
    }
}

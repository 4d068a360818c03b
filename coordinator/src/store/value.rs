//! How a value is written: a format number, then JSON.

use serde::{Serialize, de::DeserializeOwned};

use super::Key;
use crate::ports::StoreError;

/// The most that a value may be. Larger things are documents: sled leaks what it can't keep inline.
pub const LIMIT: usize = 16 * 1024;

/// The form that this version writes, and the only one so far.
const FORMAT: u8 = 1;

pub(super) fn encode<T: Serialize>(key: &Key, value: &T) -> Result<Vec<u8>, StoreError> {
    let mut bytes = vec![FORMAT];
    serde_json::to_writer(&mut bytes, value)
        .map_err(|why| StoreError::Failed(format!("{key} can't be written: {why}")))?;
    if bytes.len() > LIMIT {
        return Err(StoreError::TooLarge { key: key.clone(), size: bytes.len(), limit: LIMIT });
    }
    Ok(bytes)
}

pub(super) fn decode<T: DeserializeOwned>(key: &Key, bytes: &[u8]) -> Result<T, StoreError> {
    let damaged = |why: String| StoreError::Damaged { what: key.to_string(), why };
    match bytes.split_first() {
        Some((&FORMAT, json)) => {
            serde_json::from_slice(json).map_err(|why| damaged(why.to_string()))
        }
        Some((other, _)) => Err(damaged(format!(
            "it is of format {other}, and this version knows {FORMAT}: use the version that wrote it, or a newer one"
        ))),
        None => Err(damaged("it is empty".to_owned())),
    }
}

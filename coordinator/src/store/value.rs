//! How a value is written: a format number, then JSON.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::Key;
use crate::{ports::StoreError, text::shortened};

/// The most that a value may be. Larger things are documents: sled leaks what it can't keep inline.
pub const LIMIT: usize = 16 * 1024;

/// One thing.
const ONE: u8 = 1;
/// Several records of a journal.
pub(super) const RECORDS: u8 = 2;

/// Bytes to which texts are cut, one after the other. No name of a thing is as long as the last.
const CUTS: [usize; 4] = [2048, 1024, 512, 256];
/// Bytes for which one of a list stands.
const EACH: usize = 32;

pub(super) fn encode<T: Serialize>(key: &Key, value: &T) -> Result<Vec<u8>, StoreError> {
    let mut bytes = vec![ONE];
    serde_json::to_writer(&mut bytes, value)
        .map_err(|why| StoreError::Failed(format!("{key} can't be written: {why}")))?;
    if bytes.len() > LIMIT {
        return Err(StoreError::TooLarge { key: key.clone(), size: bytes.len(), limit: LIMIT });
    }
    Ok(bytes)
}

/// The same for what must be kept whatever it says: texts and lists lose their end until it fits. Whoever writes a value
/// keeps it small; where one was forgotten, the rollout that it is of goes on all the same.
pub(super) fn encode_cut<T: Serialize>(key: &Key, value: &T) -> Result<Vec<u8>, StoreError> {
    let refused = match encode(key, value) {
        Err(why @ StoreError::TooLarge { .. }) => why,
        written => return written,
    };
    for limit in CUTS {
        let mut json = serde_json::to_value(value).map_err(StoreError::failed)?;
        cut(&mut json, limit);
        if let Ok(bytes) = encode(key, &json) {
            tracing::error!("{refused}: its texts and lists are cut to {limit} bytes");
            return Ok(bytes);
        }
    }
    Err(refused)
}

fn cut(value: &mut Value, limit: usize) {
    match value {
        Value::String(text) => *text = shortened(std::mem::take(text), limit),
        Value::Array(all) => {
            if all.iter().all(Value::is_string) {
                all.truncate(limit / EACH);
            }
            all.iter_mut().for_each(|one| cut(one, limit));
        }
        Value::Object(fields) => fields.values_mut().for_each(|one| cut(one, limit)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

pub(super) fn decode<T: DeserializeOwned>(key: &Key, bytes: &[u8]) -> Result<T, StoreError> {
    decode_as(ONE, key, bytes)
}

pub(super) fn decode_as<T: DeserializeOwned>(
    format: u8,
    key: &Key,
    bytes: &[u8],
) -> Result<T, StoreError> {
    let damaged = |why: String| StoreError::Damaged { what: key.to_string(), why };
    match bytes.split_first() {
        Some((&found, json)) if found == format => {
            serde_json::from_slice(json).map_err(|why| damaged(why.to_string()))
        }
        Some((other, _)) => Err(damaged(format!(
            "it is of format {other}, and this version knows {format}: use the version that wrote it, or a newer one"
        ))),
        None => Err(damaged("it is empty".to_owned())),
    }
}

//! Records that were made together are kept together: an entry costs the store far more than what is in it.
//!
//! An entry of a journal is at the number of its first record, and holds that one and those after it. Earlier versions
//! kept each record in an entry of its own.

use dv_types::{Record, RolloutId};

use super::{
    Key,
    value::{LIMIT, RECORDS, decode, decode_as, encode_cut},
};
use crate::ports::StoreError;

/// Records in one entry, at most: whoever looks for the entry that holds a record looks no further back.
const MOST: u64 = 64;
/// A bundle grows no larger, in bytes; one record may. sled keeps up to 17 entries in a node, and what is larger than
/// 128 KiB in a file that it never deletes.
const FULL: usize = 4 * 1024;

/// The entries that keep these records, which follow each other.
pub(super) fn encode(id: RolloutId, records: &[Record]) -> Result<Vec<(Key, Vec<u8>)>, StoreError> {
    let mut entries: Vec<(Key, Vec<u8>)> = Vec::new();
    let (mut count, mut json) = (0, Vec::new());
    for record in records {
        let key = || Key::record(id, record.number);
        json.clear();
        serde_json::to_writer(&mut json, record)
            .map_err(|why| StoreError::Failed(format!("{} can't be written: {why}", key())))?;
        let last = entries.last_mut().map(|(_, bundle)| bundle);
        match last.filter(|last| count < MOST && last.len() + json.len() < FULL) {
            Some(bundle) => {
                count += 1;
                bundle.pop();
                bundle.push(b',');
                bundle.extend_from_slice(&json);
                bundle.push(b']');
            }
            None => {
                count = 1;
                let mut bundle = [&[RECORDS, b'['], &json[..], b"]"].concat();
                if bundle.len() > LIMIT {
                    // Alone, in the form of one thing.
                    count = MOST;
                    bundle = encode_cut(&key(), record)?;
                }
                entries.push((key(), bundle));
            }
        }
    }
    Ok(entries)
}

/// The records in an entry of a journal.
pub(super) fn records(key: &Key, value: &[u8]) -> Result<Vec<Record>, StoreError> {
    match value.first() {
        Some(&RECORDS) => decode_as(RECORDS, key, value),
        _ => decode(key, value).map(|record| vec![record]),
    }
}

/// Whoever reads on from this key finds every record after number `after`, and a few before it.
pub(super) fn start(id: RolloutId, after: u64) -> Key {
    Key::record(id, after.saturating_sub(MOST - 1))
}

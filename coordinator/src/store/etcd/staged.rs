//! How the writes of a large batch are put down until they are written out.

use super::Writes;
use crate::store::Key;

/// Bytes of one part, roughly: etcd takes requests of 1.5 MiB.
const PART: usize = 512 * 1024;

const DELETE: u8 = 0;
const PUT: u8 = 1;

/// The writes in parts.
pub(super) fn encode(writes: &Writes) -> Vec<Vec<u8>> {
    let mut parts = vec![Vec::new()];
    for (key, value) in writes {
        if parts.last().is_some_and(|part| part.len() >= PART) {
            parts.push(Vec::new());
        }
        if let Some(part) = parts.last_mut() {
            part.push(if value.is_some() { PUT } else { DELETE });
            text(part, key.as_bytes());
            text(part, value.as_deref().unwrap_or_default());
        }
    }
    parts
}

fn text(part: &mut Vec<u8>, bytes: &[u8]) {
    // A key or a value is never longer: see `VALUE_LIMIT`.
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    part.extend_from_slice(&length.to_be_bytes());
    part.extend_from_slice(bytes);
}

/// The writes of one part; nothing, if it is not one.
pub(super) fn decode(mut part: &[u8]) -> Option<Writes> {
    let mut writes = Writes::new();
    while let Some((kind, rest)) = part.split_first() {
        part = rest;
        let key = Key::from_bytes(take(&mut part)?);
        let value = take(&mut part)?;
        let value = match *kind {
            PUT => Some(value.to_vec()),
            DELETE => None,
            _ => return None,
        };
        writes.insert(key, value);
    }
    Some(writes)
}

fn take<'a>(part: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = part.split_first_chunk::<4>()?;
    let (bytes, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    *part = rest;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_come_back_from_their_parts() {
        let key = |n: u32| Key::from_bytes(&n.to_be_bytes());
        let value = |n: u32| (!n.is_multiple_of(3)).then(|| vec![0; 300 * (n as usize % 5)]);
        let writes: Writes = (0..5_000).map(|n| (key(n), value(n))).collect();
        let parts = encode(&writes);
        assert!(parts.len() > 1 && parts.iter().all(|part| part.len() < 2 * PART));
        let read: Writes = parts.iter().flat_map(|part| decode(part).unwrap()).collect();
        assert_eq!(read, writes);
        assert_eq!(decode(&parts[0][..parts[0].len() - 1]), None);
        assert_eq!(decode(&[7]), None);
    }
}

//! Chance, where it must not be guessed: nothing that is decided depends on it.

/// Random bytes for secrets, serials and names of temporary files.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::fill(&mut bytes);
    bytes
}

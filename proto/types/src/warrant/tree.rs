//! A Merkle tree over texts: one hash that stands for all of them, and a short proof for each.
//!
//! The last one of a level that has no neighbour goes up as it is. Leaves and inner nodes are hashed with different first
//! bytes, so that neither passes for the other.

use sha2::{Digest as _, Sha256};

use super::digest;
use crate::Digest;

type Hash = [u8; 32];

/// The tree, kept as its hashes.
#[derive(Debug, Clone)]
pub struct Tree {
    /// From the leaves up to the root.
    levels: Vec<Vec<Hash>>,
}

impl Tree {
    /// Over these leaves, in their order; there must be one.
    #[must_use]
    pub fn new<T: AsRef<str>>(leaves: impl IntoIterator<Item = T>) -> Self {
        let first: Vec<_> = leaves.into_iter().map(|text| leaf(text.as_ref())).collect();
        assert!(!first.is_empty(), "a tree has a leaf");
        let mut levels = vec![first];
        while let Some(last) = levels.last().filter(|level| level.len() > 1) {
            let pairs = last.chunks(2);
            let next = pairs.map(|pair| pair.get(1).map_or(pair[0], |right| node(pair[0], *right)));
            let next = next.collect();
            levels.push(next);
        }
        Self { levels }
    }

    /// Its root.
    #[must_use]
    pub fn root(&self) -> Digest {
        digest(self.levels[self.levels.len() - 1][0])
    }

    /// How many leaves it has.
    #[must_use]
    pub fn count(&self) -> u32 {
        u32::try_from(self.levels[0].len()).unwrap_or(u32::MAX)
    }

    /// What leads from a leaf to the root.
    #[must_use]
    pub fn path(&self, index: u32) -> Vec<Digest> {
        let levels = self.levels.iter().enumerate();
        let sibling = |(height, level): (usize, &Vec<Hash>)| {
            level.get((index as usize >> height) ^ 1).copied().map(digest)
        };
        levels.filter_map(sibling).collect()
    }
}

/// Whether `path` leads from the leaf at `index`, of `count`, to `root`.
pub(super) fn leads(text: &str, index: u32, count: u32, path: &[Digest], root: &Digest) -> bool {
    if index >= count {
        return false;
    }
    let (mut index, mut last) = (index, count - 1);
    let mut path = path.iter();
    let mut hash = leaf(text);
    while last > 0 {
        // The last one without a neighbour goes up as it is.
        if index != last || index % 2 == 1 {
            let Some(sibling) = path.next().and_then(bytes) else { return false };
            hash = if index % 2 == 1 { node(sibling, hash) } else { node(hash, sibling) };
        }
        (index, last) = (index / 2, last / 2);
    }
    path.next().is_none() && digest(hash) == *root
}

fn leaf(text: &str) -> Hash {
    Sha256::new().chain_update([0]).chain_update(text.as_bytes()).finalize().into()
}

fn node(left: Hash, right: Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

fn bytes(digest: &Digest) -> Option<Hash> {
    let hex = digest.as_str().strip_prefix("sha256:")?;
    let mut hash = [0; 32];
    for (byte, at) in hash.iter_mut().zip((0..hex.len()).step_by(2)) {
        *byte = u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()?;
    }
    Some(hash)
}

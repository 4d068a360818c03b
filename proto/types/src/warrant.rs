//! What an operator signs: small, so that one signature speaks for ten thousand hosts.
//!
//! ```text
//!  plan ──▶ a leaf for each host ──▶ root ──▶ warrant's text ──▶ signature
//! ```
//!
//! Texts are signed and hashed as they are; nobody writes them anew to verify them.

mod leaf;
mod tree;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub use leaf::{Back, Leaf, Undo};
pub use tree::Tree;

use crate::{Digest, ServiceName, Span, Timestamp, Version, plan::Kind};

/// The namespace of the signature (`ssh-keygen -Y sign -n`): a signature for anything else is none.
pub const NAMESPACE: &str = "dv-plan@v1";

/// What may be done, in the name of whom signed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Warrant {
    /// The form of this document.
    pub format: u32,
    /// The service.
    pub service: ServiceName,
    /// The version that goes out; in a reversal, the one that is taken back.
    pub version: Version,
    /// Why the plan was made.
    pub kind: Kind,
    /// The plan's hash.
    pub plan: String,
    /// When it was made, by the clock of whoever signed it. A host obeys none that is older than another it has obeyed.
    pub made: Timestamp,
    /// Nothing is begun before.
    pub not_before: Timestamp,
    /// Nothing is begun after; what takes back may be.
    pub not_after: Timestamp,
    /// Nothing is taken back after.
    pub back_until: Timestamp,
    /// How many leaves the tree has.
    pub hosts: u32,
    /// The root of the tree.
    pub root: Digest,
}

/// A warrant's text as it was signed, and the signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedWarrant {
    /// The [`Warrant`].
    pub text: String,
    /// What `ssh-keygen -Y sign` wrote: an armoured SSH signature.
    pub signature: String,
}

/// What one host is handed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostWarrant {
    /// The warrant.
    pub signed: SignedWarrant,
    /// The host's [`Leaf`], as it was hashed.
    pub leaf: String,
    /// Its place in the tree.
    pub index: u32,
    /// Hashes that lead from it to the root.
    pub path: Vec<Digest>,
}

/// A text is not the warrant, or the leaf, that it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidWarrant(String);

impl Warrant {
    /// The form that this version writes, and the only one that it reads.
    pub const FORMAT: u32 = 1;
    /// How far the clock of a host may be behind that of whoever signs.
    pub const EARLY: Span = Span::from_secs(5 * 60);

    /// The text that is signed.
    #[must_use]
    pub fn text(&self) -> String {
        serde_json::to_string(self).expect("a warrant is plain data")
    }

    /// Reads what was signed.
    ///
    /// # Errors
    ///
    /// When it is no warrant, or one of another form.
    pub fn read(text: &str) -> Result<Self, InvalidWarrant> {
        let warrant: Self = serde_json::from_str(text)
            .map_err(|why| InvalidWarrant(format!("it is no warrant: {why}")))?;
        match warrant.format {
            Self::FORMAT => Ok(warrant),
            other => Err(InvalidWarrant(format!(
                "its format is {other}, and only {} is known here",
                Self::FORMAT
            ))),
        }
    }
}

impl SignedWarrant {
    /// By what it is called: the hash of its text.
    #[must_use]
    pub fn id(&self) -> Digest {
        digest(Sha256::digest(self.text.as_bytes()).into())
    }
}

impl HostWarrant {
    /// The warrant and the leaf, if this leaf is in its tree. Who signed it is another question.
    ///
    /// # Errors
    ///
    /// When one of them can't be read, or the path does not lead from the leaf to the root.
    pub fn open(&self) -> Result<(Warrant, Leaf), InvalidWarrant> {
        let warrant = Warrant::read(&self.signed.text)?;
        if !tree::leads(&self.leaf, self.index, warrant.hosts, &self.path, &warrant.root) {
            return Err(InvalidWarrant("the leaf is not one of the warrant's".to_owned()));
        }
        let leaf = serde_json::from_str(&self.leaf)
            .map_err(|why| InvalidWarrant(format!("the leaf can't be read: {why}")))?;
        Ok((warrant, leaf))
    }
}

fn digest(hash: [u8; 32]) -> Digest {
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    Digest::new(format!("sha256:{hex}")).expect("a SHA-256 is a digest")
}

#[cfg(test)]
mod tests;

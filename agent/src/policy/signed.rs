//! Whose word counts on this host: with these keys in the policy, a command that none of them has signed is not obeyed.

use dv_types::{
    Span,
    warrant::{NAMESPACE, SignedWarrant},
};
use serde::Deserialize;
use ssh_key::{Algorithm, EcdsaCurve, HashAlg, PublicKey, SshSig};

use super::CommandPattern;

/// What every command on this host needs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    /// The keys that are trusted, as in a `.pub` file: `ssh-ed25519 AAAA… alice`. What stands last is the name of whom it belongs to.
    pub keys: Vec<Key>,
    /// A plan that was signed longer ago than this begins nothing any more.
    #[serde(default = "a_day")]
    pub max_age: Span,
    /// And takes nothing back any more, after this.
    #[serde(default = "a_week")]
    pub way_back: Span,
    /// Commands that may run without a signature, because they only answer questions: probes, and where the schema stands.
    #[serde(default)]
    pub ask: Vec<CommandPattern>,
}

/// A key that is trusted.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct Key(PublicKey);

impl TryFrom<String> for Key {
    type Error = String;

    fn try_from(line: String) -> Result<Self, String> {
        let key = PublicKey::from_openssh(line.trim()).map_err(|why| {
            format!("{line:?} is no public key, like `ssh-ed25519 AAAA… alice`: {why}")
        })?;
        match key.algorithm() {
            Algorithm::Ed25519
            | Algorithm::SkEd25519
            | Algorithm::SkEcdsaSha2NistP256
            | Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 } => Ok(Self(key)),
            other => Err(format!(
                "a key of the kind {other} can't be verified here; use one of ssh-keygen -t ed25519, ed25519-sk, ecdsa-sk \
                 or ecdsa -b 256"
            )),
        }
    }
}

impl Key {
    /// Whose it is.
    fn owner(&self) -> String {
        match self.0.comment().as_str_lossy().trim() {
            "" => self.0.fingerprint(HashAlg::Sha256).to_string(),
            name => name.to_owned(),
        }
    }
}

impl Signed {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.keys.is_empty() {
            return Err("signed.keys: without a key nobody can sign, and nothing would be obeyed"
                .to_owned());
        }
        if self.max_age == Span::ZERO || self.way_back < self.max_age {
            return Err(format!(
                "signed: what may be begun for {} must be able to go back for as long: way_back is {}",
                self.max_age, self.way_back
            ));
        }
        self.ask
            .iter()
            .try_for_each(|pattern| pattern.check().map_err(|why| format!("signed.ask: {why}")))
    }

    /// Who has signed a warrant; or why nobody has whose key is trusted.
    pub(crate) fn signer(&self, signed: &SignedWarrant) -> Result<String, String> {
        let signature = SshSig::from_pem(signed.signature.as_bytes())
            .map_err(|why| format!("its signature can't be read: {why}"))?;
        let by = signature.public_key();
        let key = self.keys.iter().find(|key| key.0.key_data() == by).ok_or_else(|| {
            format!(
                "it is signed with {}, which signed.keys does not list",
                by.fingerprint(HashAlg::Sha256)
            )
        })?;
        key.0
            .verify(NAMESPACE, signed.text.as_bytes(), &signature)
            .map_err(|_| format!("the signature is not {}'s for this text", key.owner()))?;
        if !was_touched(&signature) {
            return Err(format!(
                "{}'s hardware key has signed it without being touched",
                key.owner()
            ));
        }
        Ok(key.owner())
    }
}

/// Whether somebody was there; only hardware keys can tell.
fn was_touched(signature: &SshSig) -> bool {
    const PRESENT: u8 = 1;
    let hardware =
        matches!(signature.algorithm(), Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256);
    // The flags, and after them a counter of four bytes.
    let flags = signature.signature_bytes().iter().rev().nth(4);
    !hardware || flags.is_some_and(|flags| flags & PRESENT != 0)
}

fn a_day() -> Span {
    Span::from_secs(86_400)
}

fn a_week() -> Span {
    Span::from_secs(7 * 86_400)
}

#[cfg(test)]
mod tests;

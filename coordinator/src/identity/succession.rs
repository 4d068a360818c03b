//! One authority follows another. For a while both are trusted, so that nobody notices.
//!
//! ```text
//! rotate:  a new CA, which the old one signs too ──▶ it issues, both are trusted ──▶ hosts and operators renew
//! retire:  the old one is trusted no more
//! ```
//!
//! In the directory: `ca.pem` and `ca-key.pem` issue; `former.pem` is still trusted; `cross.pem` is `ca.pem` as the one
//! before signed it; `retired` has the pins of those that are trusted no more. `next.pem` is a rotation that was
//! decided and not finished: the next look finishes it.

use std::{collections::BTreeSet, fs, io, path::Path, sync::Arc};

use dv_types::Timestamp;
use rcgen::{KeyPair, PublicKeyData as _};

use super::{
    Authority, IdentityError,
    anchor::{Anchor, certificates, private_key},
    authority::{Former, Fresh, State},
};
use crate::files;

const WHAT: &str = "the CA";
/// Whether a rotation was not finished there.
pub(super) fn is_pending(directory: &Path) -> bool {
    directory.join("next.pem").exists()
}

/// Reads what is in `directory`.
pub(super) fn load(directory: &Path) -> Result<State, IdentityError> {
    finish(directory)?;
    let certificate = fs::read_to_string(directory.join("ca.pem"))?;
    let key = KeyPair::from_pem(&files::read_secret(&directory.join("ca-key.pem"))?)
        .map_err(|why| IdentityError::unusable(WHAT, why))?;
    let state = State::own(key, &certificate)?;
    let former = former(directory, &state.issuing)?;
    Ok(State { former, ..state })
}

/// What went before the CA that `issuing` is.
pub(super) fn former(directory: &Path, issuing: &Anchor) -> Result<Former, IdentityError> {
    let read = |name: &str| match fs::read_to_string(directory.join(name)) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        read => read,
    };
    let mut trusted = Anchor::read_all("a former CA", &read("former.pem")?)?;
    trusted.retain(|anchor| anchor.pin != issuing.pin);
    // One that is not of this CA is of a rotation that came to nothing.
    let cross = certificates(&read("cross.pem")?)
        .next()
        .filter(|pem| Anchor::read("the CA", pem).is_ok_and(|anchor| anchor.pin == issuing.pin));
    let retired = read("retired")?.lines().map(str::to_owned).collect();
    Ok(Former { trusted, cross, retired })
}

/// Puts the next CA into its place, if there is one.
fn finish(directory: &Path) -> Result<(), IdentityError> {
    let next = directory.join("next.pem");
    if !next.exists() {
        return Ok(());
    }
    let text = files::read_secret(&next)?;
    let certificate = Anchor::read("the new CA", &text)?.pem;
    let unusable = |why: &dyn std::fmt::Display| IdentityError::unusable("the new CA", why);
    let key = private_key(&text).ok_or_else(|| unusable(&"it has no key"))?;
    let key = KeyPair::from_pem(&key).map_err(|why| unusable(&why))?;
    files::write_durably(&directory.join("ca-key.pem"), key.serialize_pem().as_bytes())?;
    files::write_durably(&directory.join("ca.pem"), certificate.as_bytes())?;
    fs::remove_file(&next)?;
    Ok(files::sync_directory(directory)?)
}

impl Authority {
    /// Makes a new CA, which issues from now on. The old one is trusted until it is retired; its key is gone.
    pub fn rotate(&self, now: Timestamp) -> Result<(), IdentityError> {
        let old = self.state.load_full();
        let refuse = |why: &str| Err(IdentityError::Succession(why.to_owned()));
        if !old.former.trusted.is_empty() {
            return refuse(
                "there are two already: when nobody depends on the former one, `dvctl ca retire` ends it",
            );
        }
        if old.anchor.pin != old.issuing.pin {
            return refuse(
                "it comes from files (`authority` in coordinator.yaml): put others there",
            );
        }
        let fresh = Fresh::generate(now)?;
        let cross = fresh.signed_by(&old)?;
        let (key, certificate) = fresh.into_parts();
        if let Some(directory) = &self.directory {
            let write = |name: &str, text: &str| {
                files::write_durably(&directory.join(name), text.as_bytes())
            };
            write("cross.pem", &cross)?;
            write("former.pem", &old.anchor.pem)?;
            // From here on it is decided.
            write("next.pem", &format!("{certificate}{}", key.serialize_pem()))?;
            finish(directory)?;
        }
        let state = State::own(key, &certificate)?;
        let trusted = vec![old.anchor.clone()];
        let former = Former { trusted, cross: Some(cross), retired: old.former.retired.clone() };
        tracing::warn!(old = old.anchor.pin, new = state.anchor.pin, "a new certificate authority");
        self.state.store(Arc::new(State { former, ..state }));
        Ok(())
    }

    /// Trusts former CAs no more.
    pub fn retire(&self) -> Result<Vec<Anchor>, IdentityError> {
        let old = self.state.load_full();
        let gone = old.former.trusted.clone();
        if gone.is_empty() {
            let why = "there is no former one: `dvctl ca rotate` makes a new one first";
            return Err(IdentityError::Succession(why.to_owned()));
        }
        let pins = gone.iter().map(|anchor| anchor.pin.clone());
        let retired: BTreeSet<_> = pins.chain(old.former.retired.iter().cloned()).collect();
        let retired: Vec<_> = retired.into_iter().collect();
        if let Some(directory) = &self.directory {
            files::write_durably(&directory.join("retired"), retired.join("\n").as_bytes())?;
            for name in ["former.pem", "cross.pem"] {
                remove(&directory.join(name))?;
            }
            files::sync_directory(directory)?;
        }
        let key = KeyPair::from_pem(&old.issuer.key().serialize_pem())
            .map_err(|why| IdentityError::unusable(WHAT, why))?;
        let issuer = rcgen::Issuer::from_ca_cert_pem(&old.issuing.pem, key)
            .map_err(|why| IdentityError::unusable(WHAT, why))?;
        let former = Former { trusted: Vec::new(), cross: None, retired };
        let (issuing, anchor) = (old.issuing.clone(), old.anchor.clone());
        let state = State { issuer, issuing, anchor, between: old.between.clone(), former };
        tracing::warn!(pins = ?state.former.retired, "former certificate authorities are retired");
        self.state.store(Arc::new(state));
        Ok(gone)
    }
}

pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => Err(why),
        _ => Ok(()),
    }
}

/// Whether this is the key of that certificate.
pub(super) fn belong(key: &KeyPair, certificate: &Anchor) -> bool {
    use sha2::{Digest as _, Sha256};
    super::authority::hex(&Sha256::digest(key.subject_public_key_info())) == certificate.pin
}

//! Who this host is: a key that never leaves it, and a certificate that the coordinator gave it.

mod csr;
pub mod enrol;
mod pin;
pub(crate) mod renewal;
mod token;

use std::{fs, io, os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use dv_types::Timestamp;
use x509_parser::{extensions::GeneralName, pem::parse_x509_pem};

use crate::{adapter::disk::HostDisk, durable, ports::Disk};

/// `STATE_DIR/identity`
pub(crate) struct Identity {
    pub(crate) key: String,
    pub(crate) certificate: String,
    pub(crate) ca: String,
}

/// What is written in a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    /// The host's name.
    pub(crate) host: String,
    pub(crate) from: Timestamp,
    pub(crate) until: Timestamp,
}

/// The host can't show who it is.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IdentityError {
    #[error(
        "this host is not enrolled; get a token with `dvctl agent token` and run `dv-agent enrol`"
    )]
    NotEnrolled,
    #[error("the identity in {at} can't be read: {why}; enrol the host again")]
    Unreadable { at: String, why: String },
    #[error(
        "{key} can be read by others (mode {mode:04o}), so this host's identity may be known to somebody else: it is not \
         used. If nobody has seen it, run `chmod 600 {key}`; otherwise `dvctl hosts revoke` this host, and enrol it again"
    )]
    Exposed { key: String, mode: u32 },
}

impl Identity {
    /// Reads the identity.
    pub(crate) fn load(directory: &Path) -> Result<Self, IdentityError> {
        let read = |name: &str| {
            fs::read_to_string(directory.join(name)).map_err(|e| match e.kind() {
                io::ErrorKind::NotFound => IdentityError::NotEnrolled,
                _ => IdentityError::Unreadable {
                    at: directory.display().to_string(),
                    why: format!("{name}: {e}"),
                },
            })
        };
        // The certificate is written last: where it is, the others are.
        let certificate = read("certificate.pem")?;
        let identity = Self { certificate, key: read("key.pem")?, ca: read("ca.pem")? };
        match exposed(&directory.join("key.pem")) {
            Some(mode) => {
                let key = directory.join("key.pem").display().to_string();
                Err(IdentityError::Exposed { key, mode })
            }
            None => Ok(identity),
        }
    }

    /// Writes a whole new identity.
    pub(crate) fn save(&self, directory: &Path) -> io::Result<()> {
        HostDisk.private_directory(directory)?;
        durable::remove(&HostDisk, &directory.join("certificate.pem"))?;
        durable::write(&HostDisk, &directory.join("key.pem"), self.key.as_bytes(), 0o600)?;
        self.save_certificate(directory)
    }

    /// Writes a certificate for the key that is there. The key stays, so a power cut can't part the two.
    pub(crate) fn save_certificate(&self, directory: &Path) -> io::Result<()> {
        durable::write(&HostDisk, &directory.join("ca.pem"), self.ca.as_bytes(), 0o644)?;
        durable::write(
            &HostDisk,
            &directory.join("certificate.pem"),
            self.certificate.as_bytes(),
            0o644,
        )
    }

    /// What the certificate says.
    pub(crate) fn written(&self) -> Result<Written, String> {
        written(&self.certificate)
    }
}

/// The mode of a file that more than its owner may read or write.
fn exposed(file: &Path) -> Option<u32> {
    let mode = fs::metadata(file).ok()?.permissions().mode() & 0o7777;
    (mode & 0o077 != 0).then_some(mode)
}

impl Written {
    /// The moment from which on it should be renewed: between a half and two thirds of its life. Each certificate has
    /// its own, so that hosts which enrolled together don't come together.
    pub(crate) fn renew_from(&self) -> Timestamp {
        let life = self.until.duration_since(self.from);
        let fnv = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        let hash = self.host.bytes().chain(self.until.as_second().to_be_bytes());
        let part = f64::from(hash.fold(0x811c_9dc5, fnv)) / f64::from(u32::MAX);
        let wait = life.mul_f64(0.5 + part / 6.0);
        self.from.saturating_add(wait).unwrap_or(self.until)
    }

    /// How long to wait from `now` until it should be renewed.
    pub(crate) fn renew_in(&self, now: Timestamp) -> Duration {
        Duration::try_from(self.renew_from().duration_since(now)).unwrap_or_default()
    }
}

fn written(pem: &str) -> Result<Written, String> {
    let (_, pem) = parse_x509_pem(pem.as_bytes()).map_err(|e| e.to_string())?;
    let certificate = pem.parse_x509().map_err(|e| e.to_string())?;
    let names = certificate.subject_alternative_name().map_err(|e| e.to_string())?;
    let host = names
        .iter()
        .flat_map(|names| &names.value.general_names)
        .find_map(|name| match name {
            GeneralName::URI(uri) => uri.strip_prefix("spiffe://dv/host/"),
            _ => None,
        })
        .ok_or("it names no host")?
        .to_owned();
    let validity = certificate.validity();
    let moment = |t: i64| Timestamp::from_second(t).map_err(|e| e.to_string());
    Ok(Written {
        host,
        from: moment(validity.not_before.timestamp())?,
        until: moment(validity.not_after.timestamp())?,
    })
}

#[cfg(test)]
mod tests;

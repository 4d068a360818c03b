//! The certificate authority on its way from one coordinator to another: its certificate and its key, as one PEM text.

use std::{fs, io, os::unix::fs::MetadataExt as _, path::Path};

use rcgen::{Issuer, KeyPair, PublicKeyData as _};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::IdentityError;
use crate::files;

/// The authority in `directory`: its certificate, and its key. Who has this text can make certificates for anybody.
pub fn export(directory: &Path) -> Result<String, IdentityError> {
    let certificate = fs::read_to_string(directory.join("ca.pem"))?;
    let key = files::read_secret(&directory.join("ca-key.pem"))?;
    Ok(format!("{}\n{}\n", certificate.trim(), key.trim()))
}

/// Puts the authority that [`export`] wrote into `directory`, for whoever owns the folder around it. Whether there was
/// none before, or another one. Another one stays, unless it shall be replaced: what it has issued is worth nothing then.
pub fn import(directory: &Path, text: &str, replace: bool) -> Result<bool, IdentityError> {
    let what = "what was given";
    let unusable = |why: &dyn std::fmt::Display| IdentityError::unusable(what, why);
    let (certificate, key) = parts(text).ok_or_else(|| {
        unusable(
            &"it is not a certificate and its key, as `dv-coordinator identity export` writes them",
        )
    })?;
    let pair = KeyPair::from_pem(&key).map_err(|why| unusable(&why))?;
    let der =
        CertificateDer::from_pem_slice(certificate.as_bytes()).map_err(|why| unusable(&why))?;
    let (_, read) = X509Certificate::from_der(&der).map_err(|why| unusable(&why))?;
    if !read.is_ca() {
        return Err(unusable(&"the certificate is not that of an authority"));
    }
    if read.public_key().raw != pair.subject_public_key_info() {
        return Err(unusable(&"the key is not the certificate's"));
    }
    Issuer::from_ca_cert_pem(&certificate, pair).map_err(|why| unusable(&why))?;

    match export(directory) {
        Ok(there) if parts(&there) == Some((certificate.clone(), key.clone())) => return Ok(false),
        Ok(_) if !replace => {
            return Err(unusable(
                &"another authority is here already; with --replace it goes, and all that it has issued is worth nothing",
            ));
        }
        Ok(_) => {
            // What it issued for this coordinator itself.
            for file in [directory.join("server.pem"), operator_of(directory)] {
                match fs::remove_file(file) {
                    Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(why.into()),
                    _ => {}
                }
            }
        }
        Err(IdentityError::File(why)) if why.kind() == io::ErrorKind::NotFound => {}
        Err(why) => return Err(why),
    }
    files::private_directory(directory)?;
    let (key_file, certificate_file) = (directory.join("ca-key.pem"), directory.join("ca.pem"));
    files::write_durably(&key_file, key.as_bytes())?;
    files::write_durably(&certificate_file, certificate.as_bytes())?;
    let owner = fs::metadata(directory.parent().unwrap_or(directory))?;
    for path in [directory, &key_file, &certificate_file] {
        std::os::unix::fs::chown(path, Some(owner.uid()), Some(owner.gid()))?;
    }
    Ok(true)
}

/// The operator's context file of the coordinator whose identity is in `directory`.
fn operator_of(directory: &Path) -> std::path::PathBuf {
    directory.parent().unwrap_or(directory).join("operator/admin.yaml")
}

/// The certificate and the key in a text, each as it is written.
fn parts(text: &str) -> Option<(String, String)> {
    let part = |from: &str, to: &str| {
        let begin = text.find(from)?;
        let end = begin + text[begin..].find(to)? + to.len();
        Some(format!("{}\n", &text[begin..end]))
    };
    Some((
        part("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----")?,
        part("-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----")?,
    ))
}

#[cfg(test)]
mod tests {
    use dv_types::Timestamp;

    use super::*;
    use crate::identity::Authority;

    #[test]
    fn an_authority_is_brought_from_one_coordinator_to_another() {
        let place = tempfile::tempdir().unwrap();
        let [one, two] = ["one", "two"].map(|name| place.path().join(name).join("identity"));
        let now = Timestamp::UNIX_EPOCH;
        let first = Authority::open(&one, now).unwrap();
        let text = export(&one).unwrap();
        assert!(import(&two, &text, false).unwrap());
        assert!(!import(&two, &text, false).unwrap(), "it is there already");
        let second = Authority::open(&two, now).unwrap();
        assert_eq!((second.pin(), second.certificate()), (first.pin(), first.certificate()));

        let three = place.path().join("three/identity");
        let other = Authority::open(&three, now).unwrap();
        let refused = import(&three, &text, false).unwrap_err().to_string();
        assert!(refused.contains("--replace"), "{refused}");
        assert_eq!(Authority::open(&three, now).unwrap().pin(), other.pin());
        assert!(import(&three, &text, true).unwrap());
        assert_eq!(Authority::open(&three, now).unwrap().pin(), first.pin());
    }

    #[test]
    fn what_is_no_authority_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let [one, two] = ["one", "two"].map(|name| place.path().join(name));
        let now = Timestamp::UNIX_EPOCH;
        let authority = Authority::open(&one, now).unwrap();
        Authority::open(&two, now).unwrap();
        let (mine, theirs) = (export(&one).unwrap(), export(&two).unwrap());
        let (leaf, leaf_key) = authority.issue_operator("eve", now).unwrap();
        let mixed = format!("{}{}", parts(&mine).unwrap().0, parts(&theirs).unwrap().1);
        let three = place.path().join("three");
        for text in ["", "hello", &mine[..200], &mixed, &format!("{}{leaf_key}", leaf.certificate)]
        {
            assert!(import(&three, text, true).is_err(), "{text}");
        }
        assert!(!three.exists());
    }
}

//! The certificate authority on its way from one coordinator to another: its certificate and its key, and what went
//! before it, as one text.

use std::{fs, io, os::unix::fs::MetadataExt as _, path::Path};

use dv_types::Timestamp;
use rcgen::{Issuer, KeyPair};

use super::{
    Authority, IdentityError,
    anchor::{Anchor, certificates, private_key},
    succession::{self, belong},
};
use crate::files;

const RETIRED: &str = "retired ";

/// What a text of [`export`] holds.
#[derive(Debug, PartialEq, Eq)]
struct Carried {
    certificate: String,
    key: String,
    former: String,
    cross: String,
    retired: Vec<String>,
}

/// The authority in `directory`: its certificate, its key, and the former ones that are still known. Who has this text can
/// make certificates for anybody.
pub fn export(directory: &Path) -> Result<String, IdentityError> {
    let certificate = fs::read_to_string(directory.join("ca.pem"))?;
    let key = files::read_secret(&directory.join("ca-key.pem"))?;
    let former = succession::former(directory, &Anchor::read("the CA", &certificate)?)?;
    let mut text = format!("{}\n{}\n", certificate.trim(), key.trim());
    text.extend(former.trusted.iter().map(|anchor| anchor.pem.as_str()));
    text.extend(former.cross);
    text.extend(former.retired.iter().map(|pin| format!("{RETIRED}{pin}\n")));
    Ok(text)
}

/// Puts the authority that [`export`] wrote into `directory`, for whoever owns the folder around it. Whether there was
/// none before, or another one. One that the new one has followed gives way; any other stays, unless it shall be
/// replaced: what it has issued is worth nothing then.
pub fn import(directory: &Path, text: &str, replace: bool) -> Result<bool, IdentityError> {
    let what = "what was given";
    let unusable = |why: &dyn std::fmt::Display| IdentityError::unusable(what, why);
    let carried = parts(text)?.ok_or_else(|| {
        unusable(
            &"it is not a certificate and its key, as `dv-coordinator identity export` writes them",
        )
    })?;
    let pair = KeyPair::from_pem(&carried.key).map_err(|why| unusable(&why))?;
    let read = Anchor::read(what, &carried.certificate)?;
    if !belong(&pair, &read) {
        return Err(unusable(&"the key is not the certificate's"));
    }
    Issuer::from_ca_cert_pem(&carried.certificate, pair).map_err(|why| unusable(&why))?;

    let there = match export(directory) {
        Ok(there) => parts(&there)?,
        Err(IdentityError::File(why)) if why.kind() == io::ErrorKind::NotFound => None,
        Err(why) => return Err(why),
    };
    if let Some(there) = there {
        let here = Anchor::read("the CA", &there.certificate)?;
        let mut before = Anchor::read_all(what, &carried.former)?.into_iter();
        let is_followed = here.pin == read.pin
            || before.any(|former| former.pin == here.pin)
            || carried.retired.contains(&here.pin);
        if there == carried {
            return Ok(false);
        }
        if !is_followed && !replace {
            return Err(unusable(
                &"another authority is here already; with --replace it goes, and all that it has issued is worth nothing",
            ));
        }
        if !is_followed {
            // What it issued for this coordinator itself.
            for file in [directory.join("server.pem"), operator_of(directory)] {
                succession::remove(&file)?;
            }
        }
    }
    write(directory, &carried)?;
    Ok(true)
}

/// Makes a new authority in `directory`, for whoever owns the folder around it: it issues from the next start on.
pub fn rotate(directory: &Path, now: Timestamp) -> Result<(), IdentityError> {
    if !Authority::is_in(directory) {
        return Err(IdentityError::Succession(
            "there is none yet: start the coordinator once".to_owned(),
        ));
    }
    Authority::open(directory, now)?.rotate(now)?;
    let carried = parts(&export(directory)?)?;
    let lost = || IdentityError::unusable("the new CA", "it can't be read back");
    // Once more, for the files' owner.
    write(directory, &carried.ok_or_else(lost)?)
}

fn write(directory: &Path, carried: &Carried) -> Result<(), IdentityError> {
    files::private_directory(directory)?;
    let retired = carried.retired.join("\n");
    let mut written = vec![directory.to_owned()];
    // The certificate comes last: it says that the others are there.
    for (name, content) in [
        ("former.pem", &carried.former),
        ("cross.pem", &carried.cross),
        ("retired", &retired),
        ("ca-key.pem", &carried.key),
        ("ca.pem", &carried.certificate),
    ] {
        let path = directory.join(name);
        if content.is_empty() {
            succession::remove(&path)?;
        } else {
            files::write_durably(&path, content.as_bytes())?;
            written.push(path);
        }
    }
    files::sync_directory(directory)?;
    let owner = fs::metadata(directory.parent().unwrap_or(directory))?;
    for path in &written {
        std::os::unix::fs::chown(path, Some(owner.uid()), Some(owner.gid()))?;
    }
    Ok(())
}

/// The operator's context file of the coordinator whose identity is in `directory`.
fn operator_of(directory: &Path) -> std::path::PathBuf {
    directory.parent().unwrap_or(directory).join("operator/admin.yaml")
}

/// What is in a text, each part as it is written.
fn parts(text: &str) -> Result<Option<Carried>, IdentityError> {
    let mut all = certificates(text);
    let (Some(certificate), Some(key)) = (all.next(), private_key(text)) else { return Ok(None) };
    let pin = Anchor::read("what was given", &certificate)?.pin;
    let (mut former, mut cross) = (String::new(), String::new());
    for pem in all {
        let is_cross = Anchor::read("what was given", &pem)?.pin == pin;
        if is_cross { &mut cross } else { &mut former }.push_str(&pem);
    }
    let retired = text.lines().filter_map(|line| line.strip_prefix(RETIRED)).map(str::to_owned);
    Ok(Some(Carried { certificate, key, former, cross, retired: retired.collect() }))
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!((second.pin(), second.bundle()), (first.pin(), first.bundle()));

        let three = place.path().join("three/identity");
        let other = Authority::open(&three, now).unwrap();
        let refused = import(&three, &text, false).unwrap_err().to_string();
        assert!(refused.contains("--replace"), "{refused}");
        assert_eq!(Authority::open(&three, now).unwrap().pin(), other.pin());
        assert!(import(&three, &text, true).unwrap());
        assert_eq!(Authority::open(&three, now).unwrap().pin(), first.pin());
    }

    #[test]
    fn one_that_followed_another_takes_its_place() {
        let place = tempfile::tempdir().unwrap();
        let [one, two] = ["one", "two"].map(|name| place.path().join(name).join("identity"));
        let now = Timestamp::UNIX_EPOCH;
        let first = Authority::open(&one, now).unwrap();
        let old = first.pin();
        import(&two, &export(&one).unwrap(), false).unwrap();
        let before = export(&one).unwrap();
        first.rotate(now).unwrap();
        assert!(import(&two, &export(&one).unwrap(), false).unwrap());
        let second = Authority::open(&two, now).unwrap();
        assert_eq!((second.pin(), second.bundle()), (first.pin(), first.bundle()));
        assert_eq!((second.chain(), second.lineage()), (first.chain(), first.lineage()));

        // And not the other way round.
        let refused = import(&two, &before, false).unwrap_err().to_string();
        assert!(refused.contains("--replace"), "{refused}");

        first.retire().unwrap();
        assert!(import(&two, &export(&one).unwrap(), false).unwrap());
        let third = Authority::open(&two, now).unwrap();
        assert_eq!(third.trusted(), first.trusted());
        assert_eq!(third.lineage(), [first.pin(), old]);
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
        let parts = |text: &str| parts(text).unwrap().unwrap();
        let mixed = format!("{}{}", parts(&mine).certificate, parts(&theirs).key);
        let three = place.path().join("three");
        for text in ["", "hello", &mine[..200], &mixed, &format!("{}{leaf_key}", leaf.certificate)]
        {
            assert!(import(&three, text, true).is_err(), "{text}");
        }
        assert!(!three.exists());
    }
}

//! Whether a secret can be used. What it is, nobody is told.

use std::{fs, io, os::unix::fs::MetadataExt, path::Path};

use dv_types::Finding;

use crate::ask::ask;

/// Whether the file of the secret `name` is there, and nobody's but its owner's: root's, or the agent's own
/// user's where it is `unprivileged`.
pub(super) async fn look(name: &str, file: &Path, unprivileged: bool) -> Result<Finding, String> {
    let shown = file.display();
    let path = file.to_owned();
    let metadata = match ask(file, move || fs::metadata(path)).await? {
        Ok(metadata) => metadata,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return Ok(Finding::NotFound(format!(
                "there is no {shown}, which the policy names for the secret {name}; write the secret into it, \
                 and see that only its owner can read it (chmod 600)"
            )));
        }
        Err(e) => return Err(format!("can't look at {shown}, the file of the secret {name}: {e}")),
    };
    let bad = |why: String| Err(format!("{shown}, the file of the secret {name}, {why}"));
    if !metadata.is_file() {
        return bad("is not a regular file".to_owned());
    }
    let (owner, own) = (metadata.uid(), rustix::process::geteuid().as_raw());
    if owner != 0 && !(unprivileged && owner == own) {
        return bad(format!("belongs to user {owner}, not to root (chown root it)"));
    }
    if metadata.mode() & 0o077 != 0 {
        let mode = metadata.mode() & 0o7777;
        return bad(format!(
            "has mode {mode:o}, which lets others than its owner at it (chmod 600 it)"
        ));
    }
    Ok(Finding::Allowed)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[tokio::test]
    async fn a_secret_is_its_owners_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("password");
        let missing = look("login", &file, true).await;
        assert!(matches!(missing, Ok(Finding::NotFound(why)) if why.contains("chmod 600")));
        fs::write(&file, "correct horse").unwrap();
        for (mode, good) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false)] {
            fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
            let found = look("login", &file, true).await;
            assert_eq!(found == Ok(Finding::Allowed), good, "{mode:o}: {found:?}");
            if let Err(why) = found {
                assert!(why.contains("chmod 600") && !why.contains("horse"), "{why}");
            }
        }
        assert!(look("login", dir.path(), true).await.unwrap_err().contains("not a regular file"));
    }

    #[tokio::test]
    async fn a_privileged_agent_believes_in_roots_files_only() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let root = rustix::process::geteuid().is_root();
        if root {
            std::os::unix::fs::chown(file.path(), Some(4711), None).unwrap();
        }
        for unprivileged in [false, root] {
            let why = look("login", file.path(), unprivileged).await.unwrap_err();
            assert!(why.contains("chown root"), "{why}");
        }
    }
}

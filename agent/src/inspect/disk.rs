//! How much room there is on a file system.

use std::{io, path::Path};

use dv_types::Finding;

use crate::ask::ask;

/// The free bytes for those who are not root.
pub(super) async fn free(path: &str) -> Result<Finding, String> {
    let owned = path.to_owned();
    match ask(Path::new(path), move || rustix::fs::statvfs(&*owned)).await? {
        Ok(is) => Ok(Finding::Disk { free: is.f_bavail.saturating_mul(is.f_frsize) }),
        Err(rustix::io::Errno::NOENT) => Ok(Finding::NotFound(format!("there is no {path}"))),
        Err(e) => {
            Err(format!("can't tell how much room there is at {path}: {}", io::Error::from(e)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn room_is_what_users_may_fill() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_str().unwrap();
        let Ok(Finding::Disk { free }) = free(path).await else {
            panic!("a temporary directory has a file system");
        };
        let df = std::process::Command::new("df").args(["-B1", "--output=avail", path]).output();
        let text = String::from_utf8(df.unwrap().stdout).unwrap();
        let expected: u64 = text.lines().nth(1).unwrap().trim().parse().unwrap();
        // Others write meanwhile.
        assert!(free.abs_diff(expected) < 1 << 30, "{free} {expected}");
    }

    #[tokio::test]
    async fn a_path_that_is_not_there_is_not_found() {
        let found = free("/nowhere").await;
        assert!(matches!(found, Ok(Finding::NotFound(why)) if why.contains("/nowhere")));
    }
}

//! How much room there is on a file system.

use std::{io, sync::Arc};

use dv_types::Finding;
use tokio::sync::Semaphore;

/// A network file system that is gone holds whoever asks it for ever; no more helper threads than these are
/// lent to it.
const THREADS: usize = 4;

/// Who may ask a file system.
pub(crate) struct Askers(Arc<Semaphore>);

impl Default for Askers {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(THREADS)))
    }
}

/// The free bytes for those who are not root.
pub(super) async fn free(askers: &Askers, path: &str) -> Result<Finding, String> {
    let Ok(asker) = Arc::clone(&askers.0).acquire_owned().await else {
        return Err("the agent ends".to_owned());
    };
    let owned = path.to_owned();
    let asked = tokio::task::spawn_blocking(move || {
        let answer = rustix::fs::statvfs(&*owned);
        drop(asker);
        answer
    });
    match asked.await.map_err(|panic| format!("the agent has a fault: {panic}"))? {
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
        let Ok(Finding::Disk { free }) = free(&Askers::default(), path).await else {
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
        let found = free(&Askers::default(), "/nowhere").await;
        assert!(matches!(found, Ok(Finding::NotFound(why)) if why.contains("/nowhere")));
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_hang_hold_no_further_threads() {
        let askers = Askers::default();
        let _hanging = Arc::clone(&askers.0).acquire_many_owned(THREADS as u32).await.unwrap();
        let limit = std::time::Duration::from_secs(12);
        assert!(tokio::time::timeout(limit, free(&askers, "/")).await.is_err());
    }
}

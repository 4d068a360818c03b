//! What sled says is flushed must be on the disk. Its `flush` relies on `sync_file_range`, which writes neither the
//! file's length nor the disk's own cache, so that a power cut takes acknowledged records back (spacejam/sled#1452).
//! Where that call is missing, sled uses fsync; so it is made to be missing, by a filter of the kernel's.
//!
//! The filter holds for the whole process: sled writes in threads of its own, and what starts one may be any thread
//! that reads.

use std::{
    collections::BTreeMap, env, fs::OpenOptions, io, num::NonZeroU64, path::Path, sync::OnceLock,
};

use rustix::fs::{Advice, fadvise};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

/// An advice for this place in a file is answered by the same filter. Nobody else gives such advice, so an answer
/// that the call is missing shows that the filter holds.
const PROBE: u64 = 0x6476_5f70_726f_6265;

/// How what sled has flushed gets to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cure {
    /// sled uses fsync.
    Fsync,
    /// It can't be made to: its file is synced after each flush.
    SyncAfterFlush,
}

/// Cures this process, and says how. `scratch` is a directory for a moment's file.
pub(super) fn cure(scratch: &Path) -> Cure {
    static CURE: OnceLock<Cure> = OnceLock::new();
    *CURE.get_or_init(|| match install().and_then(|()| holds(scratch)) {
        Ok(()) => Cure::Fsync,
        Err(why) => {
            tracing::warn!(
                %why,
                "sync_file_range can't be taken from sled, so its file is synced after each flush: that is slower, and a \
                 power cut may cost more than in the ordinary way"
            );
            Cure::SyncAfterFlush
        }
    })
}

/// For every thread there is, and every one to come.
fn install() -> Result<(), String> {
    seccompiler::apply_filter_all_threads(&filter(libc::ENOSYS).map_err(|why| why.to_string())?)
        .map_err(|why| why.to_string())
}

fn filter(answer: i32) -> Result<BpfProgram, seccompiler::BackendError> {
    let probe = SeccompCondition::new(1, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, PROBE)?;
    let missing = BTreeMap::from([
        (libc::SYS_sync_file_range, Vec::new()),
        (libc::SYS_fadvise64, vec![SeccompRule::new(vec![probe])?]),
    ]);
    SeccompFilter::new(
        missing,
        SeccompAction::Allow,
        SeccompAction::Errno(answer.cast_unsigned()),
        env::consts::ARCH.try_into()?,
    )?
    .try_into()
}

/// The self-test.
fn holds(scratch: &Path) -> Result<(), String> {
    let path = scratch.join("filter.test");
    let why = |why: io::Error| format!("{}: {why}", path.display());
    let file =
        OpenOptions::new().write(true).create(true).truncate(true).open(&path).map_err(why)?;
    let advised = fadvise(&file, PROBE, NonZeroU64::new(1), Advice::Normal);
    std::fs::remove_file(&path).map_err(why)?;
    match advised {
        Err(rustix::io::Errno::NOSYS) => Ok(()),
        other => Err(format!("the kernel took the filter, and does not follow it ({other:?})")),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// In a process of its own: every thread of it gets another answer than sled can live with.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "that is how it knows that it is alone")]
    fn the_filter_is_what_sled_meets() {
        const ALONE: &str = "DV_TEST_ALONE";
        if env::var_os(ALONE).is_none() {
            let name = "store::sled::cure::tests::the_filter_is_what_sled_meets";
            let mut alone = Command::new(env::current_exe().unwrap());
            let output = alone.args(["--exact", name]).env(ALONE, "1").output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success() && said.contains("1 passed"), "{output:?}");
            return;
        }
        seccompiler::apply_filter_all_threads(&filter(libc::EDOM).unwrap()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let open = || {
            let db = sled::open(directory.path()).map_err(|why| why.to_string())?;
            db.insert("a", "b").map_err(|why| why.to_string())?;
            db.flush().map_err(|why| why.to_string())
        };
        let why = open().unwrap_err();
        assert!(why.contains("Numerical argument out of domain"), "{why}");
    }

    #[test]
    fn this_process_is_cured() {
        let directory = tempfile::tempdir().unwrap();
        assert!(holds(directory.path()).is_err(), "without the filter, the probe is answered");
        assert_eq!(cure(directory.path()), Cure::Fsync);
        std::thread::spawn(move || holds(directory.path()).unwrap()).join().unwrap();
    }
}

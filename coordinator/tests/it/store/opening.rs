//! How the sled store is opened: never as if nothing had been there.

use std::{fs, io, path::Path};

use dv_coordinator::{
    ports::Store as _,
    store::{Batch, DEFAULT_FLOOR, Key, OpenError, SledStore},
};

use crate::support::eventually;

fn open(state_dir: &Path) -> Result<SledStore, OpenError> {
    SledStore::open(state_dir, DEFAULT_FLOOR)
}

fn key(n: u32) -> Key {
    Key::from_bytes(format!("k/{n}").as_bytes())
}

/// Opens the store, writes one entry more, and closes it.
async fn write(state_dir: &Path, n: u32) {
    let store = open(state_dir).unwrap();
    store.commit(Batch::default().put(key(n), b"1".to_vec())).await.unwrap();
}

async fn count(state_dir: &Path) -> usize {
    let store = open(state_dir).unwrap();
    store.scan(Key::from_bytes(b"k/"), None, 1_000).await.unwrap().len()
}

/// The number of the next rollout, as it is stored.
async fn next_rollout(state_dir: &Path) -> Option<String> {
    let next = open(state_dir).unwrap().get(Key::from_bytes(b"meta/next-rollout")).await.unwrap();
    next.map(|next| String::from_utf8_lossy(&next).into_owned())
}

/// As `cp -a` does it: a store that runs may rename a new file in the middle.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (name, target) = (entry.file_name(), to.join(entry.file_name()));
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else if let Err(why) = fs::copy(entry.path(), target) {
            let renamed =
                why.kind() == io::ErrorKind::NotFound && name.to_string_lossy().ends_with(".new");
            assert!(renamed, "{}: {why}", entry.path().display());
        }
    }
}

#[tokio::test]
async fn a_store_that_is_empty_and_should_not_be_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path();
    write(state, 0).await;
    fs::rename(state.join("store"), state.join("taken away")).unwrap();
    for _ in 0..2 {
        let why = open(state).unwrap_err().to_string();
        assert!(why.contains("it is empty, and was at revision 1"), "{why}");
        assert!(why.contains("dv-coordinator restore") && why.contains("store.mark"), "{why}");
    }
    fs::remove_dir_all(state.join("store")).unwrap();
    fs::rename(state.join("taken away"), state.join("store")).unwrap();
    assert_eq!(count(state).await, 1);
}

#[tokio::test]
async fn a_store_that_has_forgotten_something_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path();
    write(state, 0).await;
    copy(&state.join("store"), &state.join("older"));
    write(state, 1).await;
    fs::remove_dir_all(state.join("store")).unwrap();
    fs::rename(state.join("older"), state.join("store")).unwrap();
    let why = open(state).unwrap_err().to_string();
    assert!(why.contains("it is at revision 1 and was at 2"), "{why}");
    // Who knows what that means says so. What was done since has numbers that agents may remember.
    fs::remove_file(state.join("store.mark")).unwrap();
    assert_eq!(count(state).await, 1);
    let next = next_rollout(state).await.unwrap();
    assert!(next.contains("1001"), "{next}");
    assert_eq!(next_rollout(state).await, Some(next));
}

/// What was acknowledged is noted beside the store soon, although nobody has closed it.
#[tokio::test]
async fn after_a_kill_too_an_older_store_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("0");
    write(&state, 0).await;
    copy(&state.join("store"), &state.join("older"));
    let store = open(&state).unwrap();
    for n in 1..=3 {
        store.commit(Batch::default().put(key(n), b"1".to_vec())).await.unwrap();
    }
    let noted = async || {
        let mark = fs::read_to_string(state.join("store.mark")).unwrap();
        mark.contains("\"revision\":4").then_some(())
    };
    eventually("it is noted", noted).await;
    // As `kill -9` leaves it.
    let killed = directory.path().join("1");
    copy(&state, &killed);
    drop(store);
    fs::remove_dir_all(killed.join("store")).unwrap();
    fs::rename(killed.join("older"), killed.join("store")).unwrap();
    let why = open(&killed).unwrap_err().to_string();
    assert!(why.contains("it is at revision 1 and was at 4"), "{why}");
}

#[tokio::test]
async fn another_store_is_refused() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(one.path(), 0).await;
    write(two.path(), 0).await;
    fs::remove_dir_all(one.path().join("store")).unwrap();
    copy(&two.path().join("store"), &one.path().join("store"));
    let why = open(one.path()).unwrap_err().to_string();
    assert!(why.contains("it is another one"), "{why}");
}

#[tokio::test]
async fn one_program_has_a_state_directory_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let _first = open(directory.path()).unwrap();
    let why = open(directory.path()).unwrap_err().to_string();
    assert!(why.contains("a coordinator is running there"), "{why}");
}

/// A state directory that is copied while its store is open looks as after `kill -9`.
#[tokio::test]
async fn what_nobody_closed_is_copied_before_it_is_opened_and_two_copies_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let names = |state: &Path| {
        let found = fs::read_dir(state.join("copies")).map(Iterator::count);
        found.unwrap_or_default()
    };
    let mut state = directory.path().join("0");
    write(&state, 0).await;
    for n in 1..=3 {
        let store = open(&state).unwrap();
        store.commit(Batch::default().put(key(n), b"1".to_vec())).await.unwrap();
        let next = directory.path().join(n.to_string());
        copy(&state, &next);
        drop(store);
        state = next;
        assert_eq!(count(&state).await, n as usize + 1);
        assert_eq!(names(&state), 2.min(n as usize));
    }
    let last = fs::read_dir(state.join("copies")).unwrap().map(|copy| copy.unwrap().path()).max();
    let restored = directory.path().join("restored");
    copy(&last.unwrap(), &restored.join("store"));
    assert_eq!(count(&restored).await, 4);
    // Closed in order, it is not copied.
    assert_eq!((count(&state).await, names(&state)), (4, 2));
}

#[tokio::test]
async fn damaged_files_are_refused_in_words() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    for n in 0..50 {
        write(&state, n).await;
    }
    // Zeroes, nonsense, and what is left of a file that was cut short.
    let length = fs::metadata(state.join("store").join("db")).unwrap().len() as usize;
    for (n, rest) in [vec![0; length], vec![0x55; length], Vec::new()].into_iter().enumerate() {
        let damaged = directory.path().join(n.to_string());
        copy(&state, &damaged);
        fs::write(damaged.join("store").join("db"), rest).unwrap();
        let why = open(&damaged).unwrap_err().to_string();
        assert!(why.contains("dv-coordinator restore"), "{why}");
    }
    assert_eq!(count(&state).await, 50);
}

#[tokio::test]
async fn a_switch_that_was_interrupted_is_ended() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path();
    write(state, 0).await;
    // The old one is out of the way, and the new one not in its place yet.
    fs::rename(state.join("store"), state.join("store.old")).unwrap();
    fs::create_dir(state.join("store.new")).unwrap();
    assert_eq!(count(state).await, 1);
    // The new one is in its place, and the old one still there.
    copy(&state.join("store"), &state.join("store.old"));
    write(state, 1).await;
    assert_eq!(count(state).await, 2);
    assert!(!state.join("store.old").exists() && !state.join("store.new").exists());
}

#[tokio::test]
async fn a_store_much_larger_than_its_content_is_written_anew() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path();
    write(state, 0).await;
    {
        // What is deleted leaves its place behind, if it was large.
        let db = sled::open(state.join("store")).unwrap();
        for n in 0..80_u8 {
            db.insert("large", vec![n; 1 << 20]).unwrap();
            db.flush().unwrap();
        }
        db.remove("large").unwrap();
    }
    let size = |state: &Path| {
        let files = |path: &Path| -> u64 {
            fs::read_dir(path).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).sum()
        };
        files(&state.join("store")) + files(&state.join("store").join("blobs"))
    };
    assert!(size(state) > 64 << 20, "{}", size(state));
    assert_eq!(count(state).await, 1);
    assert!(size(state) < 8 << 20, "{}", size(state));
    write(state, 1).await;
    assert_eq!(count(state).await, 2);
}

#[tokio::test]
async fn it_says_when_room_is_short() {
    let directory = tempfile::tempdir().unwrap();
    let store = SledStore::open(directory.path(), u64::MAX).unwrap();
    let short = store.shortage().await.unwrap().unwrap().to_string();
    assert!(short.contains("nearly full") && short.contains("make room"), "{short}");
    // What is under way is kept all the same.
    store.commit(Batch::default().put(key(0), b"1".to_vec())).await.unwrap();
}

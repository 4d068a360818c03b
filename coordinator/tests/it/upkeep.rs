//! `dv-coordinator backup`, `restore` and `check`, as a person types them.

use std::{
    fs,
    io::BufReader,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use dv_coordinator::{
    clock::ManualClock,
    exports,
    ports::Store as _,
    store::{Batch, DEFAULT_FLOOR, HostRecord, Journal, Key, MemoryStore, SledStore, check_backup},
};
use dv_types::{Span, Timestamp};

use super::program::{config, end, ready};

/// What it exits with, and what it says.
fn run(directory: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let file = directory.join("coordinator.yaml");
    fs::write(&file, config(directory)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_dv-coordinator"));
    command.args(arguments).arg("--config").arg(file).env_remove("JOURNAL_STREAM");
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

/// What works, and what it says.
fn works(directory: &Path, arguments: &[&str]) -> String {
    let (code, said) = run(directory, arguments);
    assert_eq!(code, Some(0), "{arguments:?}: {said}");
    said
}

/// What is refused, and what it says.
fn fails(directory: &Path, arguments: &[&str]) -> String {
    let (code, said) = run(directory, arguments);
    assert_eq!(code, Some(1), "{arguments:?}: {said}");
    said
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A coordinator has been here, and keeps a document that nobody names.
async fn lived_in() -> (tempfile::TempDir, PathBuf, String) {
    let directory = tempfile::tempdir().unwrap();
    let (child, _) = ready(directory.path());
    assert_eq!(end(child).0, Some(0));
    let state = directory.path().join("state");
    let store = SledStore::open(&state, DEFAULT_FLOOR).unwrap();
    let hash = store.save_document("{}".to_owned()).await.unwrap();
    let backup = directory.path().join("its.backup");
    (directory, backup, hash)
}

#[tokio::test]
async fn a_backup_is_made_with_and_without_a_coordinator_and_restored() {
    let (directory, file, hash) = lived_in().await;
    let here = directory.path();
    let said = works(here, &["backup", text(&file)]);
    assert!(said.contains("1 entries, 1 documents"), "{said}");
    let (child, _) = ready(here);
    let online = here.join("online.backup");
    works(here, &["backup", text(&online)]);
    let said = works(here, &["check"]);
    assert!(said.contains("all is well"), "{said}");
    let said = fails(here, &["restore", text(&file), "--replace"]);
    assert!(said.contains("a coordinator is running there"), "{said}");
    assert_eq!(end(child).0, Some(0));
    for file in [&file, &online] {
        assert!(works(here, &["check", text(file)]).contains("all is well"));
    }

    // On another machine: its identity comes with it, and its agents know it.
    let other = tempfile::tempdir().unwrap();
    works(other.path(), &["restore", text(&file)]);
    let authority = |of: &Path| {
        let mut files: Vec<_> = fs::read_dir(of.join("state").join("identity"))
            .unwrap()
            .map(|file| file.unwrap().path())
            .map(|path| (path.file_name().unwrap().to_owned(), fs::read(path).unwrap()))
            .collect();
        files.sort();
        files
    };
    assert_eq!(authority(other.path()), authority(here));
    assert!(works(other.path(), &["check"]).contains("1 documents"));
    {
        // What was done since the backup has numbers that agents remember.
        let store = SledStore::open(&other.path().join("state"), DEFAULT_FLOOR).unwrap();
        let next = store.get(Key::from_bytes(b"meta/next-rollout")).await.unwrap().unwrap();
        assert!(String::from_utf8_lossy(&next).contains("1001"), "{next:?}");
    }
    let (child, _) = ready(other.path());
    assert_eq!(end(child).0, Some(0));

    // Over what is there: only when told, and nothing is destroyed.
    let said = fails(here, &["restore", text(&file)]);
    assert!(said.contains("is not empty") && said.contains("--replace"), "{said}");
    let said = works(here, &["restore", text(&file), "--replace"]);
    assert!(said.contains("replaced-1"), "{said}");
    assert!(here.join("state").join("documents").join(format!("{hash}.json")).exists());
    let aside = here.join("state").join("replaced-1");
    for kept in ["store/db", "store.mark", "identity"] {
        assert!(aside.join(kept).exists(), "{kept}");
    }
    let (child, _) = ready(here);
    assert_eq!(end(child).0, Some(0));
}

#[tokio::test]
async fn a_damaged_backup_is_refused_and_nothing_is_touched() {
    let (directory, file, _) = lived_in().await;
    let here = directory.path();
    works(here, &["backup", text(&file)]);
    let whole = fs::read_to_string(&file).unwrap();
    let short = whole.len() - 200;
    for (damaged, word) in [
        (whole.replacen("entry", "entri", 1), "damaged in line"),
        (whole[..short].to_owned(), "damaged in line"),
        (String::new(), "no backup"),
    ] {
        fs::write(&file, damaged).unwrap();
        let said = fails(here, &["restore", text(&file), "--replace"]);
        assert!(said.contains(word) && said.contains("nothing was restored"), "{said}");
        assert!(fails(here, &["check", text(&file)]).contains(word));
        assert!(!here.join("state").join("replaced-1").exists());
        assert!(works(here, &["check"]).contains("all is well"));
    }
}

#[tokio::test]
async fn a_check_says_what_is_damaged() {
    let (directory, file, hash) = lived_in().await;
    let here = directory.path();
    let state = here.join("state");
    fs::write(state.join("documents").join(format!("{hash}.json")), "[]").unwrap();
    let said = fails(here, &["check"]);
    assert!(said.contains(&hash) && said.contains("not what its name says"), "{said}");
    assert!(said.contains("1 thing is damaged") && said.contains("restore FILE"), "{said}");
    // What can't be read can't be backed up, and no half of a backup is left.
    let said = fails(here, &["backup", text(&file)]);
    assert!(said.contains("no backup was made"), "{said}");
    assert!(!file.exists() && !here.join("its.backup.new").exists());

    let store = SledStore::open(&state, DEFAULT_FLOOR).unwrap();
    store.save_document("{}".to_owned()).await.unwrap();
    let nonsense = Batch::default().put(Key::from_bytes(b"token/a"), b"\x01{}".to_vec());
    store.commit(nonsense).await.unwrap();
    drop(store);
    let said = fails(here, &["check"]);
    assert!(said.contains("token/a") && said.contains("missing field"), "{said}");
    // The same of a coordinator that runs.
    let (child, _) = ready(here);
    let said = fails(here, &["check"]);
    assert!(said.contains("token/a") && said.contains("1 thing is damaged"), "{said}");
    assert_eq!(end(child).0, Some(0));
}

#[tokio::test]
async fn a_store_that_is_gone_while_the_identity_is_there_is_no_new_beginning() {
    let (directory, _, _) = lived_in().await;
    let state = directory.path().join("state");
    for part in ["store", "documents"] {
        fs::remove_dir_all(state.join(part)).unwrap();
    }
    fs::remove_file(state.join("store.mark")).unwrap();
    let said = fails(directory.path(), &["run"]);
    assert!(said.contains("it is gone") && said.contains("restore FILE"), "{said}");
}

#[tokio::test]
async fn an_interrupted_restore_is_not_taken_for_a_store() {
    let (directory, file, _) = lived_in().await;
    let here = directory.path();
    works(here, &["backup", text(&file)]);
    fs::write(here.join("state").join("restore.unfinished"), "").unwrap();
    assert!(fails(here, &["run"]).contains("a restore was interrupted"));
    works(here, &["restore", text(&file), "--replace"]);
    assert!(works(here, &["check"]).contains("all is well"));
}

#[tokio::test]
async fn a_coordinator_makes_backups_by_itself() {
    let directory = tempfile::tempdir().unwrap();
    let backups = directory.path().join("state").join("backups");
    for _ in 0..2 {
        let (child, _) = ready(directory.path());
        super::support::eventually("a backup", async || {
            let found = fs::read_dir(&backups).ok()?;
            let mut names = found.map(|file| file.unwrap().file_name().into_string().unwrap());
            names.any(|name| name.ends_with(".dvbackup")).then_some(())
        })
        .await;
        assert_eq!(end(child).0, Some(0));
    }
    // The second start made none: a day has not gone by.
    let files: Vec<_> = fs::read_dir(&backups).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    assert!(works(directory.path(), &["check", text(&files[0])]).contains("all is well"));
}

#[tokio::test]
async fn a_check_of_nothing_is_well() {
    let checked = dv_coordinator::store::check(&MemoryStore::default()).await.unwrap();
    assert_eq!(checked.to_string(), "0 entries, 0 documents, 0 rollouts replayed: all is well");
}

#[tokio::test]
async fn a_backup_is_made_soon_after_the_first_host() {
    let directory = tempfile::tempdir().unwrap();
    let (store, now) = (Arc::new(MemoryStore::default()), Timestamp::now());
    let clock = ManualClock::new(now);
    let day = Span::from_secs(24 * 60 * 60);
    let (state_dir, ticking) = (directory.path().to_owned(), Arc::new(clock.clone()));
    let _running = tokio::spawn(exports::run(state_dir, store.clone(), ticking, day));
    let newest = async || {
        let backups = fs::read_dir(directory.path().join("backups")).ok()?;
        let files = backups.map(|file| file.unwrap().path());
        let mut files: Vec<_> =
            files.filter(|f| f.extension().is_some_and(|e| e == "dvbackup")).collect();
        files.sort();
        let text = BufReader::new(fs::File::open(files.last()?).unwrap());
        Some((files.len(), check_backup(text).unwrap().1.hosts))
    };
    let first = super::support::eventually("a backup", newest).await;
    assert_eq!(first, (1, 0));

    let journal = Journal::open(store, now).await.unwrap();
    let name = "web1".parse().unwrap();
    let record = HostRecord {
        name,
        labels: [].into(),
        enrolled: now,
        certificates: Vec::new(),
        revoked: None,
    };
    journal.save_host(&record).await.unwrap();
    let second = super::support::eventually("one with the host", async || {
        clock.advance(Span::from_secs(1));
        newest().await.filter(|(count, _)| *count > 1)
    })
    .await;
    assert_eq!(second, (2, 1));
    // The next is for the next day.
    clock.advance(Span::from_secs(60 * 60));
    assert_eq!(newest().await, Some(second));
}

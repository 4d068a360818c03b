//! What people ask a coordinator on its own machine: a socket in its state directory, which nobody else enters. One line
//! is asked, and the answer goes on until the connection ends.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{UnixListener, UnixStream},
};

use crate::{
    ports::Store,
    store::{backup, check},
};

/// The longest question.
const QUESTION: u64 = 64;
/// What an answer that says that all is well ends with.
pub const WELL: &str = "all is well\n";

/// The questions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// A backup of everything.
    Backup,
    /// Whether anything is damaged.
    Check,
}

impl Question {
    fn word(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Check => "check",
        }
    }
}

/// Where the socket is.
#[must_use]
pub fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("coordinator.sock")
}

/// Answers until it is dropped. A coordinator that can't be asked serves all the same.
pub async fn serve(state_dir: PathBuf, store: Arc<dyn Store>) {
    let path = path(&state_dir);
    let Err(why) = listen(&path, &state_dir, &store).await else { return };
    tracing::error!(%why, "{} can't be asked: no backup while the coordinator runs", path.display());
}

async fn listen(path: &Path, state_dir: &Path, store: &Arc<dyn Store>) -> io::Result<()> {
    // Of a coordinator that was killed.
    match fs::remove_file(path) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(why),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    loop {
        let (stream, _) = listener.accept().await?;
        let (state_dir, store) = (state_dir.to_owned(), Arc::clone(store));
        tokio::spawn(async move {
            if let Err(why) = answer(stream, &state_dir, &*store).await {
                tracing::warn!(%why, "what was asked on this machine was not answered to its end");
            }
        });
    }
}

async fn answer(
    stream: UnixStream,
    state_dir: &Path,
    store: &dyn Store,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let (asked, mut out) = stream.into_split();
    let mut question = String::new();
    BufReader::new(asked.take(QUESTION)).read_line(&mut question).await?;
    match question.trim() {
        "backup" => {
            let contents = backup(store, identity(state_dir)?, &mut out).await?;
            tracing::info!("a backup was made: {contents}");
        }
        "check" => {
            let text = match check(store).await {
                Ok(checked) => format!("{checked}\n"),
                Err(why) => format!("damaged: {why}\n"),
            };
            out.write_all(text.as_bytes()).await?;
        }
        other => return Err(format!("nobody knows what {other:?} asks").into()),
    }
    out.shutdown().await?;
    Ok(())
}

/// Asks the coordinator that runs in `state_dir`; nothing, where none does.
pub async fn ask(state_dir: &Path, question: Question) -> io::Result<Option<UnixStream>> {
    let mut stream = match UnixStream::connect(path(state_dir)).await {
        Ok(stream) => stream,
        Err(why)
            if matches!(why.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) =>
        {
            return Ok(None);
        }
        Err(why) => return Err(why),
    };
    stream.write_all(format!("{}\n", question.word()).as_bytes()).await?;
    Ok(Some(stream))
}

/// The files by which agents and operators know this coordinator.
pub fn identity(state_dir: &Path) -> io::Result<Vec<(String, Vec<u8>)>> {
    let directory = state_dir.join("identity");
    let mut found = Vec::new();
    let entries = match fs::read_dir(&directory) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(found),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            let name = format!("identity/{}", entry.file_name().to_string_lossy());
            found.push((name, fs::read(entry.path())?));
        }
    }
    found.sort();
    Ok(found)
}

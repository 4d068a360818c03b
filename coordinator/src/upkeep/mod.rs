//! What a person does with a coordinator's store: `backup`, `restore`, `check`.

mod owner;

use std::{
    error::Error,
    fs::{self, File, OpenOptions},
    io::{self, BufReader, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use dv_coordinator::{
    config::Config,
    leader::Place,
    local::{self, Question},
    ports::Store,
    store::{self, Archive, Batch, Item, MemoryStore, SledStore},
};
use tokio::io::{AsyncReadExt as _, AsyncWrite};

use self::owner::again_as_owner;

type Done<T> = Result<T, Box<dyn Error>>;

/// Which coordinator is meant.
struct Here {
    config: Config,
    file: PathBuf,
}

impl Here {
    /// The one of this configuration, whose store is its own.
    fn read(file: &Path) -> Done<Self> {
        let config = Config::read(file)?;
        if let Place::Etcd { .. } = config.store {
            return Err(format!(
                "the store is {}: `etcdctl snapshot save` and `restore` are for what is there, and \
                 `dv-coordinator identity export` is for the certificate authority",
                config.store
            )
            .into());
        }
        Ok(Self { config, file: std::path::absolute(file)? })
    }
}

/// Writes a backup to `file`, or to standard output where that is `-`.
#[tokio::main]
pub(crate) async fn backup(config: &Path, file: &Path) -> Done<()> {
    let here = &Here::read(config)?;
    if file == Path::new("-") {
        return write_backup(here, tokio::io::stdout()).await;
    }
    let named = |why: io::Error| format!("{}: {why}", file.display());
    let new = PathBuf::from(format!("{}.new", file.display()));
    let mut options = OpenOptions::new();
    let out = options.write(true).create(true).truncate(true).mode(0o600).open(&new);
    let out = out.map_err(named)?;
    let written = async {
        let to = out.try_clone().map_err(named)?;
        if !again_as_owner(here, &["backup", "-"], None, Some(to))? {
            let to = tokio::fs::File::from_std(out.try_clone().map_err(named)?);
            write_backup(here, to).await?;
        }
        out.sync_all().map_err(named)?;
        // What can't be read is no backup.
        let (checked, contents) = store::check_backup(BufReader::new(File::open(&new)?))?;
        fs::rename(&new, file).map_err(named)?;
        let directory = file.parent().filter(|path| !path.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))
            .and_then(|d| d.sync_all())
            .map_err(named)?;
        Done::Ok((checked, contents))
    }
    .await;
    match written {
        Ok((checked, contents)) => {
            println!("{}: {contents}", file.display());
            if contents.hosts == 0 {
                println!("there is no host in it: make another one when the first has enrolled");
            }
            if let Some(first) = checked.damage.first() {
                return Err(format!(
                    "{} holds what the store holds, and that is damaged ({first}): a coordinator may not start from it, \
                     so keep the older ones; `dv-coordinator check` names all",
                    file.display()
                )
                .into());
            }
        }
        Err(why) => {
            let _ = fs::remove_file(&new);
            return Err(format!("no backup was made: {why}").into());
        }
    }
    Ok(())
}

/// Asks the coordinator that runs; where none does, opens the store itself.
async fn write_backup(here: &Here, mut to: impl AsyncWrite + Unpin + Send) -> Done<()> {
    if let Some(mut stream) = local::ask(&here.config.state_dir, Question::Backup).await? {
        tokio::io::copy(&mut stream, &mut to).await?;
    } else {
        let store = SledStore::open(&here.config.state_dir, here.config.min_free.0)?;
        let files = local::identity(&here.config.state_dir)?;
        store::backup(&store, files, &mut to).await?;
    }
    tokio::io::AsyncWriteExt::flush(&mut to).await?;
    Ok(())
}

/// Restores the backup in `file`, or on standard input where that is `-`.
pub(crate) fn restore(config: &Path, file: &Path, replace: bool) -> Done<()> {
    let here = &Here::read(config)?;
    let state_dir = &here.config.state_dir;
    let from = match file == Path::new("-") {
        true => None,
        false => Some(File::open(file).map_err(|why| format!("{}: {why}", file.display()))?),
    };
    let mut again = vec!["restore", "-"];
    if replace {
        again.push("--replace");
    }
    if again_as_owner(here, &again, from.as_ref().map(File::try_clone).transpose()?, None)? {
        return Ok(());
    }
    let restored = match from {
        Some(file) => SledStore::restore(state_dir, BufReader::new(file), replace),
        None => SledStore::restore(state_dir, io::stdin().lock(), replace),
    }?;
    println!("{} holds now: {}", state_dir.display(), restored.contents);
    if restored.contents.hosts == 0 {
        println!(
            "there is no host in it: every host has to enrol again, or there is a newer backup"
        );
    }
    if let Some(aside) = restored.aside {
        println!("what was there before is in {}", aside.display());
    }
    println!(
        "rollouts that had not ended when the backup was made go on at the coordinator's start: see docs/operate.md"
    );
    Ok(())
}

/// Checks the store, or the backup in `file`; says whether all is well.
#[tokio::main]
pub(crate) async fn check(config: &Path, file: Option<&Path>) -> Done<bool> {
    let checked = match file {
        Some(file) => store::check(&read_into_memory(file).await?).await?,
        None => {
            let here = &Here::read(config)?;
            if let Some(mut stream) = local::ask(&here.config.state_dir, Question::Check).await? {
                let mut said = String::new();
                stream.read_to_string(&mut said).await?;
                io::stdout().write_all(said.as_bytes())?;
                return Ok(well(said.ends_with(local::WELL)));
            }
            if again_as_owner(here, &["check"], None, None)? {
                return Ok(true);
            }
            if !here.config.state_dir.join("store").exists() {
                return Err(
                    format!("there is no store in {}", here.config.state_dir.display()).into()
                );
            }
            let store = SledStore::open(&here.config.state_dir, here.config.min_free.0)?;
            store::check(&store).await?
        }
    };
    println!("{checked}");
    Ok(well(checked.damage.is_empty()))
}

fn well(well: bool) -> bool {
    if !well {
        println!(
            "to go on from a backup: `dv-coordinator restore FILE --replace`, which keeps what is there aside"
        );
    }
    well
}

async fn read_into_memory(file: &Path) -> Done<MemoryStore> {
    let mut archive = Archive::begin(BufReader::new(File::open(file)?))?;
    let store = MemoryStore::default();
    while let Some(item) = archive.read()? {
        match item {
            Item::Entry(key, value) => store.commit(Batch::default().put(key, value)).await?,
            Item::Document(_, text) => drop(store.save_document(text).await?),
            Item::File(..) => {}
        }
    }
    Ok(store)
}

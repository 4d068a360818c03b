//! The folder and the processes of one demo, and their end.

use std::{
    env,
    fs::{self, DirBuilder, File},
    io::{self, Write},
    os::unix::{fs::DirBuilderExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{self, Child, Command, Stdio},
};

/// Waits for the end of its input, which comes however the demo ends, kill -9 included. Then it kills the process
/// group, and removes the folder unless it was told to keep it.
const JANITOR: &str = r#"
trap '' INT TERM HUP
read -r last_word
kill -s KILL -- "-$1"
[ "$last_word" = keep ] || rm -rf -- "$2" || { sleep 1; rm -rf -- "$2"; }
"#;

/// A fresh folder, and processes that end with the demo.
pub(crate) struct Stage {
    folder: PathBuf,
    /// Holds the number of the process group that all players join.
    holder: Child,
    group: i32,
    janitor: Child,
    players: Vec<Player>,
}

struct Player {
    name: String,
    log: PathBuf,
    process: Child,
}

impl Stage {
    pub(crate) fn set() -> io::Result<Self> {
        let folder = fresh_folder()?;
        let holder = Command::new("sleep").arg("86400").process_group(0).spawn()?;
        let group = i32::try_from(holder.id()).map_err(io::Error::other)?;
        let janitor = Command::new("sh")
            .args(["-c", JANITOR, "janitor", &group.to_string()])
            .arg(&folder)
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        Ok(Self { folder, holder, group, janitor, players: Vec::new() })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where a program's words go.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.log"))
    }

    /// Starts a program that runs until the end; what it prints goes to `NAME.log` in the folder.
    pub(crate) fn enter(&mut self, name: &str, program: &mut Command) -> io::Result<()> {
        let log = self.log(name);
        let file = File::create(&log)?;
        let process = program
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .process_group(self.group)
            .env("NO_COLOR", "1")
            .spawn()?;
        self.players.push(Player { name: name.to_owned(), log, process });
        Ok(())
    }

    /// Fails if a program that should be running has ended.
    pub(crate) fn all_are_alive(&mut self) -> Result<(), String> {
        for player in &mut self.players {
            if let Ok(Some(status)) = player.process.try_wait() {
                return Err(format!("{} ended by itself ({status})", player.name));
            }
        }
        Ok(())
    }

    /// The last line that each program printed.
    pub(crate) fn last_lines(&self) -> impl Iterator<Item = (&str, String)> {
        self.players.iter().filter_map(|player| {
            let text = fs::read_to_string(&player.log).ok()?;
            Some((player.name.as_str(), text.lines().last()?.to_owned()))
        })
    }

    /// The folder stays when everything else goes.
    pub(crate) fn keep_folder(&mut self) {
        if let Some(janitor) = &mut self.janitor.stdin {
            // A janitor that is gone removes nothing either.
            let _ = writeln!(janitor, "keep");
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        drop(self.janitor.stdin.take());
        let _ = self.janitor.wait();
        let _ = self.holder.wait();
        for player in &mut self.players {
            let _ = player.process.wait();
        }
    }
}

fn fresh_folder() -> io::Result<PathBuf> {
    let first = process::id();
    for number in first..first + 1000 {
        let folder = env::temp_dir().join(format!("dv-demo-{number}"));
        match DirBuilder::new().mode(0o700).create(&folder) {
            Ok(()) => return fs::canonicalize(folder),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("there are a thousand demos' folders in the way"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_there(pid: u32) -> bool {
        Path::new("/proc").join(pid.to_string()).join("exe").read_link().is_ok()
    }

    #[test]
    fn everything_ends_and_nothing_is_left() {
        let mut stage = Stage::set().unwrap();
        let folder = stage.folder().to_owned();
        stage.enter("stubborn", Command::new("sh").args(["-c", "trap '' TERM; sleep 60"])).unwrap();
        let pid = stage.players[0].process.id();
        assert!(is_there(pid) && folder.exists());
        drop(stage);
        assert!(!is_there(pid) && !folder.exists());
    }

    #[test]
    fn the_logs_stay_where_somebody_wants_to_read_them() {
        let mut stage = Stage::set().unwrap();
        let folder = stage.folder().to_owned();
        stage.enter("talker", Command::new("echo").arg("hello")).unwrap();
        stage.players[0].process.wait().unwrap();
        assert!(stage.all_are_alive().is_err());
        assert_eq!(stage.last_lines().collect::<Vec<_>>(), [("talker", "hello".to_owned())]);
        stage.keep_folder();
        drop(stage);
        assert_eq!(fs::read_to_string(folder.join("talker.log")).unwrap(), "hello\n");
        fs::remove_dir_all(folder).unwrap();
    }
}

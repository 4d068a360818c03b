//! A writer in a process of its own, and what it has acknowledged.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
};

use crate::workload::Kind;

/// A writer that runs. Dropped, it is killed.
pub struct Writer {
    child: Child,
    told: Arc<Mutex<Vec<String>>>,
    reading: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the program `power` as a writer in `directory`.
    pub fn start(power: &Path, kind: Kind, directory: &Path, first: u64) -> Result<Self, String> {
        let mut command = Command::new(power);
        command.arg("writer").arg(kind.name()).arg(directory).arg(first.to_string());
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|why| format!("{}: {why}", power.display()))?;
        let told = Arc::new(Mutex::new(Vec::new()));
        let reading = child.stdout.take().map(|pipe| {
            let told = Arc::clone(&told);
            thread::spawn(move || {
                // A line that was not told to its end was not told.
                for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
                    let line = String::from_utf8_lossy(&line).into_owned();
                    told.lock().unwrap_or_else(PoisonError::into_inner).push(line);
                }
            })
        });
        Ok(Self { child, told, reading })
    }

    /// What has been acknowledged up to now.
    #[must_use]
    pub fn acknowledged(&self) -> Vec<String> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner).clone();
        told.into_iter().filter(|line| line.ends_with('.')).collect()
    }

    /// Whether it still writes.
    pub fn writes(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Kills it as `kill -9` does; all that it had acknowledged.
    pub fn kill(mut self) -> Result<Vec<String>, String> {
        self.end()?;
        Ok(self.acknowledged())
    }

    fn end(&mut self) -> Result<(), String> {
        self.child.kill().and_then(|()| self.child.wait()).map_err(|why| why.to_string())?;
        self.reading.take().map_or(Ok(()), JoinHandle::join).map_err(|_| "no reader".to_owned())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

/// What of `acknowledged` is not in `directory`: nothing, or what a person reads.
pub fn verify(
    power: &Path,
    kind: Kind,
    directory: &Path,
    acknowledged: &[String],
) -> Result<Option<String>, String> {
    let mut command = Command::new(power);
    command.arg("verify").arg(kind.name()).arg(directory);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|why| format!("{}: {why}", power.display()))?;
    if let Some(mut pipe) = child.stdin.take() {
        let text = acknowledged.join("\n");
        thread::spawn(move || pipe.write_all(text.as_bytes()));
    }
    let output = child.wait_with_output().map_err(|why| why.to_string())?;
    if output.status.success() {
        return Ok(None);
    }
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).trim().to_owned();
    Ok(Some(said.lines().next().unwrap_or("it said nothing").to_owned()))
}

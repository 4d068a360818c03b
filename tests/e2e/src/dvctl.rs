//! The packaged dvctl, as an operator outside the fleet uses it.

use std::{
    io::Read,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    shell::{self, Ran, end_of, line_of},
    wait::until,
};

/// How long a call may take: a rollout that is followed included.
const LIMIT: Duration = Duration::from_secs(120);

/// dvctl with a context.
#[derive(Debug, Clone)]
pub struct Dvctl {
    program: PathBuf,
    context: PathBuf,
}

impl Dvctl {
    pub(crate) fn new(program: PathBuf, context: PathBuf) -> Self {
        Self { program, context }
    }

    /// The same program with another context.
    #[must_use]
    pub fn with_context(&self, context: PathBuf) -> Self {
        Self { context, ..self.clone() }
    }

    /// The context's file.
    #[must_use]
    pub fn context(&self) -> &PathBuf {
        &self.context
    }

    /// `dvctl ARGUMENTS`
    pub fn run<S: AsRef<str>>(&self, arguments: &[S]) -> Ran {
        shell::run(&mut self.command(arguments), LIMIT)
    }

    /// `dvctl ARGUMENTS --output json`, as one document.
    #[track_caller]
    pub fn json<S: AsRef<str>>(&self, arguments: &[S]) -> Value {
        match self.try_json(arguments) {
            Ok(value) => value,
            Err(why) => panic!("{why}"),
        }
    }

    /// The same; or why there is none.
    pub fn try_json<S: AsRef<str>>(&self, arguments: &[S]) -> Result<Value, String> {
        let arguments: Vec<_> =
            ["--output", "json"].into_iter().chain(arguments.iter().map(AsRef::as_ref)).collect();
        let text = self.run(&arguments).result()?;
        serde_json::from_str(&text).map_err(|why| format!("dvctl printed no JSON: {why}\n{text}"))
    }

    /// `dvctl ARGUMENTS`, left running.
    #[must_use]
    pub fn start<S: AsRef<str>>(&self, arguments: &[S]) -> Following {
        let mut command = self.command(arguments);
        let line = line_of(&command);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("dvctl can be started");
        let stdout = Stream::of(child.stdout.take().expect("piped"));
        let stderr = Stream::of(child.stderr.take().expect("piped"));
        Following { line, child, stdout, stderr, began: Instant::now() }
    }

    /// A single-use token for a host.
    pub fn token(&self, host: &str, labels: &[(&str, &str)]) -> Result<String, String> {
        let mut arguments =
            vec!["--quiet".to_owned(), "agent".to_owned(), "token".to_owned(), host.to_owned()];
        for (key, value) in labels {
            arguments.extend(["--label".to_owned(), format!("{key}={value}")]);
        }
        Ok(self.run(&arguments).result()?.trim().to_owned())
    }

    /// Whether all five hosts are in contact; if not, who is missing.
    pub fn all_connected(&self) -> Result<(), String> {
        let hosts = self.try_json(&["hosts"])?;
        let hosts = hosts.as_array().ok_or_else(|| format!("no list of hosts: {hosts}"))?;
        let there = hosts.iter().filter(|host| host["connected"] == true).count();
        if there == crate::bed::HOSTS.len() {
            Ok(())
        } else {
            Err(format!("{there} hosts are in contact: {hosts:?}"))
        }
    }

    fn command<S: AsRef<str>>(&self, arguments: &[S]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(arguments.iter().map(AsRef::as_ref))
            .env("DV_CONTEXT", &self.context)
            .env("NO_COLOR", "1");
        command
    }
}

/// A dvctl that is running.
#[derive(Debug)]
pub struct Following {
    line: String,
    child: Child,
    stdout: Stream,
    stderr: Stream,
    began: Instant,
}

impl Following {
    /// Waits until its standard output has a line that `found` likes.
    #[track_caller]
    pub fn until_line(&self, what: &str, found: impl Fn(&str) -> bool) {
        until(LIMIT, what, || {
            let text = self.stdout.text();
            if text.lines().any(&found) {
                Ok(())
            } else {
                Err(format!("{text}\n{}", self.stderr.text()))
            }
        });
    }

    /// Sends it a signal, as the terminal would.
    pub fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        shell::run(Command::new("kill").args(["-s", signal, &pid]), LIMIT).ok();
    }

    /// Waits for its end.
    pub fn end(self) -> Ran {
        self.end_within(LIMIT)
    }

    /// Waits for its end, so long.
    pub fn end_within(mut self, limit: Duration) -> Ran {
        let code = end_of(&mut self.child, limit);
        let took = self.began.elapsed();
        Ran { line: self.line, code, stdout: self.stdout.end(), stderr: self.stderr.end(), took }
    }
}

/// What a running program has printed so far.
#[derive(Debug)]
struct Stream {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Stream {
    fn of(mut from: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let to = Arc::clone(&bytes);
        let reader = thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(count @ 1..) = from.read(&mut part) {
                to.lock().expect("no panic").extend_from_slice(&part[..count]);
            }
        });
        Self { bytes, reader }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().expect("no panic")).into_owned()
    }

    fn end(self) -> String {
        let text = Arc::clone(&self.bytes);
        self.reader.join().expect("no panic");
        String::from_utf8_lossy(&text.lock().expect("no panic")).into_owned()
    }
}

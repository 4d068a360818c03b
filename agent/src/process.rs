//! Runs a program: no shell, its own process group, little or nothing to read, its output capped. When it ends, or
//! must be stopped, all that it started is killed, whatever it did to hide.
//!
//! Nothing here can hold up the rest of the agent: the output is read as it comes, and a background child
//! that keeps it open is not waited for.

mod memory;
mod tail;
mod tree;

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use dv_types::{Span, outcome::Output};
use rustix::process::Signal;
use tokio::{io::AsyncReadExt, net::unix::pipe, time::Instant};

use crate::{
    ask::ask,
    limits::{Limits, Stop},
    outside,
};
use tail::{Head, Tail};
use tree::Tree;
pub(crate) use tree::{adopt_orphans, kill_all};

/// How long the file systems that a program is started from may take to answer.
const ANSWER: Duration = Duration::from_secs(10);
/// How long what is left in the pipes may take to come, once the program has ended.
const DRAIN: Duration = Duration::from_millis(200);
/// How long a program that is stopped has to clean up behind itself (git its locks, say).
const MERCY: Duration = Duration::from_secs(2);
/// What every pipe holds, so that writing it waits for nobody.
const PIPE: usize = 4096;
/// As much of a program's standard output is kept for those who read it, in bytes.
pub(crate) const STDOUT_KEPT: usize = Head::LIMIT;
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What to run.
pub struct Program<'a> {
    /// The program and its arguments.
    pub argv: &'a [String],
    /// Where it runs, if that matters.
    pub directory: Option<&'a Path>,
    /// Added to a small fixed environment.
    pub environment: &'a [(&'a str, &'a str)],
    /// Hears what it prints while it runs.
    pub on_output: Option<&'a (dyn Fn(&str) + Sync)>,
}

/// How it ended.
#[derive(Debug)]
pub struct Finished {
    /// Its exit code, or nothing if a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// The kernel killed some process for want of memory meanwhile.
    pub starved: bool,
    /// Why it was stopped, where it did not end by itself.
    pub stopped: Option<Stop>,
    /// Processes that it had left behind and that were killed, itself not counted.
    pub leftovers: usize,
    /// The end of what it printed.
    pub output: Output,
    /// The beginning of what it printed on standard output.
    pub stdout: String,
}

impl Finished {
    /// It ended by itself with this code, and printed this on standard output.
    #[must_use]
    pub fn exited(code: i32, printed: &str) -> Self {
        Self {
            code: Some(code),
            signal: None,
            starved: false,
            stopped: None,
            leftovers: 0,
            output: Output { tail: printed.to_owned(), dropped: 0 },
            stdout: printed.to_owned(),
        }
    }

    /// It was stopped, or never begun.
    #[must_use]
    pub fn stopped_by(stop: Stop) -> Self {
        Self { code: None, stopped: Some(stop), ..Self::exited(0, "") }
    }

    /// Whether it ended by itself and well.
    pub(crate) fn is_success(&self) -> bool {
        self.stopped.is_none() && self.code == Some(0)
    }

    /// In words, why it did not end well.
    pub(crate) fn why(&self) -> String {
        match (self.stopped, self.code, self.signal) {
            (Some(stop), ..) => stop.to_string(),
            (None, Some(code), _) => format!("exit code {code}"),
            (None, None, Some(signal)) if self.starved => format!(
                "killed by signal {signal}; the kernel killed for want of memory meanwhile, and it was most likely this one"
            ),
            (None, None, Some(signal)) => format!("killed by signal {signal}"),
            (None, None, None) => "it ended in an unknown way".to_owned(),
        }
    }

    /// The last line that it printed, for a message of one line.
    pub(crate) fn last_line(&self) -> Option<&str> {
        self.output.tail.lines().map(str::trim).rfind(|line| !line.is_empty())
    }
}

/// Runs `program` until it ends or `limits` are reached.
pub(crate) async fn run(program: Program<'_>, limits: &Limits) -> io::Result<Finished> {
    start(program, Stdio::null(), limits).await
}

/// The same, for a program that reads `input`: a few words, which a pipe holds.
pub(crate) async fn run_with_input(
    program: Program<'_>,
    input: &str,
    limits: &Limits,
) -> io::Result<Finished> {
    let (stdin, mut stdin_end) = io::pipe()?;
    if input.len() > PIPE {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "too much for it to read"));
    }
    stdin_end.write_all(input.as_bytes())?;
    drop(stdin_end);
    start(program, stdin.into(), limits).await
}

async fn start(program: Program<'_>, stdin: Stdio, limits: &Limits) -> io::Result<Finished> {
    let Some((name, arguments)) = program.argv.split_first() else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "there is no program to run"));
    };
    if let Some(stop) = look_first(&program, limits).await? {
        return Ok(Finished::stopped_by(stop));
    }
    let (stdout, stdout_end) = io::pipe()?;
    let (stderr, stderr_end) = io::pipe()?;
    let home = outside::home();
    let mut command = tokio::process::Command::new(name);
    command
        .args(arguments)
        .env_clear()
        .envs([("PATH", PATH), ("LANG", "C.UTF-8"), ("HOME", &home)])
        .envs(program.environment.iter().copied())
        .stdin(stdin)
        .stdout(stdout_end)
        .stderr(stderr_end)
        .process_group(0)
        .kill_on_drop(true);
    if let Some(directory) = program.directory {
        command.current_dir(directory);
    }
    let starved = memory::Watch::begin();
    let (tree, mut child) = Tree::spawn(&mut command)?;
    // The command holds the other ends of the pipes; as long as it does, they do not end.
    drop(command);

    let mut streams = Streams {
        stdout: Some(pipe::Receiver::from_owned_fd(stdout.into())?),
        stderr: Some(pipe::Receiver::from_owned_fd(stderr.into())?),
        head: Head::default(),
        tail: Tail::default(),
        on_output: program.on_output,
    };
    let ended = loop {
        tokio::select! {
            status = child.wait() => break Ok(status?),
            stop = limits.reached() => break Err(stop),
            () = streams.read(), if streams.are_open() => {}
        }
    };
    streams.drain(if ended.is_ok() { DRAIN } else { Duration::ZERO }).await;
    let mercy = if ended.is_ok() { Duration::ZERO } else { MERCY };
    let (tree, leftovers) = tree.kill(mercy, &mut child).await;
    streams.drain(DRAIN).await;
    drop(tree);

    let status: Option<ExitStatus> = ended.ok();
    let signal = status.and_then(|s| std::os::unix::process::ExitStatusExt::signal(&s));
    Ok(Finished {
        code: status.and_then(|s| s.code()),
        signal,
        starved: signal == Some(Signal::KILL.as_raw()) && starved.has_killed(),
        stopped: ended.err(),
        leftovers,
        output: streams.tail.into_output(),
        stdout: streams.head.into_text(),
    })
}

/// Starting a program waits until the kernel has found it and its directory, and holds up the whole agent where these
/// lie in a file system that does not answer. So they are looked at first, where that holds nobody up.
async fn look_first(program: &Program<'_>, limits: &Limits) -> io::Result<Option<Stop>> {
    let file = program.argv.first().map(Path::new).filter(|file| file.is_absolute());
    for path in file.into_iter().chain(program.directory) {
        let looked = PathBuf::from(path);
        // What is not there, the start itself says best.
        let look = ask(path, move || drop(std::fs::metadata(looked)));
        match limits.at_most(ANSWER).within(look).await {
            Ok(answered) => answered.map_err(io::Error::other)?,
            Err(Stop::Cancelled) => return Ok(Some(Stop::Cancelled)),
            Err(stop) => {
                let why = format!("the file system of {} hangs: {stop}", path.display());
                return Err(io::Error::new(io::ErrorKind::TimedOut, why));
            }
        }
    }
    Ok(None)
}

/// What the program prints, as it comes.
struct Streams<'a> {
    stdout: Option<pipe::Receiver>,
    stderr: Option<pipe::Receiver>,
    head: Head,
    tail: Tail,
    on_output: Option<&'a (dyn Fn(&str) + Sync)>,
}

impl Streams<'_> {
    fn are_open(&self) -> bool {
        self.stdout.is_some() || self.stderr.is_some()
    }

    /// Reads once from whichever has something.
    async fn read(&mut self) {
        let (mut out, mut err) = ([0; 4096], [0; 4096]);
        tokio::select! {
            count = some(self.stdout.as_mut(), &mut out) => match count {
                0 => self.stdout = None,
                count => {
                    self.head.push(&out[..count]);
                    self.heard(&out[..count]);
                }
            },
            count = some(self.stderr.as_mut(), &mut err) => match count {
                0 => self.stderr = None,
                count => self.heard(&err[..count]),
            },
        }
    }

    fn heard(&mut self, bytes: &[u8]) {
        self.tail.push(bytes);
        if let Some(on_output) = self.on_output
            && let Some(line) =
                String::from_utf8_lossy(bytes).lines().map(str::trim).rfind(|l| !l.is_empty())
        {
            on_output(line);
        }
    }

    /// Reads on until both have ended, but not for long.
    async fn drain(&mut self, patience: Duration) {
        let until = Instant::now() + patience;
        while self.are_open() {
            if tokio::time::timeout_at(until, self.read()).await.is_err() {
                return;
            }
        }
    }
}

/// How much came; 0 at the end. Where there is no stream, it never comes.
async fn some(stream: Option<&mut pipe::Receiver>, buffer: &mut [u8]) -> usize {
    match stream {
        Some(stream) => stream.read(buffer).await.unwrap_or(0),
        None => std::future::pending().await,
    }
}

/// The words for a program that was stopped by `stop`, with what was killed.
pub(crate) fn stopped_words(limit: Span, leftovers: usize) -> String {
    match leftovers {
        0 => format!("it still ran after {limit} and was killed"),
        1 => {
            format!("it still ran after {limit} and was killed, with 1 process that it had started")
        }
        n => format!(
            "it still ran after {limit} and was killed, with {n} processes that it had started"
        ),
    }
}

#[cfg(test)]
mod tests;

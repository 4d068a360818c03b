//! Programs that are run, with a deadline, and what they said.

use std::{
    fmt,
    io::{Read, Write},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// What became of a program.
#[derive(Debug, Clone)]
pub struct Ran {
    /// The command line.
    pub line: String,
    /// Its exit code; nothing if a signal or our deadline ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it said of itself.
    pub stderr: String,
    /// How long it took.
    pub took: Duration,
}

impl Ran {
    /// Its standard output, if it exited with 0; else the test ends here, with all that is known.
    #[track_caller]
    pub fn ok(self) -> String {
        match self.result() {
            Ok(stdout) => stdout,
            Err(why) => panic!("{why}"),
        }
    }

    /// Its standard output, if it exited with 0; else all that is known.
    pub fn result(self) -> Result<String, String> {
        if self.code == Some(0) { Ok(self.stdout) } else { Err(self.to_string()) }
    }

    /// The test ends here unless it exited with `code`.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert!(self.code == Some(code), "expected exit code {code}\n{self}");
        self
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "$ {}", self.line)?;
        match self.code {
            Some(code) => writeln!(f, "exit code {code} after {:.1?}", self.took)?,
            None => writeln!(f, "ended by a signal after {:.1?}", self.took)?,
        }
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            for line in text.lines() {
                writeln!(f, "  {name}: {line}")?;
            }
        }
        Ok(())
    }
}

/// Runs a program to its end.
pub fn run(command: &mut Command, limit: Duration) -> Ran {
    run_with(command, &[], limit)
}

/// Runs a program to its end with `input` on its standard input.
pub fn run_with(command: &mut Command, input: &[u8], limit: Duration) -> Ran {
    let line = line_of(command);
    let began = Instant::now();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(why) => {
            let stderr = format!("it can't be run: {why}");
            return Ran { line, code: None, stdout: String::new(), stderr, took: Duration::ZERO };
        }
    };
    // All three at once: a program that waits for a full pipe would never end.
    thread::scope(|scope| {
        let mut stdin = child.stdin.take().expect("piped");
        scope.spawn(move || {
            // A program may end without reading all of it.
            let _ = stdin.write_all(input);
        });
        let stdout = read(scope, child.stdout.take().expect("piped"));
        let stderr = read(scope, child.stderr.take().expect("piped"));
        let code = end_of(&mut child, limit);
        let (stdout, mut stderr) =
            (stdout.join().expect("no panic"), stderr.join().expect("no panic"));
        if code.is_none() && began.elapsed() >= limit {
            stderr.push_str(&format!("\n[ended by the test after {limit:?}]"));
        }
        Ran { line, code, stdout, stderr, took: began.elapsed() }
    })
}

/// Runs a program to its end and takes what it prints, which need not be text.
pub fn bytes_of(command: &mut Command) -> Result<Vec<u8>, String> {
    let line = line_of(command);
    let output = command.output().map_err(|why| format!("$ {line}\nit can't be run: {why}"))?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(format!("$ {line}\n{}: {}", output.status, String::from_utf8_lossy(&output.stderr)))
    }
}

/// A command line, as a person would type it.
#[must_use]
pub fn line_of(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        let argument = argument.to_string_lossy();
        if argument.contains([' ', '\n', '"', '\'']) {
            line.push_str(&format!(" {argument:?}"));
        } else {
            line.push_str(&format!(" {argument}"));
        }
    }
    line
}

/// The child's exit code; it is killed at the limit.
pub(crate) fn end_of(child: &mut Child, limit: Duration) -> Option<i32> {
    let began = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status.code(),
            Ok(None) if began.elapsed() < limit => thread::sleep(Duration::from_millis(2)),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        }
    }
}

fn read<'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    mut stream: impl Read + Send + 'scope,
) -> thread::ScopedJoinHandle<'scope, String> {
    scope.spawn(move || {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

//! Where text goes: data to standard output, remarks to standard error; coloured or not, as text or JSON.

use std::io::{self, IsTerminal as _, Write as _};

use anstream::{AutoStream, ColorChoice};
use clap::ValueEnum;
use serde::Serialize;

use crate::{
    args::Global,
    display::line::{Line, bad, faint},
    error::Error,
};

/// The form of what is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: one document, or one per line where a rollout is followed.
    Json,
}

/// How this call prints.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    format: Format,
    quiet: bool,
    colour_out: bool,
    colour_err: bool,
    terminal: bool,
    live: bool,
}

impl Output {
    pub(crate) fn new(global: &Global) -> Self {
        let colour = |choice| !global.no_color && choice != ColorChoice::Never;
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        Self {
            format: global.output,
            quiet: global.quiet,
            colour_out: colour(AutoStream::choice(&io::stdout())),
            colour_err: colour(AutoStream::choice(&io::stderr())),
            terminal: io::stdout().is_terminal(),
            live: io::stdout().is_terminal()
                && !dumb
                && !global.quiet
                && global.output == Format::Text,
        }
    }

    /// Whether programs read it.
    pub(crate) const fn json(&self) -> bool {
        matches!(self.format, Format::Json)
    }

    /// Whether standard output is a terminal.
    pub(crate) const fn terminal(&self) -> bool {
        self.terminal
    }

    /// Whether standard output is a terminal on which lines can be redrawn.
    pub(crate) const fn live(&self) -> bool {
        self.live
    }

    /// Whether only what was asked for is printed.
    pub(crate) const fn quiet(&self) -> bool {
        self.quiet
    }

    /// Whether standard output takes colours.
    pub(crate) const fn colour(&self) -> bool {
        self.colour_out
    }

    /// Prints data, and flushes: what reads it may be waiting for each line.
    pub(crate) fn text(&self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }

    /// Prints lines of data.
    pub(crate) fn lines(&self, lines: &[Line]) -> io::Result<()> {
        let text: String = lines.iter().map(|line| line.render(self.colour_out) + "\n").collect();
        self.text(&text)
    }

    /// Prints a document of its own, indented.
    pub(crate) fn document(&self, document: &impl Serialize) -> io::Result<()> {
        let text = serde_json::to_string_pretty(document).map_err(io::Error::other)?;
        self.text(&(text + "\n"))
    }

    /// Prints a document that is one of a stream, on one line.
    pub(crate) fn json_line(&self, document: &impl Serialize) -> io::Result<()> {
        let text = serde_json::to_string(document).map_err(io::Error::other)?;
        self.text(&(text + "\n"))
    }

    /// Says something beside the data.
    pub(crate) fn remark(&self, text: &str) {
        if !self.quiet {
            self.say(&Line::of(faint(), text));
        }
    }

    /// Says something that must be heard.
    pub(crate) fn warn(&self, line: &Line) {
        self.say(line);
    }

    /// Says why it ends.
    pub(crate) fn error(&self, error: &Error) {
        if !error.text.is_empty() {
            self.say(&Line::of(bad(), "error: ").plain(&error.text));
        }
    }

    fn say(&self, line: &Line) {
        // Where standard error is gone there is nobody to tell.
        let _ = writeln!(io::stderr().lock(), "{}", line.render(self.colour_err));
    }
}

/// Columns and rows of the terminal on standard output.
pub(crate) fn terminal_size() -> (usize, usize) {
    match rustix::termios::tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
            (usize::from(size.ws_col), usize::from(size.ws_row))
        }
        _ => (80, 24),
    }
}

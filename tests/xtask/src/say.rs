//! What a person reads on the terminal.

use std::{
    env,
    fmt::Display,
    io::{self, IsTerminal},
    sync::LazyLock,
};

static COLOURS: LazyLock<bool> = LazyLock::new(|| {
    io::stdout().is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
});

fn paint(code: &str, text: impl Display) -> String {
    if *COLOURS { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
}

pub(crate) fn bold(text: impl Display) -> String {
    paint("1", text)
}

pub(crate) fn dim(text: impl Display) -> String {
    paint("2", text)
}

pub(crate) fn green(text: impl Display) -> String {
    paint("32", text)
}

pub(crate) fn red(text: impl Display) -> String {
    paint("1;31", text)
}

pub(crate) fn yellow(text: impl Display) -> String {
    paint("1;33", text)
}

/// A new part begins.
pub(crate) fn heading(text: impl Display) {
    println!("\n{}", paint("1;36", format!("── {text} ")));
}

/// A command as a person would type it.
pub(crate) fn command(line: impl Display) {
    println!("{} {}", dim("$"), bold(line));
}

/// A remark.
pub(crate) fn note(text: impl Display) {
    println!("{}", dim(text));
}

/// Something was found to be as it should.
pub(crate) fn good(text: impl Display) {
    println!("{} {text}", green("✓"));
}

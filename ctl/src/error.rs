//! Errors that people read: one line that says what, where and what to do; and the exit code that goes with it.

use std::fmt;

use crate::Exit;

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a command could not be carried out.
#[derive(Debug)]
pub(crate) struct Error {
    /// The code that it ends with.
    pub(crate) exit: Exit,
    /// The message; empty where all was said already.
    pub(crate) text: String,
}

impl Error {
    pub(crate) fn new(exit: Exit, text: impl Into<String>) -> Self {
        Self { exit, text: text.into() }
    }

    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self::new(Exit::Usage, text)
    }

    pub(crate) fn refused(text: impl Into<String>) -> Self {
        Self::new(Exit::Refused, text)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Error {}

/// Standard output or standard error is gone, or the runtime can't be made.
impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        let gone = error.kind() == std::io::ErrorKind::BrokenPipe;
        Self::new(Exit::Unexpected, if gone { String::new() } else { error.to_string() })
    }
}

/// The coordinator sent a document that this version can't read.
impl From<dv_proto::InvalidDocument> for Error {
    fn from(error: dv_proto::InvalidDocument) -> Self {
        Self::new(
            Exit::Unexpected,
            format!(
                "the coordinator's answer can't be read: {error}; is dvctl as new as the coordinator?"
            ),
        )
    }
}

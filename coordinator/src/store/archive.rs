//! A backup: everything that a coordinator keeps, as lines of text that say themselves whether they are whole.
//!
//! ```text
//! dv-backup 1
//! entry <TAB> key <TAB> value          as in the store, in the order of the keys
//! document <TAB> SHA-256 <TAB> text
//! file <TAB> name <TAB> content        of the state directory: the coordinator's identity
//! end <TAB> lines before <TAB> SHA-256 of them
//! ```
//!
//! Bytes that are not printable ASCII, and backslashes, are written as in Rust: `\n`, `\\`, `\xc3`.

use std::io::{self, BufRead};

use sha2::{Digest as _, Sha256};

use super::{Key, documents::hexadecimal};

/// The form that this version writes, and the only one so far.
const HEAD: &str = "dv-backup 1\n";

/// One line of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// An entry of the store.
    Entry(Key, Vec<u8>),
    /// A document: its SHA-256, and its text.
    Document(String, String),
    /// A file of the state directory: its name, and its content.
    File(String, Vec<u8>),
}

/// Makes the lines of a backup.
#[derive(Debug)]
pub struct Lines {
    sum: Sha256,
    lines: u64,
}

impl Lines {
    /// The beginning, and what goes on from there.
    #[must_use]
    pub fn begin() -> (Self, Vec<u8>) {
        let mut lines = Self { sum: Sha256::new(), lines: 0 };
        let head = lines.counted(HEAD.as_bytes().to_vec());
        (lines, head)
    }

    /// The line of an item.
    pub fn line(&mut self, item: &Item) -> Vec<u8> {
        let (kind, name, content) = match item {
            Item::Entry(key, value) => ("entry", key.as_bytes(), value.as_slice()),
            Item::Document(hash, text) => ("document", hash.as_bytes(), text.as_bytes()),
            Item::File(name, content) => ("file", name.as_bytes(), content.as_slice()),
        };
        let (name, content) = (escaped(name), escaped(content));
        self.counted(format!("{kind}\t{name}\t{content}\n").into_bytes())
    }

    /// The last line.
    #[must_use]
    pub fn end(self) -> Vec<u8> {
        format!("end\t{}\t{}\n", self.lines, hexadecimal(&self.sum.finalize())).into_bytes()
    }

    fn counted(&mut self, line: Vec<u8>) -> Vec<u8> {
        self.lines += 1;
        self.sum.update(&line);
        line
    }
}

/// Reads a backup. Only one that was read to its end is known to be whole.
#[derive(Debug)]
pub struct Archive<R> {
    from: R,
    sum: Sha256,
    lines: u64,
    ended: bool,
}

/// Why a backup can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It is none, or of another version.
    #[error("it is no backup that this version can read: its first line is not {:?}", HEAD.trim())]
    Head,
    /// It is damaged.
    #[error("it is damaged in line {line}: {why}")]
    Damaged {
        /// Where.
        line: u64,
        /// Why.
        why: String,
    },
    /// It can't be read.
    #[error(transparent)]
    Read(#[from] io::Error),
}

impl<R: BufRead> Archive<R> {
    /// Begins to read.
    pub fn begin(mut from: R) -> Result<Self, ArchiveError> {
        let mut head = Vec::new();
        io::Read::take(&mut from, HEAD.len() as u64).read_until(b'\n', &mut head)?;
        if head != HEAD.as_bytes() {
            return Err(ArchiveError::Head);
        }
        Ok(Self { from, sum: Sha256::new_with_prefix(head), lines: 1, ended: false })
    }

    /// The next item. Nothing, when all were read and the backup is whole.
    pub fn read(&mut self) -> Result<Option<Item>, ArchiveError> {
        if self.ended {
            return Ok(None);
        }
        let mut line = Vec::new();
        self.from.read_until(b'\n', &mut line)?;
        let damaged =
            |why: &str| ArchiveError::Damaged { line: self.lines + 1, why: why.to_owned() };
        let text = std::str::from_utf8(&line).map_err(|_| damaged("it is no text"))?;
        let text =
            text.strip_suffix('\n').ok_or_else(|| damaged("it ends there, before its end"))?;
        let mut parts = text.splitn(3, '\t');
        let mut part = || parts.next().ok_or_else(|| damaged("something is missing"));
        let (kind, name, content) = (part()?, part()?, part()?);
        if kind == "end" {
            let sum = hexadecimal(&self.sum.clone().finalize());
            if name != self.lines.to_string() || content != sum {
                return Err(damaged("what is before it is not what was written"));
            }
            self.ended = true;
            return Ok(None);
        }
        let plain = |text: &str| unescaped(text).ok_or_else(|| damaged("an escape is wrong"));
        let words = |bytes: Vec<u8>| String::from_utf8(bytes).map_err(|_| damaged("it is no text"));
        let (name, content) = (plain(name)?, plain(content)?);
        let item = match kind {
            "entry" => Item::Entry(Key::from_bytes(&name), content),
            "document" => Item::Document(words(name)?, words(content)?),
            "file" => Item::File(words(name)?, content),
            _ => return Err(damaged("nobody knows such a line")),
        };
        self.lines += 1;
        self.sum.update(&line);
        Ok(Some(item))
    }
}

fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'\\' => text.push_str("\\\\"),
            b'\n' => text.push_str("\\n"),
            0x20..=0x7e => text.push(char::from(*byte)),
            _ => text.push_str(&format!("\\x{byte:02x}")),
        }
    }
    text
}

fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'\\' {
            bytes.push(*first);
            continue;
        }
        let (kind, after) = rest.split_first()?;
        rest = after;
        match kind {
            b'\\' => bytes.push(b'\\'),
            b'n' => bytes.push(b'\n'),
            b'x' => {
                let (digits, after) = rest.split_at_checked(2)?;
                bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
                rest = after;
            }
            _ => return None,
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items() -> Vec<Item> {
        let all: Vec<u8> = (0..=255).collect();
        vec![
            Item::Entry(Key::from_bytes(&all), all.clone()),
            Item::Entry(Key::from_bytes(b"a"), Vec::new()),
            Item::Document("0".repeat(64), "{\"a\":\"\\n \t Gr\u{fc}\u{df}e\"}\n".to_owned()),
            Item::File("identity/ca.pem".to_owned(), b"-----\n".to_vec()),
        ]
    }

    fn written() -> Vec<u8> {
        let (mut lines, mut text) = Lines::begin();
        for item in items() {
            text.extend(lines.line(&item));
        }
        text.extend(lines.end());
        text
    }

    fn read(text: &[u8]) -> Result<Vec<Item>, ArchiveError> {
        let mut archive = Archive::begin(text)?;
        let mut found = Vec::new();
        while let Some(item) = archive.read()? {
            found.push(item);
        }
        Ok(found)
    }

    #[test]
    fn what_is_written_is_read() {
        assert!(written().is_ascii());
        assert_eq!(read(&written()).unwrap(), items());
    }

    #[test]
    fn what_is_cut_short_or_changed_anywhere_is_refused() {
        let text = written();
        for length in 0..text.len() {
            assert!(read(&text[..length]).is_err(), "{length} of {}", text.len());
        }
        for at in 0..text.len() {
            let mut changed = text.clone();
            changed[at] ^= 1;
            assert!(read(&changed).is_err(), "byte {at} of {}", text.len());
        }
        let other = String::from_utf8(text).unwrap().replacen("dv-backup 1", "dv-backup 2", 1);
        assert!(matches!(read(other.as_bytes()), Err(ArchiveError::Head)));
    }
}

//! As much of what a program prints as is kept.

use std::collections::VecDeque;

use dv_types::outcome::Output;

/// The end of it.
#[derive(Default)]
pub(super) struct Tail {
    kept: VecDeque<u8>,
    dropped: u64,
}

impl Tail {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.kept.extend(bytes);
        let excess = self.kept.len().saturating_sub(Output::LIMIT);
        self.kept.drain(..excess);
        self.dropped += excess as u64;
    }

    /// As text of at most [`Output::LIMIT`] bytes; what is no text is shown as U+FFFD.
    pub(super) fn into_output(mut self) -> Output {
        let bytes = self.kept.make_contiguous();
        // A character may have lost its first bytes where the output was cut.
        let cut = match self.dropped {
            0 => 0,
            _ => bytes.iter().take(3).take_while(|b| **b & 0xC0 == 0x80).count(),
        };
        self.dropped += cut as u64;
        let mut tail = String::from_utf8_lossy(&bytes[cut..]).into_owned();
        if tail.len() > Output::LIMIT {
            let excess = tail.len() - Output::LIMIT;
            let from = (excess..).find(|at| tail.is_char_boundary(*at)).unwrap_or(excess);
            self.dropped += from as u64;
            tail.drain(..from);
        }
        Output { tail, dropped: self.dropped }
    }
}

/// The beginning of it.
#[derive(Default)]
pub(super) struct Head(Vec<u8>);

impl Head {
    pub(super) const LIMIT: usize = 64 * 1024;

    pub(super) fn push(&mut self, bytes: &[u8]) {
        let room = Self::LIMIT - self.0.len();
        self.0.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    pub(super) fn into_text(self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_kept_and_the_rest_is_counted() {
        let mut tail = Tail::default();
        for _ in 0..10 {
            tail.push(&[b'a'; 1000]);
        }
        tail.push(b"end");
        let output = tail.into_output();
        assert_eq!(output.tail.len(), Output::LIMIT);
        assert!(output.tail.ends_with("aend"));
        assert_eq!(output.dropped, 10_003 - Output::LIMIT as u64);
    }

    #[test]
    fn it_is_text_within_the_limit_whatever_is_printed() {
        for bytes in [&[0xFF_u8; 3000][..], "ü".repeat(5000).as_bytes(), &[0x80; 9000]] {
            let mut tail = Tail::default();
            tail.push(b"x");
            tail.push(bytes);
            let output = tail.into_output();
            assert!(output.tail.len() <= Output::LIMIT, "{}", output.tail.len());
            assert!(output.dropped > 0);
        }
    }
}

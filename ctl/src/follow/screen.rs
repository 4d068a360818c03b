//! Lines on a terminal that are drawn over by the next ones.

use std::io::{self, Write};

use crate::display::line::Line;

/// Begin and end of a picture that a terminal should show at once.
const BEGIN: &str = "\u{1b}[?2026h";
const END: &str = "\u{1b}[?2026l";
/// From the cursor to the end of the screen.
const CLEAR: &str = "\u{1b}[J";

pub(crate) struct Screen<W> {
    out: W,
    colour: bool,
    /// The widths of the lines that stand there now.
    drawn: Vec<usize>,
}

impl<W: Write> Screen<W> {
    pub(crate) fn new(out: W, colour: bool) -> Self {
        Self { out, colour, drawn: Vec::new() }
    }

    /// Puts `lines` in place of those that stand there. The terminal is `width` columns wide now.
    pub(crate) fn draw(&mut self, lines: &[Line], width: usize) -> io::Result<()> {
        let mut text = BEGIN.to_owned() + &self.back(width);
        for line in lines {
            text += &line.render(self.colour);
            text += "\n";
        }
        text += END;
        self.drawn = lines.iter().map(Line::width).collect();
        self.put(&text)
    }

    /// Puts a line that stays above those that are redrawn.
    pub(crate) fn above(&mut self, line: &Line, width: usize) -> io::Result<()> {
        let text = self.back(width) + &line.render(self.colour) + "\n";
        self.drawn.clear();
        self.put(&text)
    }

    /// Takes away what stands there.
    pub(crate) fn erase(&mut self, width: usize) -> io::Result<()> {
        let text = self.back(width);
        self.drawn.clear();
        self.put(&text)
    }

    /// To the first line that was drawn, which a terminal that has become narrower has broken into several.
    fn back(&self, width: usize) -> String {
        let rows: usize = self.drawn.iter().map(|w| w.div_ceil(width.max(1)).max(1)).sum();
        match rows {
            0 => String::new(),
            rows => format!("\u{1b}[{rows}A\r{CLEAR}"),
        }
    }

    fn put(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_back_over_lines_that_a_narrower_terminal_has_broken() {
        let mut out = Vec::new();
        let mut screen = Screen::new(&mut out, false);
        screen.draw(&["0123456789".into(), "".into()], 10).unwrap();
        screen.draw(&["x".into()], 4).unwrap();
        screen.erase(4).unwrap();
        let text = String::from_utf8(out).unwrap();
        let (_, second) = text.split_once("\n\n").unwrap();
        assert!(second.contains("\u{1b}[4A\r"), "three rows and an empty one: {second:?}");
        assert!(second.ends_with("\u{1b}[1A\r\u{1b}[J"), "{second:?}");
    }
}

//! A line of styled text, measured in terminal columns.

use anstyle::{AnsiColor, Style};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Pieces of text, each in its style. Control characters are kept out: what a host prints must not steer the terminal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Line(Vec<(Style, String)>);

impl Line {
    /// A line of one style.
    pub(crate) fn of(style: Style, text: impl AsRef<str>) -> Self {
        Self::default().add(style, text)
    }

    /// Adds text in a style.
    #[must_use]
    pub(crate) fn add(mut self, style: Style, text: impl AsRef<str>) -> Self {
        self.0.push((style, clean(text.as_ref())));
        self
    }

    /// Adds text.
    #[must_use]
    pub(crate) fn plain(self, text: impl AsRef<str>) -> Self {
        self.add(Style::new(), text)
    }

    /// Adds the pieces of another line.
    #[must_use]
    pub(crate) fn append(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Fills up with blanks to `width` columns.
    #[must_use]
    pub(crate) fn pad(self, width: usize) -> Self {
        let missing = width.saturating_sub(self.width());
        self.plain(" ".repeat(missing))
    }

    /// The columns that it takes.
    pub(crate) fn width(&self) -> usize {
        self.0.iter().map(|(_, text)| text.width()).sum()
    }

    /// The beginning that fits into `width` columns; what was cut shows as `…`.
    #[must_use]
    pub(crate) fn cut(self, width: usize) -> Self {
        if self.width() <= width {
            return self;
        }
        let mut left = width.saturating_sub(1);
        let mut cut = Self::default();
        for (style, text) in self.0 {
            let mut kept = String::new();
            let mut full = false;
            for c in text.chars() {
                let columns = c.width().unwrap_or(0);
                if columns > left {
                    full = true;
                    break;
                }
                left -= columns;
                kept.push(c);
            }
            cut.0.push((style, kept));
            if full {
                break;
            }
        }
        if width > 0 { cut.plain("…") } else { cut }
    }

    /// The same over as many lines as `width` columns need, broken at blanks; all but the first are indented.
    pub(crate) fn wrap(self, width: usize, indent: usize) -> Vec<Self> {
        let width = width.max(indent + 20);
        let mut lines = vec![Self::default()];
        for (style, text) in self.0 {
            for word in text.split_inclusive(' ') {
                let full = lines.len() > 1;
                let last = lines.last_mut().expect("there is always one");
                let begun = last.width() > if full { indent } else { 0 };
                if begun && last.width() + word.trim_end().width() > width {
                    lines.push(Self::from(" ".repeat(indent)));
                }
                lines.last_mut().expect("there is always one").0.push((style, word.to_owned()));
            }
        }
        lines
    }

    /// The text, with colours or without.
    pub(crate) fn render(&self, colour: bool) -> String {
        let mut out = String::new();
        for (style, text) in &self.0 {
            if colour && *style != Style::new() && !text.is_empty() {
                out.push_str(&format!("{style}{text}{style:#}"));
            } else {
                out.push_str(text);
            }
        }
        out.truncate(out.trim_end_matches(' ').len());
        out
    }
}

impl From<&str> for Line {
    fn from(text: &str) -> Self {
        Self::default().plain(text)
    }
}

impl From<String> for Line {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

fn clean(text: &str) -> String {
    text.chars()
        .filter_map(|c| match c {
            '\n' | '\t' => Some(' '),
            c if c.is_control() || turns_text(c) => None,
            c => Some(c),
        })
        .collect()
}

/// Whether it changes the direction in which the text after it is read: with it a line can be made to look like another.
pub(crate) const fn turns_text(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// What went well.
pub(crate) const fn good() -> Style {
    AnsiColor::Green.on_default()
}

/// What went wrong.
pub(crate) const fn bad() -> Style {
    AnsiColor::Red.on_default().bold()
}

/// What a person should look at.
pub(crate) const fn warning() -> Style {
    AnsiColor::Yellow.on_default()
}

/// What is under way.
pub(crate) const fn busy() -> Style {
    AnsiColor::Cyan.on_default()
}

/// What stands out.
pub(crate) const fn strong() -> Style {
    Style::new().bold()
}

/// What can be passed over.
pub(crate) const fn faint() -> Style {
    Style::new().dimmed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_to_columns_and_says_so() {
        let line = Line::from("web1 ").add(good(), "healthy");
        assert_eq!(line.clone().cut(12).render(false), "web1 healthy");
        assert_eq!(line.clone().cut(8).render(false), "web1 he…");
        assert_eq!(line.cut(0).render(false), "");
        assert_eq!(Line::from("日本語").cut(5).render(false), "日本…");
    }

    #[test]
    fn keeps_control_characters_out() {
        assert_eq!(Line::from("a\u{1b}[2Jb\r\nc").render(true), "a[2Jb c");
        assert_eq!(Line::from("a\u{202e}b\u{2066}c").render(true), "abc");
    }

    #[test]
    fn breaks_at_blanks_and_indents_what_follows() {
        let line = Line::from("why: ").add(bad(), "no space left on the device of the backup");
        let lines: Vec<String> = line.wrap(24, 2).iter().map(|line| line.render(false)).collect();
        assert_eq!(lines, ["why: no space left on", "  the device of the", "  backup"]);
        let word = Line::from("x".repeat(40)).wrap(24, 2);
        assert_eq!(word.len(), 1, "a word is never broken");
    }
}

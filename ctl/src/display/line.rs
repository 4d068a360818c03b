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
            c if c.is_control() => None,
            c => Some(c),
        })
        .collect()
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
    }
}

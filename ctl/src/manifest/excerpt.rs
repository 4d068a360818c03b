//! A remark on a place in a file: `file:line:column: text`, the line, and a caret under it.

use unicode_width::UnicodeWidthStr as _;

use super::place::Place;
use crate::display::line::{Line, bad, faint, strong, warning};
use dv_types::plan::Severity;

/// The lines that show it.
pub(crate) fn excerpt(
    file: &str,
    source: &str,
    place: Place,
    severity: Severity,
    text: &str,
) -> Vec<Line> {
    let (style, word) = match severity {
        Severity::Error => (bad(), "error"),
        Severity::Warning | Severity::Info => (warning(), "warning"),
    };
    let line = source.lines().nth(place.line - 1).unwrap_or_default();
    // Past the end of the text (a file that breaks off) the caret stands right after the line.
    let before: String = line.chars().take(place.column - 1).collect();
    let marked: String = line.chars().skip(place.column - 1).take(place.length).collect();
    let number = format!("{:>4} | ", place.line);
    let margin = format!("{} | ", " ".repeat(number.len() - 3));
    let before = before.replace('\t', " ");
    vec![
        Line::of(strong(), format!("{file}:{}:{}: ", place.line, place.column))
            .add(style, format!("{word}: "))
            .plain(text),
        Line::of(faint(), number).plain(line),
        Line::of(faint(), margin)
            .plain(" ".repeat(before.width()))
            .add(style, "^".repeat(marked.trim_end().width().max(1))),
    ]
}

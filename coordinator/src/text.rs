//! Texts that others wrote, cut to what is kept of them.

/// Keeps the beginning of a text, at most so many bytes.
pub(crate) fn head(text: &mut String, limit: usize) {
    let end = (0..=limit.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
    text.truncate(end.unwrap_or_default());
}

/// The same, and shows where the rest was.
pub(crate) fn shortened(mut text: String, limit: usize) -> String {
    let whole = text.len();
    head(&mut text, limit);
    if text.len() < whole {
        text.push('…');
    }
    text
}

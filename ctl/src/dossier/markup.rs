//! HTML that is well-formed because it can't be written otherwise: what is opened is closed, and every text is escaped.

/// A page, or a part of one.
#[derive(Debug, Default)]
pub(super) struct Markup(String);

impl Markup {
    /// An element with what `inside` puts into it.
    pub(super) fn element(
        &mut self,
        name: &str,
        attributes: &[(&str, &str)],
        inside: impl FnOnce(&mut Self),
    ) {
        self.open(name, attributes);
        self.0.push('>');
        inside(self);
        self.0.push_str("</");
        self.0.push_str(name);
        self.0.push('>');
    }

    /// An element that holds one text.
    pub(super) fn leaf(&mut self, name: &str, class: &str, text: impl AsRef<str>) {
        let class: &[_] = if class.is_empty() { &[] } else { &[("class", class)] };
        self.element(name, class, |inside| inside.text(text));
    }

    /// An element that holds nothing.
    pub(super) fn empty(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.open(name, attributes);
        self.0.push_str("/>");
    }

    /// A text.
    pub(super) fn text(&mut self, text: impl AsRef<str>) {
        escape(text.as_ref(), &mut self.0);
    }

    /// Text of ours that must not be escaped, as a style sheet.
    pub(super) fn ours(&mut self, text: &'static str) {
        self.0.push_str(text);
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }

    fn open(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.0.push('<');
        self.0.push_str(name);
        for (key, value) in attributes {
            self.0.push(' ');
            self.0.push_str(key);
            self.0.push_str("=\"");
            escape(value, &mut self.0);
            self.0.push('"');
        }
    }
}

/// What a host printed is shown, and does nothing: markup, control characters and marks that turn the direction of
/// reading around are made visible.
fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            '\r' => {}
            '\u{0}'..='\u{1f}' => {
                out.push(char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}'));
            }
            c if c.is_control() => out.push('\u{fffd}'),
            c if crate::display::line::turns_text(c) => {
                out.push_str(&format!("⟨U+{:04X}⟩", u32::from(c)));
            }
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_said_becomes_markup() {
        let mut page = Markup::default();
        page.element("p", &[("title", "\"><b>")], |p| p.text("</p>\u{1b}[2J\r\u{202e}\u{85}'"));
        assert_eq!(
            page.into_string(),
            "<p title=\"&quot;&gt;&lt;b&gt;\">&lt;/p&gt;␛[2J⟨U+202E⟩\u{fffd}&#39;</p>"
        );
    }
}

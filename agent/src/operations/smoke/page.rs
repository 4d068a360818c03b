//! What an answer shows to a person.

use scraper::{Html, Selector};
use url::Url;

/// The last answer, after all redirects. Kept as text: a parsed page is made where it is looked at.
pub(super) struct Page {
    pub(super) url: Url,
    pub(super) status: u16,
    pub(super) is_html: bool,
    pub(super) body: String,
}

impl Page {
    pub(super) fn parse(&self) -> Html {
        Html::parse_document(&self.body)
    }

    /// What the tab is called.
    pub(super) fn title(&self) -> Option<String> {
        if !self.is_html {
            return None;
        }
        let html = self.parse();
        let title = html.select(&fixed("title")).next()?;
        Some(title.text().collect::<String>()).filter(|title| !title.trim().is_empty())
    }

    /// What a person reads: the body, without markup where it is HTML.
    pub(super) fn text(&self) -> String {
        if !self.is_html {
            return self.body.clone();
        }
        let html = self.parse();
        let Some(body) = html.select(&fixed("body")).next() else { return String::new() };
        let mut text = String::new();
        for node in body.descendants() {
            let shown = node
                .parent()
                .and_then(|p| p.value().as_element().map(scraper::node::Element::name));
            if let Some(part) = node.value().as_text()
                && !matches!(shown, Some("script" | "style" | "noscript" | "template"))
            {
                text.push_str(part);
            }
        }
        text
    }
}

/// A selector of somebody else's, or what is wrong with it.
pub(super) fn selector(text: &str) -> Result<Selector, String> {
    Selector::parse(text).map_err(|e| format!("{text:?} is not a CSS selector: {e}"))
}

/// A selector that is known to be one.
pub(super) fn fixed(text: &str) -> Selector {
    Selector::parse(text).expect("it was tried")
}

/// A URL as it is shown: without what may be private in it, and short where it is `home`'s.
pub(super) fn shown(url: &Url, home: Option<&Url>) -> String {
    match home {
        Some(home) if home.origin() == url.origin() => url.path().to_owned(),
        _ => format!("{}{}", url.origin().ascii_serialization(), url.path()),
    }
}

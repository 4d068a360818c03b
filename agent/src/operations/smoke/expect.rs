//! Whether an answer is what was expected, and if not, what came instead.

use dv_types::manifest::Expect;
use url::Url;

use super::{
    page::{self, Page},
    secrets::Secrets,
};

/// So much of a page is shown.
const SHOWN: usize = 200;
const SHOWN_TITLE: usize = 80;

/// Nothing, or `expected …, but …`.
pub(super) fn judge(
    expect: &Expect,
    page: &Page,
    home: Option<&Url>,
    secrets: &Secrets<'_>,
) -> Result<(), String> {
    match missing(expect, page)? {
        Some(missing) => Err(format!("expected {missing}, but {}", describe(page, home, secrets))),
        None => Ok(()),
    }
}

/// The first expectation that does not hold.
fn missing(expect: &Expect, page: &Page) -> Result<Option<String>, String> {
    match expect.status {
        Some(status) if status != page.status => return Ok(Some(format!("status {status}"))),
        None if !(200..=299).contains(&page.status) => {
            return Ok(Some("a status of 200 to 299".to_owned()));
        }
        _ => {}
    }
    if let Some(path) = &expect.path
        && path != page.url.path()
    {
        return Ok(Some(format!("to end at {path}")));
    }
    // As it is written in the body, or as it is read on the screen.
    if let Some(text) = &expect.text
        && !page.body.contains(&**text)
        && !squeezed(&page.text()).contains(&squeezed(text))
    {
        return Ok(Some(format!("the text {text:?}")));
    }
    if let Some(selector) = &expect.selector
        && page.parse().select(&page::selector(selector)?).next().is_none()
    {
        return Ok(Some(format!("something that {selector} selects")));
    }
    Ok(None)
}

/// `got 403 at /login, titled "Sign in": "Wrong password"`
fn describe(page: &Page, home: Option<&Url>, secrets: &Secrets<'_>) -> String {
    let mut words = format!("got {} at {}", page.status, page::shown(&page.url, home));
    // Redacted before it is cut: half a secret would not be known again.
    let cut = |text: &str, length| -> String {
        let text = squeezed(&secrets.redact(text));
        match text.char_indices().nth(length) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text,
        }
    };
    if let Some(title) = page.title() {
        words += &format!(", titled {:?}", cut(&title, SHOWN_TITLE));
    }
    let text = cut(&page.text(), SHOWN);
    match text.is_empty() {
        true => words + ", with nothing to read",
        false => words + &format!(": {text:?}"),
    }
}

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

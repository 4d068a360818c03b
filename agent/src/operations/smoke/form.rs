//! A form on a page, and what a browser would send of it.

use std::collections::BTreeMap;

use scraper::{ElementRef, Html};
use url::{Url, form_urlencoded};

use super::{
    page::{self, Page, fixed},
    secrets::Hidden,
};

/// A form, ready to be filled in.
pub(super) struct Form {
    pub(super) action: Url,
    pub(super) is_post: bool,
    controls: Vec<Control>,
}

/// A named control. Not to be printed: a page may show a password again.
struct Control {
    name: String,
    /// What is sent of it where nobody fills it in; nothing of a box that is not ticked.
    values: Vec<String>,
}

impl Form {
    /// The first form that `selector` finds on `page`.
    pub(super) fn find(page: &Page, selector: &str) -> Result<Self, String> {
        let selects = page::selector(selector)?;
        let html = page.parse();
        let form = html
            .select(&selects)
            .next()
            .ok_or_else(|| format!("the page has nothing that {selector} selects"))?;
        if form.value().name() != "form" {
            return Err(format!("{selector} selects a <{}>, not a <form>", form.value().name()));
        }
        let owned: Vec<_> = html
            .select(&fixed("input, select, textarea, button"))
            .filter(|control| is_of(*control, form) && !is_disabled(*control))
            .collect();
        let button = owned.iter().copied().find(|control| submits(*control));
        // The button's word goes before the form's, as in a browser.
        let says = |of_button: &str, of_form: &str| {
            let button = button.and_then(|button| button.attr(of_button));
            button.or_else(|| form.attr(of_form)).map(str::trim).filter(|text| !text.is_empty())
        };
        let is_post = match says("formmethod", "method").map(str::to_lowercase).as_deref() {
            Some("post") => true,
            Some("dialog") => {
                return Err(format!("the form {selector} sends nothing: its method is dialog"));
            }
            _ => false,
        };
        if is_post
            && let Some(encoding) = says("formenctype", "enctype").map(str::to_lowercase)
            && matches!(&*encoding, "multipart/form-data" | "text/plain")
        {
            return Err(format!(
                "the form {selector} is sent as {encoding}; only application/x-www-form-urlencoded is possible: use `command`"
            ));
        }
        let action = match says("formaction", "action") {
            Some(action) => base(&html, page)
                .join(action)
                .map_err(|e| format!("the form {selector} has the action {action:?}: {e}"))?,
            None => page.url.clone(),
        };
        let controls = owned.into_iter().filter_map(|c| control(c, button)).collect();
        Ok(Self { action, is_post, controls })
    }

    /// Whether a person could fill these in.
    pub(super) fn has<'a>(
        &self,
        fields: impl IntoIterator<Item = &'a String>,
    ) -> Result<(), String> {
        for field in fields {
            if self.controls.iter().any(|control| control.name == *field) {
                continue;
            }
            let mut names: Vec<_> = self.controls.iter().map(|c| c.name.as_str()).collect();
            names.dedup();
            return Err(match names.is_empty() {
                true => format!("the form has no field {field:?}, nor any other"),
                false => format!("the form has no field {field:?}; it has {}", names.join(", ")),
            });
        }
        Ok(())
    }

    /// What is sent, with `fields` filled in.
    pub(super) fn filled(&self, fields: &BTreeMap<&str, Hidden>) -> Hidden {
        let mut text = form_urlencoded::Serializer::new(String::new());
        let mut done: Vec<&str> = Vec::new();
        for Control { name, values } in &self.controls {
            match fields.get(&**name) {
                // Of several with one name, such as the choices of a radio button, one is filled in.
                Some(_) if done.contains(&&**name) => {}
                Some(value) => {
                    done.push(name);
                    text.append_pair(name, &lines(value.expose()));
                }
                None => {
                    for value in values {
                        text.append_pair(name, &lines(value));
                    }
                }
            }
        }
        Hidden::new(text.finish())
    }
}

/// What relative addresses on the page are relative to.
fn base(html: &Html, page: &Page) -> Url {
    let href = html.select(&fixed("base[href]")).next().and_then(|base| base.attr("href"));
    href.and_then(|href| page.url.join(href).ok()).unwrap_or_else(|| page.url.clone())
}

/// Whether `control` is one of `form`'s: it says so, or it stands in it.
fn is_of(control: ElementRef<'_>, form: ElementRef<'_>) -> bool {
    match control.attr("form") {
        Some(id) => form.attr("id") == Some(id),
        None => {
            let nearest = control.ancestors().filter_map(ElementRef::wrap);
            nearest.into_iter().find(|e| e.value().name() == "form") == Some(form)
        }
    }
}

fn is_disabled(control: ElementRef<'_>) -> bool {
    control.attr("disabled").is_some()
        || control
            .ancestors()
            .filter_map(ElementRef::wrap)
            .any(|e| e.value().name() == "fieldset" && e.attr("disabled").is_some())
}

fn kind(control: ElementRef<'_>) -> String {
    control.attr("type").unwrap_or_default().to_lowercase()
}

fn submits(control: ElementRef<'_>) -> bool {
    match control.value().name() {
        "button" => !matches!(&*kind(control), "button" | "reset"),
        "input" => matches!(&*kind(control), "submit" | "image"),
        _ => false,
    }
}

/// What is sent of a control; nothing of one that has no name, or that is a button which is not pressed.
fn control(element: ElementRef<'_>, pressed: Option<ElementRef<'_>>) -> Option<Control> {
    let name = element.attr("name").filter(|name| !name.is_empty())?.to_owned();
    let value = element.attr("value");
    let values = match element.value().name() {
        "button" if pressed == Some(element) => vec![value.unwrap_or_default().to_owned()],
        "button" => return None,
        "textarea" => {
            let text: String = element.text().collect();
            vec![text]
        }
        "select" => chosen(element),
        _ => match &*kind(element) {
            "checkbox" | "radio" if element.attr("checked").is_none() => Vec::new(),
            "checkbox" | "radio" => vec![value.unwrap_or("on").to_owned()],
            "submit" if pressed == Some(element) => vec![value.unwrap_or_default().to_owned()],
            "submit" | "button" | "reset" | "image" | "file" => return None,
            _ => vec![value.unwrap_or_default().to_owned()],
        },
    };
    Some(Control { name, values })
}

/// The options that are chosen; where only one can be, the last of them, or else the first that there is.
fn chosen(select: ElementRef<'_>) -> Vec<String> {
    let options: Vec<_> = select
        .select(&fixed("option"))
        .filter(|option| option.attr("disabled").is_none())
        .collect();
    let value = |option: &ElementRef<'_>| match option.attr("value") {
        Some(value) => value.to_owned(),
        None => option.text().collect::<String>().split_whitespace().collect::<Vec<_>>().join(" "),
    };
    let mut selected = options.iter().filter(|option| option.attr("selected").is_some());
    if select.attr("multiple").is_some() {
        return selected.map(value).collect();
    }
    selected.next_back().or(options.first()).map(value).into_iter().collect()
}

/// Ends of lines as forms send them.
fn lines(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n").replace('\n', "\r\n")
}

//! Variables in templates, and which stand where.

use super::Problems;

/// `${version}`, which stands in tags, refs and commands.
pub(super) const VERSION: &[&str] = &["version"];
/// What happens once may be named after its rollout too.
pub(super) const ONCE: &[&str] = &["version", "rollout"];

/// Checks the variables in `text`, and that it is not blank.
pub(super) fn check(text: &str, what: &str, path: &str, problems: &mut Problems) {
    if text.trim().is_empty() {
        problems.error(path, format!("the {what} is empty"));
    }
    variables(text, VERSION, path, problems);
}

/// Checks that the variables in `text` are among `known`.
pub(super) fn variables(text: &str, known: &[&str], path: &str, problems: &mut Problems) {
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let inner = &rest[start + 2..];
        let Some(end) = inner.find('}') else {
            problems.error(path, format!("`${{` has no `}}`: write ${{{}}}", known[0]));
            return;
        };
        let name = &inner[..end];
        if !known.contains(&name) {
            let known: Vec<_> = known.iter().map(|name| format!("${{{name}}}")).collect();
            let known = known.join(" and ");
            problems.error(path, format!("there is no variable ${{{name}}} here: only {known}"));
        }
        rest = &inner[end + 1..];
    }
}

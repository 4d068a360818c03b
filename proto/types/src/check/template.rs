//! `${version}`, the only variable. It stands in tags, refs and commands.

use super::Problems;

/// Checks the variables in `text`, and that it is not blank.
pub(super) fn check(text: &str, what: &str, path: &str, problems: &mut Problems) {
    if text.trim().is_empty() {
        problems.error(path, format!("the {what} is empty"));
    }
    variables(text, path, problems);
}

/// Checks the variables in `text`.
pub(super) fn variables(text: &str, path: &str, problems: &mut Problems) {
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let inner = &rest[start + 2..];
        let Some(end) = inner.find('}') else {
            problems.error(path, "`${` has no `}`: write ${version}");
            return;
        };
        let name = &inner[..end];
        if name != "version" {
            problems
                .error(path, format!("there is no variable ${{{name}}}: only ${{version}} exists"));
        }
        rest = &inner[end + 1..];
    }
}

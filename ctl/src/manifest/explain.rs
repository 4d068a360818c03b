//! The YAML library's errors in the words of a manifest.

use serde_saphyr::{DefaultMessageFormatter, Error, MessageFormatter as _};

use super::suggest::{listed, nearest};

/// What is wrong, in one line without the place.
pub(crate) fn explain(error: &Error) -> String {
    match error.without_snippet() {
        Error::SerdeUnknownField { field, expected, .. } => unknown("key", field, expected),
        Error::SerdeUnknownVariant { variant, expected, .. } => unknown("word", variant, expected),
        Error::SerdeMissingField { field, .. } => format!("the key `{field}` is missing here"),
        Error::DuplicateMappingKey { key: Some(key), .. } => {
            format!("the key `{key}` stands here twice")
        }
        Error::MultipleDocuments { .. } => {
            "a second document begins here: a manifest is one document".to_owned()
        }
        Error::Eof { .. } => "the manifest is empty".to_owned(),
        Error::InvalidUtf8Input => "the file is not UTF-8 text".to_owned(),
        Error::NullIntoString { .. } => {
            "there is no value here: write a text, or leave the key out".to_owned()
        }
        Error::Unexpected { expected, .. } => match *expected {
            "string scalar" => "expected a text here, not a list or keys".to_owned(),
            "mapping start" => "expected keys with values here".to_owned(),
            "sequence start" => {
                "expected a list here: [a, b], or lines that begin with `- `".to_owned()
            }
            other => format!("expected {other}"),
        },
        Error::InvalidBooleanStrict { .. } => "expected `true` or `false` here".to_owned(),
        Error::InvalidScalar { ty, .. } => match *ty {
            "boolean" | "bool" => "expected `true` or `false` here".to_owned(),
            ty if ty.starts_with(['u', 'i']) => {
                "expected a whole number here, 0 or more".to_owned()
            }
            ty => format!("this is no {ty}"),
        },
        Error::UnknownAnchor { .. } => "there is no anchor of this name above".to_owned(),
        Error::AliasError { error, .. } => explain(error),
        Error::Message { msg, .. } => first_line(msg),
        other => first_line(&DefaultMessageFormatter.format_message(other)),
    }
}

fn unknown(what: &str, word: &str, known: &[&str]) -> String {
    match nearest(word, known) {
        Some(near) => format!("unknown {what} `{word}`: did you mean `{near}`?"),
        None => format!("unknown {what} `{word}`: known here are {}", listed(known)),
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

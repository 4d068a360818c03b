//! From a file to a checked document: a manifest, or a release.

use std::path::Path;

use dv_types::{Manifest, check::Problem, plan::Severity};
use serde::{Serialize, de::DeserializeOwned};
use serde_saphyr::{Error, Options, options};

use super::{
    excerpt::excerpt,
    explain::explain,
    place::{Place, Tree},
};
use crate::{
    display::line::Line,
    error::{self, Result},
};

/// A file as it was read.
pub(crate) struct Checked<T = Manifest> {
    /// The document, where the file holds one.
    pub(crate) document: Option<T>,
    /// What is to be said about it, in the order of the file's problems.
    pub(crate) remarks: Vec<Remark>,
    file: String,
    source: String,
}

/// Something to be said about a place in the file.
#[derive(Debug, Serialize)]
pub(crate) struct Remark {
    pub(crate) severity: Severity,
    pub(crate) line: usize,
    pub(crate) column: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<String>,
    pub(crate) text: String,
    #[serde(skip)]
    place: Place,
}

impl Remark {
    fn new(severity: Severity, place: Place, path: Option<String>, text: String) -> Self {
        Self { severity, line: place.line, column: place.column, path, text, place }
    }
}

/// The text in `path`.
pub(super) fn text(path: &Path) -> Result<String> {
    let file = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|why| {
        error::Error::refused(format!("the manifest {file} can't be read: {why}"))
    })?;
    String::from_utf8(bytes).map_err(|bad| {
        let good = String::from_utf8_lossy(&bad.as_bytes()[..bad.utf8_error().valid_up_to()]);
        let line = good.matches('\n').count() + 1;
        let column = good.chars().rev().take_while(|c| *c != '\n').count() + 1;
        error::Error::refused(format!("{file}:{line}:{column}: the file is not UTF-8 text"))
    })
}

/// Checks a manifest.
pub(super) fn check(file: String, source: String) -> Checked {
    check_as(file, source, Manifest::check)
}

/// Checks a document of this kind.
pub(super) fn check_as<T: DeserializeOwned>(
    file: String,
    source: String,
    problems: impl FnOnce(&T) -> Vec<Problem>,
) -> Checked<T> {
    let (document, remarks) = match serde_saphyr::from_str_with_options(&source, yaml()) {
        Err(error) => (None, vec![refusal(&error, &source)]),
        Ok(document) => {
            let remarks = remarks(problems(&document), &source);
            (Some(document), remarks)
        }
    };
    Checked { document, remarks, file, source }
}

/// Where and why the text is no manifest.
fn refusal(error: &Error, source: &str) -> Remark {
    let place = error.location().map_or(Place { line: 1, column: 1, length: 1 }, Place::from);
    let tree = Tree::read(source);
    let tree = tree.as_ref();
    // The library points behind these; the document knows better.
    let (place, text) = match error {
        Error::SerdeMissingField { .. } => {
            (tree.and_then(|t| t.first_key_beside(place)).unwrap_or(place), explain(error))
        }
        Error::Unexpected { .. } | Error::ExpectedMappingEndAfterEnumVariantValue { .. } => {
            match tree.and_then(Tree::odd_step) {
                Some((place, text)) => (place, text.to_owned()),
                None => (place, explain(error)),
            }
        }
        _ => (place, explain(error)),
    };
    Remark::new(Severity::Error, place, None, text)
}

fn remarks(problems: Vec<Problem>, source: &str) -> Vec<Remark> {
    let tree = Tree::read(source);
    let place = |path: &str| {
        tree.as_ref().map_or(Place { line: 1, column: 1, length: 1 }, |tree| tree.place(path))
    };
    problems
        .into_iter()
        .map(|p| Remark::new(p.severity, place(&p.path), Some(p.path), p.text))
        .collect()
}

fn yaml() -> Options {
    options! { with_snippet: false }
}

impl<T> Checked<T> {
    /// Whether a rollout can be made of it.
    pub(crate) fn is_good(&self) -> bool {
        self.document.is_some() && self.errors() == 0
    }

    /// The file's name.
    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    /// Says more of it.
    pub(super) fn add(&mut self, problems: Vec<Problem>) {
        self.remarks.extend(remarks(problems, &self.source));
    }

    /// Where in the file `path` stands, as messages begin.
    pub(super) fn at(&self, path: &str) -> String {
        let place = Tree::read(&self.source).map(|tree| tree.place(path));
        let (line, column) = place.map_or((1, 1), |place| (place.line, place.column));
        format!("{}:{line}:{column}", self.file)
    }

    /// How many remarks are errors.
    pub(crate) fn errors(&self) -> usize {
        self.remarks.iter().filter(|r| r.severity == Severity::Error).count()
    }

    /// The remarks, each with its place and the line.
    pub(crate) fn lines(&self) -> Vec<Line> {
        let show = |r: &Remark| excerpt(&self.file, &self.source, r.place, r.severity, &r.text);
        self.remarks.iter().flat_map(show).collect()
    }
}

#[cfg(test)]
mod tests;

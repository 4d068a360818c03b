//! The dossier for programs: its fields as keys.

use super::Dossier;

/// The document, indented.
pub(crate) fn json(dossier: &Dossier) -> String {
    let text = serde_json::to_string_pretty(dossier).expect("a dossier is plain data");
    text + "\n"
}

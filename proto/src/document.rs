//! Documents in messages.

use serde::{Serialize, de::DeserializeOwned};

/// A field of a message does not hold the document that it should.
#[derive(Debug, thiserror::Error)]
#[error("the field `{field}` holds no valid {what}: {why}")]
pub struct InvalidDocument {
    field: &'static str,
    what: &'static str,
    why: String,
}

impl From<InvalidDocument> for tonic::Status {
    fn from(invalid: InvalidDocument) -> Self {
        Self::invalid_argument(invalid.to_string())
    }
}

/// Reads the document in `field`.
pub fn from_json<T: DeserializeOwned>(
    field: &'static str,
    text: &str,
) -> Result<T, InvalidDocument> {
    serde_json::from_str(text).map_err(|why| InvalidDocument {
        field,
        what: std::any::type_name::<T>().rsplit("::").next().unwrap_or("document"),
        why: why.to_string(),
    })
}

/// Writes a document for a field.
#[must_use]
pub fn to_json<T: Serialize>(document: &T) -> String {
    serde_json::to_string(document).expect("documents are plain data with text keys")
}

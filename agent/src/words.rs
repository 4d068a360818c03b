//! Errors in words that people know.

use std::error::Error;

/// The innermost cause: "Connection refused" rather than "transport error".
pub(crate) fn innermost(error: &dyn Error) -> String {
    error.source().map_or_else(|| error.to_string(), innermost)
}

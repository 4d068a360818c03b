//! The context file with which an operator reaches the coordinator.

use std::{io, path::PathBuf};

use dv_types::Timestamp;
use serde::Serialize;

use super::{Authority, IdentityError};
use crate::files;

#[derive(Serialize)]
struct Context<'a> {
    coordinator: &'a str,
    name: &'a str,
    ca: &'a str,
    certificate: &'a str,
    key: &'a str,
}

/// Makes the context file for operator `name` at `path`, for a coordinator at `address`. Nothing happens if it
/// is there already.
pub fn context_file(
    authority: &Authority,
    path: PathBuf,
    name: &str,
    address: &str,
    now: Timestamp,
) -> Result<PathBuf, IdentityError> {
    if path.exists() {
        return Ok(path);
    }
    if let Some(directory) = path.parent() {
        files::private_directory(directory)?;
    }
    let (issued, key) = authority.issue_operator(name, now)?;
    let context = Context {
        coordinator: address,
        name,
        ca: authority.certificate(),
        certificate: &issued.certificate,
        key: &key,
    };
    let text = serde_saphyr::to_string(&context).map_err(io::Error::other)?;
    files::write_durably(&path, text.as_bytes())?;
    Ok(path)
}

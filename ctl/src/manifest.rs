//! A manifest file, or that of a release: read, checked, and what is wrong with it shown in its place.

mod excerpt;
mod explain;
mod place;
mod read;
mod release;
mod schema;
mod suggest;

pub(crate) use read::Checked;
pub(crate) use release::{File, read};
pub(crate) use schema::schema;

//! A manifest file: read, checked, and what is wrong with it shown in its place.

mod excerpt;
mod explain;
mod place;
mod read;
mod schema;
mod suggest;

pub(crate) use read::{Checked, read};
pub(crate) use schema::schema;

//! The workspace as cargo sees it, for the tests that guard its shape.

mod links;
mod metadata;

pub use links::{Link, links_of, markdown_files};
pub use metadata::{Edge, Member, Workspace};

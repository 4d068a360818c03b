//! Programs of the host, run without a shell.

use std::io;

use dv_types::Finding;
use futures_util::future::BoxFuture;

pub use crate::{
    limits::{Limits, Stop},
    process::{Finished, Program},
};

/// What runs programs.
pub trait Programs: Send + Sync {
    /// Runs `program` until it ends or `limits` are reached; then it is killed, with all that it started.
    fn run<'a>(
        &'a self,
        program: Program<'a>,
        limits: &'a Limits,
    ) -> BoxFuture<'a, io::Result<Finished>>;

    /// Whether there is a program of this name; in words where that can't be told.
    fn find<'a>(&'a self, argv: &'a [String]) -> BoxFuture<'a, Result<Finding, String>>;
}

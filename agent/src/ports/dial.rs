//! The way to the coordinator.

use std::{pin::Pin, time::Duration};

use dv_proto::v1::{FromAgent, ToAgent};
use futures_util::{Stream, future::BoxFuture};
use tonic::Status;

/// What the agent says over one stream.
pub type Words = Pin<Box<dyn Stream<Item = FromAgent> + Send>>;
/// What it is told over it.
pub type Orders = Pin<Box<dyn Stream<Item = Result<ToAgent, Status>> + Send>>;

/// What finds coordinators.
pub trait Dial: Send + Sync {
    /// A line to the one at this address, with this host's identity as it is now; in words why there is none.
    fn dial(&self, address: &str) -> Result<Box<dyn Line>, String>;
}

/// A line over which a stream can be opened.
pub trait Line: Send + Sync {
    /// Who this host is, to the coordinator.
    fn host(&self) -> &str;

    /// Opens the stream. Where the coordinator stands by, it may let the host wait so long for a leader.
    fn open(&self, words: Words, wait: Option<Duration>) -> BoxFuture<'_, Result<Orders, Status>>;

    /// Ends when the host has a new identity, to be shown at once; never, if it gets none.
    fn renewed(&self) -> BoxFuture<'_, ()>;

    /// The coordinator asks this host to get a new identity within this time, because its authority has changed.
    fn renew(&self, within: Duration);
}

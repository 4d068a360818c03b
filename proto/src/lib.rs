//! The wire of dv: generated messages, and the documents that they carry.
//!
//! The messages are envelopes; what they carry are documents of `dv-types` in JSON
//! (`docs/adr/0002-documents-are-json.md`). Wire types stop at the programs' edges.

mod addresses;
mod codec;
pub mod come_back;
mod coordinators;
pub mod dial;
mod document;
mod standby;

/// Messages and services of `dv.v1`, generated from `proto/dv/v1/*.proto`.
#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::pedantic,
    reason = "generated code"
)]
pub mod v1 {
    include!("gen/dv.v1.rs");
}

/// The header of an answer that says that whoever asked should ask for a new certificate.
pub const RENEW: &str = "dv-renew";

pub use addresses::Addresses;
pub use codec::Frugal;
pub use coordinators::{Coordinators, was_not_sent};
pub use document::{InvalidDocument, from_json, to_json};
pub use standby::{Standby, may_wait, standby_wait};

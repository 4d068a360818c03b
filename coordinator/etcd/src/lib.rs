//! A small client of etcd: keys, transactions and leases, over whichever member answers.
//!
//! It knows nothing of dv. Calls go to the member that answered last, and to the next one where it does not answer in
//! time: so a call may reach etcd twice, and every transaction must be one that may (docs/adr/0007 says why this is not
//! a library).
//!
//! ```text
//! Etcd (calls, over members in turn) ── Txn (compare, then write or read)
//!   └── Member (a connection, made when it is needed) ── Login (a token, renewed when etcd forgets it)
//! ```

mod client;
mod error;
mod login;
mod member;
mod txn;

/// Messages of etcd, generated from `proto/etcd.proto`.
#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::pedantic,
    reason = "generated code"
)]
mod api {
    include!("gen/etcdserverpb.rs");
}

pub use client::{Etcd, Room};
pub use error::{Error, InvalidMember};
pub use login::Login;
pub use prost::bytes::Bytes;
pub use txn::{Answer, Entry, Range, Txn};

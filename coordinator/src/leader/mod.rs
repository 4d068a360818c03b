//! One of several coordinators leads; the others stand by. etcd decides which.
//!
//! ```text
//! Candidate ── stands by: keeps a lease, and looks who leads; where nobody does, it puts its name into the leader's key
//!    │          Door: hosts that found no leader wait at a standby
//!    ▼
//! Leadership ── Fence (every write compares the leader's key) ── Tenure (how long it may believe that it leads)
//!    └── keeps the lease; resigns where more hosts wait at a standby than have found the way here
//! ```

mod authority;
mod candidate;
mod config;
mod door;
mod leadership;
mod tally;
mod tenure;

use dv_etcd::{Entry, Etcd};
use dv_types::Span;
use serde::{Deserialize, Serialize};

use crate::store::Layout;

pub use authority::AuthorityError;
pub use candidate::{Candidate, Standing};
pub use config::{EtcdConfig, EtcdTls, Place};
pub use door::{Door, Waiting};
pub use leadership::{Leadership, Lost};
pub use tenure::Tenure;

/// Where coordinators meet.
#[derive(Debug, Clone)]
pub struct Cluster {
    pub(crate) etcd: Etcd,
    pub(crate) layout: Layout,
    /// How long a lease lasts after each renewal.
    pub(crate) lease: Span,
}

/// Who leads, as the leader's key says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leader {
    /// New at each start of a coordinator.
    pub id: String,
    /// Where agents and operators reach it.
    pub address: String,
}

/// A coordinator that stands by, as its key says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Standby {
    pub(crate) id: String,
    pub(crate) address: String,
    /// Hosts that wait at its door.
    pub(crate) waiting: usize,
}

/// What a key says, if it says it in these words.
fn read<T: for<'de> Deserialize<'de>>(entry: &Entry) -> Option<T> {
    serde_json::from_slice(&entry.value).ok()
}

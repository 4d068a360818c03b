//! What only a leader may do: every write compares the leader's key, which came to be when it began to lead.

use std::time::Duration;

use dv_etcd::{Bytes, Entry, Txn};

use crate::{leader::Tenure, ports::StoreError};

/// The longest that a read or a write may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The right to write.
#[derive(Debug, Clone)]
pub struct Fence {
    /// The leader's key.
    pub(crate) key: Bytes,
    /// The revision at which it came to be, which is the term's own.
    pub(crate) created: i64,
    /// The lease that it ends with.
    pub(crate) lease: i64,
    /// For how long it is known to be there.
    pub(crate) tenure: Tenure,
}

impl Fence {
    /// Only while this leader leads.
    pub(super) fn guard(&self, txn: Txn) -> Txn {
        txn.if_created(self.key.clone(), self.created)
    }

    /// Whether what was found at the leader's key is this leader's.
    pub(super) fn is(&self, found: &[Entry]) -> bool {
        found.first().is_some_and(|entry| entry.created == self.created)
    }

    /// How long to ask for; nothing is asked once the tenure is over.
    pub(super) fn patience(&self) -> Result<Duration, StoreError> {
        match self.tenure.left() {
            Duration::ZERO => Err(StoreError::Deposed),
            left => Ok(left.min(PATIENCE)),
        }
    }

    /// Somebody else leads.
    pub(super) fn deposed(&self) -> StoreError {
        self.tenure.end();
        StoreError::Deposed
    }
}

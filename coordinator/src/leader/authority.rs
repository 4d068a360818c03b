//! All coordinators of a fleet have one certificate authority: hosts and operators know its certificates and no others.
//! etcd keeps its pin, which is no secret; the authority itself is brought to each coordinator by a person.

use std::time::Duration;

use dv_etcd::{Error, Range, Txn};

use super::Cluster;
use crate::identity::Authority;

/// How long etcd has to answer at the start.
const PATIENCE: Duration = Duration::from_secs(10);

/// A coordinator can't be one of this fleet's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    /// etcd does not say whether the fleet has an authority.
    #[error("whether this coordinator has the fleet's certificate authority can't be seen: {0}")]
    Unknown(#[from] Error),
    /// The fleet has one, and it is not here.
    #[error(
        "the fleet has a certificate authority, and it is not here: run `dv-coordinator identity export` on a coordinator \
         that has it, and `dv-coordinator identity import` here"
    )]
    Missing,
    /// The fleet has another one.
    #[error(
        "the fleet's certificate authority is another one (pin {fleets}) than the one here (pin {ours}): run \
         `dv-coordinator identity export` on a coordinator that has it, and `dv-coordinator identity import --replace` here"
    )]
    Another {
        /// Its pin.
        fleets: String,
        /// The pin of the one here.
        ours: String,
    },
}

impl Cluster {
    /// Refuses to make an authority where the fleet has one.
    pub(crate) async fn expect_authority(&self, is_there: bool) -> Result<(), AuthorityError> {
        let pin = self.etcd.get(PATIENCE, self.layout.authority()).await?;
        if pin.is_some() && !is_there { Err(AuthorityError::Missing) } else { Ok(()) }
    }

    /// Makes this authority the fleet's, if it has none yet, or has one that this one has followed and that is retired.
    pub(crate) async fn agree_on_authority(&self, ours: &Authority) -> Result<(), AuthorityError> {
        let key = self.layout.authority();
        let pin = ours.pin();
        let txn = Txn::default()
            .if_absent(key.clone())
            .put(key.clone(), pin.clone())
            .or_read(Range::key(key.clone()));
        let answer = self.etcd.txn(PATIENCE, txn).await?;
        let found = answer.read.first().and_then(|found| found.first());
        match found.map(|found| String::from_utf8_lossy(&found.value).into_owned()) {
            Some(fleets) if ours.trusted().iter().any(|anchor| anchor.pin == fleets) => Ok(()),
            Some(fleets) if ours.lineage().contains(&fleets) => {
                self.etcd.txn(PATIENCE, Txn::default().put(key, pin)).await?;
                Ok(())
            }
            Some(fleets) => Err(AuthorityError::Another { fleets, ours: pin }),
            None => Ok(()),
        }
    }
}

//! A coordinator that leads, for as long as it does.

use std::time::Duration;

use dv_etcd::{Error, Range, Txn};
use tokio::time::sleep;

use super::{Cluster, Standby, read, tally::Tally, tenure::Moment};
use crate::{
    ports::StoreError,
    store::{EtcdStore, Fence},
};

/// The pause after a renewal that failed.
const BREATH: Duration = Duration::from_millis(100);
/// The most that one renewal may take; after it, it is asked for anew.
const PATIENCE: Duration = Duration::from_secs(1);
/// The farewell of one that stops.
const FAREWELL: Duration = Duration::from_secs(2);

/// Why a coordinator leads no longer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// etcd did not renew the lease in time.
    #[error("its lease could not be renewed in time: {0}")]
    Silence(String),
    /// The leader's key is gone, or somebody else's.
    #[error("etcd says that it leads no longer")]
    Key,
    /// It stepped back.
    #[error("{waiting} hosts wait at {at}, and {contact} are in contact here: it resigns")]
    Resigned {
        /// Who shall lead.
        at: String,
        /// Hosts that wait there.
        waiting: usize,
        /// Hosts in contact here.
        contact: usize,
    },
}

/// A time of leading.
#[derive(Clone)]
pub struct Leadership {
    cluster: Cluster,
    fence: Fence,
    tally: Tally,
}

impl Leadership {
    pub(super) fn new(cluster: Cluster, fence: Fence) -> Self {
        Self { cluster, fence, tally: Tally::default() }
    }

    /// The store, which serves as long as this leadership lasts.
    pub async fn store(&self) -> Result<EtcdStore, StoreError> {
        let Cluster { etcd, layout, .. } = self.cluster.clone();
        EtcdStore::open(etcd, layout, self.fence.clone()).await
    }

    /// Whether it lasts, as far as can be told without asking.
    pub(crate) fn holds(&self) -> bool {
        self.fence.tenure.holds()
    }

    /// What gives it up, for who stops.
    pub fn farewell(&self) -> impl Future<Output = ()> + Send + use<> {
        let (etcd, fence) = (self.cluster.etcd.clone(), self.fence.clone());
        async move {
            fence.tenure.end();
            if let Err(why) = etcd.revoke(FAREWELL, fence.lease).await {
                tracing::warn!(%why, "the others will see only by the lease's end that this coordinator stops");
            }
        }
    }

    /// Leads until it does not. `contact` says how many hosts are in contact, once that is known.
    pub async fn keep(mut self, contact: impl Fn() -> Option<usize>) -> Lost {
        let lost = self.until_lost(contact).await;
        self.fence.tenure.end();
        lost
    }

    async fn until_lost(&mut self, contact: impl Fn() -> Option<usize>) -> Lost {
        let lasts = self.cluster.lease.get();
        let mut silence = None;
        loop {
            let tenure = &self.fence.tenure;
            if !tenure.holds() {
                return silence.map_or(Lost::Key, Lost::Silence);
            }
            let asked = Moment::now();
            let patience = PATIENCE.min(tenure.left());
            let pause = match self.cluster.etcd.renew(patience, self.fence.lease).await {
                Ok(lasts) if tenure.renew(asked, lasts) => {
                    silence = None;
                    match self.look(&contact).await {
                        Ok(None) => lasts / 3,
                        Ok(Some(lost)) => return lost,
                        Err(_) => BREATH,
                    }
                }
                Ok(_) => {
                    silence.get_or_insert_with(|| "the answer came too late".to_owned());
                    continue;
                }
                Err(Error::NoLease) => return Lost::Key,
                Err(why) => {
                    tracing::warn!(%why, left = ?tenure.left(), "the lease is not renewed yet");
                    silence = Some(why.to_string());
                    BREATH
                }
            };
            sleep(pause.min(lasts / 3).min(self.fence.tenure.left())).await;
        }
    }

    /// Whether the key is still ours; and whether hosts wait elsewhere that find no way here.
    async fn look(&mut self, contact: &impl Fn() -> Option<usize>) -> Result<Option<Lost>, Error> {
        let Cluster { etcd, layout, lease } = &self.cluster;
        let look = Txn::default()
            .read(Range::key(self.fence.key.clone()))
            .read(Range::under(layout.standbys()));
        let answer = etcd.txn(PATIENCE.min(self.fence.tenure.left()), look).await?;
        let [leader, standbys] = &answer.read[..] else { return Ok(None) };
        if leader.first().is_none_or(|leader| leader.created != self.fence.created) {
            return Ok(Some(Lost::Key));
        }
        let standbys = standbys.iter().filter_map(|entry| Some((read::<Standby>(entry)?, entry)));
        let most = standbys.max_by_key(|(standby, _)| standby.waiting);
        let (Some((standby, entry)), Some(contact)) = (most, contact()) else { return Ok(None) };
        if !self.tally.look(contact, standby.waiting, lease.get()) {
            return Ok(None);
        }
        // The heir's name lives by the heir's own lease: where that one dies, anybody may lead.
        let resign = Txn::default()
            .if_created(self.fence.key.clone(), self.fence.created)
            .delete(Range::key(self.fence.key.clone()))
            .put_leased(layout.heir(), standby.id.clone(), entry.lease);
        self.fence.tenure.end();
        etcd.txn(FAREWELL, resign).await?;
        Ok(Some(Lost::Resigned { at: standby.address, waiting: standby.waiting, contact }))
    }
}

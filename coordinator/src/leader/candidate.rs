//! A coordinator that stands by until it leads.

use std::time::Duration;

use dv_etcd::{Error, Range, Txn};
use tokio::time::sleep;

use super::{Cluster, Door, Leader, Leadership, Standby, Tenure, read, tenure::Moment};
use crate::{chance, store::Fence};

/// Time between two looks at who leads.
const POLL: Duration = Duration::from_millis(250);
/// How long one look may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// How things stand for a coordinator that does not lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// This one leads.
    Behind(Leader),
    /// Nobody leads, as far as is known.
    Nobody,
    /// etcd does not answer.
    CutOff(String),
}

/// Who wants to lead.
pub struct Candidate {
    cluster: Cluster,
    me: Leader,
    door: Door,
    lease: Option<Lease>,
}

struct Lease {
    id: i64,
    /// When its last renewal was asked for, and for how long it lasts from then.
    renewed: Moment,
    lasts: Duration,
    /// The hosts that its standby's key says are waiting.
    told: Option<usize>,
}

impl Candidate {
    /// A coordinator of this fleet, that agents and operators reach at `address`.
    pub fn new(cluster: Cluster, address: String, door: Door) -> Self {
        let id = chance::bytes::<8>().iter().map(|b| format!("{b:02x}")).collect();
        Self { cluster, me: Leader { id, address }, door, lease: None }
    }

    /// Stands by until it leads. It says whenever things stand differently.
    pub async fn stand(mut self, mut say: impl FnMut(Standing)) -> Leadership {
        loop {
            match self.look().await {
                Ok(Look::Leads(leadership)) => return leadership,
                Ok(Look::Stands(standing)) => say(standing),
                Err(Error::NoLease) => self.lease = None,
                Err(why) => say(Standing::CutOff(why.to_string())),
            }
            sleep(POLL).await;
        }
    }

    async fn look(&mut self) -> Result<Look, Error> {
        self.keep().await?;
        let Cluster { etcd, layout, .. } = &self.cluster;
        let look = Txn::default().read(Range::key(layout.leader())).read(Range::key(layout.heir()));
        let answer = etcd.txn(PATIENCE, look).await?;
        let first = |n: usize| answer.read.get(n).and_then(|found| found.first());
        let (leader, heir) = (first(0), first(1));
        match leader.map(|leader| (leader.created, read::<Leader>(leader))) {
            // An attempt whose answer was lost.
            Some((created, Some(leader))) if leader.id == self.me.id => self.leads(created),
            Some((_, Some(leader))) => Ok(Look::Stands(Standing::Behind(leader))),
            Some((_, None)) => Err(Error::Refused("the leader's key makes no sense".to_owned())),
            None => match heir.map(|heir| &heir.value) {
                Some(heir) if heir != self.me.id.as_bytes() => Ok(Look::Stands(Standing::Nobody)),
                heir => self.try_to_lead(heir.is_some()).await,
            },
        }
    }

    /// Keeps the lease, and the key by which others see that it stands by.
    async fn keep(&mut self) -> Result<(), Error> {
        let Cluster { etcd, layout, lease: ttl } = &self.cluster;
        let asked = Moment::now();
        let lease = match &mut self.lease {
            None => {
                let id = etcd.grant(PATIENCE, ttl.get()).await?;
                self.lease.insert(Lease { id, renewed: asked, lasts: ttl.get(), told: None })
            }
            Some(lease) => {
                if lease.renewed.elapsed() > ttl.get() / 3 {
                    lease.lasts = etcd.renew(PATIENCE, lease.id).await?;
                    lease.renewed = asked;
                }
                lease
            }
        };
        let waiting = self.door.waiting();
        if lease.told != Some(waiting) {
            let Leader { id, address } = self.me.clone();
            let key = layout.standby(&id);
            let value = words(&Standby { id, address, waiting })?;
            etcd.txn(PATIENCE, Txn::default().put_leased(key, value, lease.id)).await?;
            lease.told = Some(waiting);
        }
        Ok(())
    }

    async fn try_to_lead(&mut self, as_heir: bool) -> Result<Look, Error> {
        let Cluster { etcd, layout, .. } = &self.cluster;
        let lease = self.lease.as_ref().ok_or(Error::NoLease)?.id;
        let txn = Txn::default().if_absent(layout.leader());
        let txn = match as_heir {
            true => txn.if_holds(layout.heir(), self.me.id.clone()),
            false => txn.if_absent(layout.heir()),
        };
        let txn = txn
            .put_leased(layout.leader(), words(&self.me)?, lease)
            .delete(Range::key(layout.standby(&self.me.id)))
            .delete(Range::key(layout.heir()));
        let answer = etcd.txn(PATIENCE, txn).await?;
        if answer.held {
            return self.leads(answer.revision);
        }
        // Somebody was faster; or an earlier attempt of ours was, which the next look shows.
        Ok(Look::Stands(Standing::Nobody))
    }

    fn leads(&mut self, created: i64) -> Result<Look, Error> {
        let lease = self.lease.take().ok_or(Error::NoLease)?;
        let fence = Fence {
            key: self.cluster.layout.leader(),
            created,
            lease: lease.id,
            tenure: Tenure::new(lease.renewed, lease.lasts),
        };
        Ok(Look::Leads(Leadership::new(self.cluster.clone(), fence)))
    }
}

enum Look {
    Leads(Leadership),
    Stands(Standing),
}

fn words<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(|why| Error::Refused(why.to_string()))
}

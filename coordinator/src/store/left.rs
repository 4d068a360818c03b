//! What the rollouts of a service left on its hosts: a fold over their last reports, kept beside them so that a start
//! takes as long after a thousand rollouts as after ten.

use std::collections::{BTreeMap, BTreeSet};

use dv_types::{
    HostName, Report, RolloutId, ServiceName, Version,
    plan::Kind,
    record::Verdict,
    report::{Phase, State},
};
use serde::{Deserialize, Serialize};

use super::{
    Header, Journal, Key,
    value::{decode, encode},
};
use crate::ports::StoreError;

/// The fold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// Of each host that was touched, what the last rollout left there.
    pub hosts: BTreeMap<HostName, OnHost>,
    /// Hosts that were out of reach of rollouts that they should follow; the last counts that was not taken back.
    pub missed: BTreeMap<HostName, BTreeSet<RolloutId>>,
    /// Hosts that any rollout ever had.
    pub known: BTreeSet<HostName>,
}

/// What the last rollout of a service left on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnHost {
    /// The version; nothing where the rollout did not end well there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// The rollout.
    pub rollout: RolloutId,
}

/// Where a fold is, and how far it goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LeftRecord {
    service: ServiceName,
    /// The last rollout that is counted in, and with it all before it.
    through: RolloutId,
    /// The document that holds the [`Left`].
    pub(super) document: String,
}

impl Left {
    /// Nobody follows a rollout any more that is taken back; who missed an earlier one as well follows that.
    pub(crate) fn taken_back(&mut self, of: RolloutId) {
        self.missed.retain(|_, missed| {
            missed.remove(&of);
            !missed.is_empty()
        });
    }

    /// A rollout is over, and this is its last report.
    pub(crate) fn ended(&mut self, header: &Header, report: &Report) {
        let id = header.rollout;
        // Where a host that was out of reach belongs, once it is back.
        let follow = match header.kind {
            Kind::Forward if report.state == State::Ended(Verdict::Succeeded) => Some(id),
            Kind::Forward => None,
            Kind::Reversal { .. } => Some(id),
            Kind::CatchUp { of } => Some(of),
        };
        let by_person = report.state == State::Ended(Verdict::Aborted) && !report.made_way;
        for host in &report.hosts {
            // One that it meant and never touched is as new as before.
            let begun = host.touched || host.phase != Phase::Pending || by_person;
            if begun || !matches!(header.kind, Kind::CatchUp { .. }) {
                self.known.insert(host.name.clone());
            }
            if host.touched {
                let version = host.to.clone().filter(|_| host.phase == Phase::Healthy);
                self.hosts.insert(host.name.clone(), OnHost { version, rollout: id });
            }
            match (&header.kind, follow, host.phase) {
                (_, Some(rollout), Phase::Unreachable) => {
                    self.missed.entry(host.name.clone()).or_default().insert(rollout);
                }
                // A gate, or what it made way for, ended it before this host began: it still has to follow.
                (Kind::CatchUp { .. }, _, Phase::Pending) if !by_person => {}
                // The same in its middle; unless what it made way for takes it along.
                (Kind::CatchUp { of }, _, Phase::Stopped) if report.made_way => {
                    self.missed.entry(host.name.clone()).or_default().insert(*of);
                }
                // It is back where it was before that rollout; what it missed until then, it still misses.
                (Kind::Reversal { of }, _, Phase::Healthy) => {
                    let missed = self.missed.entry(host.name.clone()).or_default();
                    missed.retain(|rollout| rollout < of);
                    if missed.is_empty() {
                        self.missed.remove(&host.name);
                    }
                }
                // Dealt with, one way or another: what failed or was stopped here is for a person.
                (_, Some(_), _) | (_, None, Phase::Healthy) => {
                    self.missed.remove(&host.name);
                }
                (_, None, _) => {}
            }
        }
    }
}

impl Journal {
    /// What the rollouts of each service left, and the last that is counted in. One that can't be read is left out: the
    /// reports that it was made of say the same.
    pub(crate) async fn left(
        &self,
    ) -> Result<BTreeMap<ServiceName, (RolloutId, Left)>, StoreError> {
        let mut left = BTreeMap::new();
        for record in self.left_records().await? {
            match self.document(&record.document).await {
                Ok(fold) => {
                    left.insert(record.service, (record.through, fold));
                }
                Err(why @ StoreError::Damaged { .. }) => {
                    tracing::warn!(service = %record.service, %why, "what its rollouts left is read from their reports");
                }
                Err(why) => return Err(why),
            }
        }
        Ok(left)
    }

    pub(super) async fn left_records(&self) -> Result<Vec<LeftRecord>, StoreError> {
        self.all(Key::all_left()).await
    }

    /// Keeps what the rollouts of a service left, up to this one.
    pub(crate) async fn keep_left(
        &self,
        service: &ServiceName,
        through: RolloutId,
        left: &Left,
    ) -> Result<(), StoreError> {
        let (key, value) = self.save_left(service, through, left).await?;
        self.store().commit(self.batch()?.put(key, value)).await
    }

    /// The same for a batch that is still to be written.
    pub(super) async fn save_left(
        &self,
        service: &ServiceName,
        through: RolloutId,
        left: &Left,
    ) -> Result<(Key, Vec<u8>), StoreError> {
        let document = self.save_document(left).await?;
        let key = Key::left(service);
        let value = encode(&key, &LeftRecord { service: service.clone(), through, document })?;
        Ok((key, value))
    }
}

/// The document that an entry of this kind names.
pub(super) fn document(key: &Key, value: &[u8]) -> Result<String, StoreError> {
    decode::<LeftRecord>(key, value).map(|record| record.document)
}

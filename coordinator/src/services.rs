//! The book of services: which rollouts there were, what they left on each host, which versions are bad.
//! A fold over the stored headers and last reports, kept up as rollouts begin and end.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use dv_types::{
    HostName, Release, ReleaseId, Report, RolloutId, ServiceName, Version,
    plan::Kind,
    record::Verdict,
    report::{Phase, State},
};

use crate::{
    ports::StoreError,
    store::{BadMark, Header, Journal, ReleaseRecord},
};

/// The book.
#[derive(Debug, Default)]
pub(crate) struct Book {
    rollouts: BTreeMap<RolloutId, Header>,
    services: BTreeMap<ServiceName, Service>,
    releases: BTreeMap<ReleaseId, Known>,
    /// The rollouts that brought the members of releases out.
    members: HashMap<(ReleaseId, ServiceName), RolloutId>,
}

/// A release.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) record: ReleaseRecord,
    pub(crate) release: Arc<Release>,
    /// What a person has to decide before it goes on. Found anew whenever it is driven.
    pub(crate) held: Option<String>,
}

#[derive(Debug, Default)]
struct Service {
    /// The unfinished rollout.
    active: Option<RolloutId>,
    /// Rollouts by number; of those that were taken back, what did it.
    reversed: BTreeMap<RolloutId, RolloutId>,
    hosts: HashMap<HostName, OnHost>,
    /// Hosts that were out of reach of the rollout that they should follow.
    missed: BTreeMap<HostName, RolloutId>,
    bad: BTreeMap<Version, BadMark>,
}

/// What the last rollout of a service left on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OnHost {
    /// The version; nothing where the rollout did not end well there.
    pub(crate) version: Option<Version>,
    /// The rollout.
    pub(crate) rollout: RolloutId,
}

impl Book {
    /// Reads the store.
    pub(crate) async fn read(journal: &Journal) -> Result<Self, StoreError> {
        let mut book = Self::default();
        for mark in journal.bad_versions().await? {
            book.mark_bad(mark);
        }
        for header in journal.headers().await? {
            book.begun(&header);
            if let Some(end) = &header.end {
                let report = journal.last_report(end).await?;
                book.ended(header, &report);
            }
        }
        for record in journal.releases().await? {
            let release = Arc::new(journal.release(&record.document).await?);
            book.releases.insert(record.release, Known { record, release, held: None });
        }
        Ok(book)
    }

    /// A release was made, or goes another way.
    pub(crate) fn put_release(&mut self, record: ReleaseRecord, release: Arc<Release>) {
        self.releases.insert(record.release, Known { record, release, held: None });
    }

    /// A release waits for a person, or does not any more.
    pub(crate) fn hold_release(&mut self, id: ReleaseId, held: Option<String>) {
        if let Some(known) = self.releases.get_mut(&id) {
            known.held = held;
        }
    }

    pub(crate) fn release(&self, id: ReleaseId) -> Option<&Known> {
        self.releases.get(&id)
    }

    /// Releases, the newest first.
    pub(crate) fn releases(&self) -> impl Iterator<Item = &Known> {
        self.releases.values().rev()
    }

    /// The unfinished release that a service is part of.
    pub(crate) fn reserved(&self, service: &ServiceName) -> Option<ReleaseId> {
        let has = |known: &&Known| known.release.members.iter().any(|m| m.service() == service);
        let unfinished = self.releases.values().filter(|known| known.record.end.is_none());
        unfinished.filter(has).map(|known| known.record.release).next()
    }

    /// The rollout that brought a member of a release out.
    pub(crate) fn member(&self, release: ReleaseId, service: &ServiceName) -> Option<RolloutId> {
        self.members.get(&(release, service.clone())).copied()
    }

    /// The release that a rollout, or the one that it takes back or follows, was begun for.
    pub(crate) fn release_of(&self, id: RolloutId) -> Option<ReleaseId> {
        let header = self.header(id)?;
        match header.kind {
            Kind::Forward => header.release,
            Kind::Reversal { of } | Kind::CatchUp { of } => self.header(of)?.release,
        }
    }

    /// A rollout was made.
    pub(crate) fn begun(&mut self, header: &Header) {
        if let Some(release) = header.release {
            self.members.insert((release, header.service.clone()), header.rollout);
        }
        let service = self.services.entry(header.service.clone()).or_default();
        service.active = Some(header.rollout);
        if let Kind::Reversal { of } = header.kind {
            service.reversed.insert(of, header.rollout);
            // Nobody follows there any more.
            service.missed.retain(|_, rollout| *rollout != of);
        }
        self.rollouts.insert(header.rollout, header.clone());
    }

    /// A rollout is over.
    pub(crate) fn ended(&mut self, header: Header, report: &Report) {
        let id = header.rollout;
        let service = self.services.entry(header.service.clone()).or_default();
        service.active.take_if(|active| *active == id);
        // Where a host that was out of reach belongs, once it is back.
        let follow = match header.kind {
            Kind::Forward if report.state == State::Ended(Verdict::Succeeded) => Some(id),
            Kind::Forward => None,
            Kind::Reversal { .. } => Some(id),
            Kind::CatchUp { of } => Some(of),
        };
        for host in &report.hosts {
            if host.touched {
                let version = host.to.clone().filter(|_| host.phase == Phase::Healthy);
                service.hosts.insert(host.name.clone(), OnHost { version, rollout: id });
            }
            match (follow, host.phase) {
                (Some(rollout), Phase::Unreachable) => {
                    service.missed.insert(host.name.clone(), rollout);
                }
                // Dealt with, one way or another: what failed or was stopped here is for a person.
                (Some(_), _) | (None, Phase::Healthy) => {
                    service.missed.remove(&host.name);
                }
                (None, _) => {}
            }
        }
        self.rollouts.insert(id, header);
    }

    pub(crate) fn mark_bad(&mut self, mark: BadMark) {
        let service = self.services.entry(mark.service.clone()).or_default();
        service.bad.insert(mark.version.clone(), mark);
    }

    pub(crate) fn forgive(&mut self, service: &ServiceName, version: &Version) {
        if let Some(service) = self.services.get_mut(service) {
            service.bad.remove(version);
        }
    }

    /// The mark on a version that was rolled back.
    pub(crate) fn bad(&self, service: &ServiceName, version: &Version) -> Option<&BadMark> {
        self.services.get(service)?.bad.get(version)
    }

    /// The service's unfinished rollout.
    pub(crate) fn active(&self, service: &ServiceName) -> Option<RolloutId> {
        self.services.get(service)?.active
    }

    /// The rollout that takes `id` back, or has done so. One that was aborted, or left hosts behind, has not.
    pub(crate) fn taken_back(&self, id: RolloutId) -> Option<RolloutId> {
        let by = self.reversed_by(id)?;
        let end = self.header(by)?.end.as_ref();
        let counts = end.is_none_or(|end| end.summary.state == State::Ended(Verdict::Succeeded));
        counts.then_some(by)
    }

    /// The last rollout that was begun to take `id` back.
    pub(crate) fn reversed_by(&self, id: RolloutId) -> Option<RolloutId> {
        let header = self.rollouts.get(&id)?;
        let reversed = &self.services.get(&header.service)?.reversed;
        // Hosts that were brought to a rollout later go back with it.
        let followed = match header.kind {
            Kind::CatchUp { of } => reversed.get(&of),
            _ => None,
        };
        reversed.get(&id).or(followed).copied()
    }

    pub(crate) fn header(&self, id: RolloutId) -> Option<&Header> {
        self.rollouts.get(&id)
    }

    /// Rollouts, the newest first.
    pub(crate) fn newest(&self) -> impl Iterator<Item = &Header> {
        self.rollouts.values().rev()
    }

    /// Rollouts that brought late hosts to `id`, the oldest first.
    pub(crate) fn catch_ups(&self, id: RolloutId) -> impl Iterator<Item = &Header> {
        self.rollouts
            .range(id..)
            .map(|(_, header)| header)
            .filter(move |header| matches!(header.kind, Kind::CatchUp { of } if of == id))
    }

    /// What each service's last rollout left on a host.
    pub(crate) fn on_host<'b>(
        &'b self,
        host: &'b HostName,
    ) -> impl Iterator<Item = (&'b ServiceName, &'b OnHost)> {
        self.services
            .iter()
            .filter_map(move |(name, service)| Some((name, service.hosts.get(host)?)))
    }

    /// The version that the last rollout of a service left on a host.
    pub(crate) fn version(&self, service: &ServiceName, host: &HostName) -> Option<Version> {
        self.services.get(service)?.hosts.get(host)?.version.clone()
    }

    /// The hosts that should follow a rollout of a service, and which.
    pub(crate) fn missed<'b>(
        &'b self,
        service: &ServiceName,
    ) -> impl Iterator<Item = (&'b HostName, RolloutId)> {
        let service = self.services.get(service);
        service.into_iter().flat_map(|s| s.missed.iter().map(|(host, rollout)| (host, *rollout)))
    }

    /// The services of which a host missed a rollout.
    pub(crate) fn services_missed_by(&self, host: &HostName) -> Vec<ServiceName> {
        let missed = self.services.iter().filter(|(_, service)| service.missed.contains_key(host));
        missed.map(|(name, _)| name.clone()).collect()
    }

    /// Every service that ever had a rollout.
    pub(crate) fn services(&self) -> Vec<ServiceName> {
        self.services.keys().cloned().collect()
    }
}

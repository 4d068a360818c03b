//! The book of services: which rollouts there were, what they left on each host, which versions are bad.
//! A fold over the stored headers and what rollouts left, kept up as rollouts begin and end.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use dv_rollout::planning;
use dv_types::{
    HostName, Labels, Release, ReleaseId, Report, RolloutId, ServiceName, Timestamp, Version,
    manifest::Hosts, plan::Kind, record::Verdict, report::State,
};

use crate::{
    ports::StoreError,
    refusal::Refusal,
    store::{BadMark, Dropped, Header, Journal, Left, OnHost, ReleaseRecord},
};

/// The book.
#[derive(Debug, Default)]
pub(crate) struct Book {
    rollouts: BTreeMap<RolloutId, Header>,
    services: BTreeMap<ServiceName, Service>,
    releases: BTreeMap<ReleaseId, Known>,
    /// Rollouts that are not kept any more.
    dropped: BTreeMap<RolloutId, Dropped>,
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
    /// What its rollouts left on its hosts.
    left: Left,
    /// Hosts of the rollouts that ended since that was kept.
    uncounted: usize,
    /// Rollouts that succeeded and were not taken back.
    promoted: BTreeMap<RolloutId, Option<Hosts>>,
    bad: BTreeMap<Version, BadMark>,
}

/// The version that a service is at: that of its last rollout that succeeded and was not taken back.
pub(crate) struct Promoted<'b> {
    pub(crate) rollout: RolloutId,
    /// Which hosts it means, where that was read.
    pub(crate) hosts: Option<&'b Hosts>,
}

impl Service {
    /// Whether what was left is kept with the end that this is the report of: a few hosts that come late, one after the
    /// other, are not worth the whole fleet each time.
    fn keeps(&self, report: &Report) -> bool {
        self.uncounted + report.hosts.len() >= self.left.known.len()
    }
}

impl Book {
    /// Reads the store.
    pub(crate) async fn read(journal: &Journal) -> Result<Self, StoreError> {
        let mut book = Self::default();
        for mark in journal.bad_versions().await? {
            book.mark_bad(mark);
        }
        for dropped in journal.dropped().await? {
            book.dropped.insert(dropped.rollout, dropped);
        }
        let mut through = BTreeMap::new();
        for (service, (last, left)) in journal.left().await? {
            book.services.entry(service.clone()).or_default().left = left;
            through.insert(service, last);
        }
        let mut anew = BTreeMap::new();
        for header in journal.headers().await? {
            book.begun(&header);
            let Some(end) = &header.end else { continue };
            if through.get(&header.service).is_some_and(|last| header.rollout <= *last) {
                book.closed(header);
                continue;
            }
            anew.insert(header.service.clone(), header.rollout);
            let report = journal.last_report(end).await?;
            book.ended(header, &report);
        }
        // An earlier version wrote these; the next start need not read them again.
        for (service, last) in anew {
            if let Some(known) = book.services.get_mut(&service) {
                journal.keep_left(&service, last, &known.left).await?;
                known.uncounted = 0;
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
            service.promoted.remove(&of);
            service.left.taken_back(of);
        }
        self.rollouts.insert(header.rollout, header.clone());
    }

    /// A rollout is over, and this is its last report.
    pub(crate) fn ended(&mut self, header: Header, report: &Report) {
        let service = self.services.entry(header.service.clone()).or_default();
        service.uncounted =
            if service.keeps(report) { 0 } else { service.uncounted + report.hosts.len() };
        service.left.ended(&header, report);
        self.closed(header);
    }

    /// What the rollouts of a service have left once this one is over with this report, where it is time to keep that.
    pub(crate) fn left_after(&self, header: &Header, report: &Report) -> Option<Left> {
        let service = self.services.get(&header.service)?;
        let mut left = service.keeps(report).then(|| service.left.clone())?;
        left.ended(header, report);
        Some(left)
    }

    /// A rollout is over, and what it left is counted in already.
    fn closed(&mut self, header: Header) {
        let id = header.rollout;
        let service = self.services.entry(header.service.clone()).or_default();
        service.active.take_if(|active| *active == id);
        let state = header.end.as_ref().map(|end| &end.summary.state);
        if header.kind == Kind::Forward && state == Some(&State::Ended(Verdict::Succeeded)) {
            service.promoted.insert(id, None);
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

    /// Whether this number is higher than that of any rollout.
    pub(crate) fn is_to_come(&self, id: RolloutId) -> bool {
        let newest = self.rollouts.keys().next_back().max(self.dropped.keys().next_back());
        newest.is_none_or(|newest| *newest < id)
    }

    /// A rollout, or why there is none.
    pub(crate) fn known(&self, id: RolloutId) -> Result<&Header, Refusal> {
        self.header(id).ok_or_else(|| match self.dropped.get(&id) {
            Some(dropped) => Refusal::Dropped(Box::new(dropped.clone())),
            None => Refusal::NoRollout(id),
        })
    }

    /// A rollout is not kept any more.
    pub(crate) fn forget(&mut self, dropped: Dropped) {
        if let Some(header) = self.rollouts.remove(&dropped.rollout) {
            if let Some(release) = header.release {
                self.members.remove(&(release, header.service.clone()));
            }
            if let Some(service) = self.services.get_mut(&header.service) {
                service.promoted.remove(&dropped.rollout);
                service.reversed.retain(|of, by| *of != dropped.rollout && *by != dropped.rollout);
            }
        }
        self.dropped.insert(dropped.rollout, dropped);
    }

    /// Rollouts that are not kept any more, the oldest first.
    pub(crate) fn all_dropped(&self) -> Vec<Dropped> {
        self.dropped.values().cloned().collect()
    }

    /// How many rollouts of a service, or of all, are not kept any more.
    pub(crate) fn count_dropped(&self, service: &str) -> usize {
        let of = |dropped: &&Dropped| service.is_empty() || dropped.service.as_str() == service;
        self.dropped.values().filter(of).count()
    }

    /// Rollouts that something else refers to: what runs on a host, hosts that missed one, bad marks, releases that
    /// have not ended, or that are young.
    pub(crate) fn needed(&self, young: impl Fn(Timestamp) -> bool) -> BTreeSet<RolloutId> {
        let lasts = |release: &ReleaseId| {
            let end = self.releases.get(release).and_then(|known| known.record.end.as_ref());
            end.is_none_or(|(_, at)| young(*at))
        };
        let members = self.members.iter().filter(|((release, _), _)| lasts(release));
        let mut needed: BTreeSet<_> = members.map(|(_, rollout)| *rollout).collect();
        for (name, service) in &self.services {
            needed.extend(self.promoted(name).map(|promoted| promoted.rollout));
            needed.extend(service.active);
            needed.extend(service.left.hosts.values().map(|host| host.rollout));
            needed.extend(service.left.missed.values().flatten());
            needed.extend(service.bad.values().map(|mark| mark.rollout));
        }
        needed
    }

    /// Releases that ended, are not young, and of which no rollout is kept. The newest stays: the next number is its
    /// successor.
    pub(crate) fn empty_releases(&self, young: impl Fn(Timestamp) -> bool) -> Vec<ReleaseId> {
        let used: BTreeSet<_> = self.members.keys().map(|(release, _)| *release).collect();
        let old = |known: &&Known| known.record.end.as_ref().is_some_and(|(_, at)| !young(*at));
        let older = self.releases().skip(1).filter(old).map(|known| known.record.release);
        older.filter(|release| !used.contains(release)).collect()
    }

    /// A release is not kept any more.
    pub(crate) fn forget_release(&mut self, release: ReleaseId) {
        self.releases.remove(&release);
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
            .filter_map(move |(name, service)| Some((name, service.left.hosts.get(host)?)))
    }

    /// The version that the last rollout of a service left on a host.
    pub(crate) fn version(&self, service: &ServiceName, host: &HostName) -> Option<Version> {
        self.services.get(service)?.left.hosts.get(host)?.version.clone()
    }

    /// The hosts that should follow a rollout of a service, and which.
    pub(crate) fn missed<'b>(
        &'b self,
        service: &ServiceName,
    ) -> impl Iterator<Item = (&'b HostName, RolloutId)> {
        let hosts = self.services.get(service).into_iter().flat_map(|service| &service.left.missed);
        // Nobody is brought to a version that was rolled back.
        let welcome = |of: &&RolloutId| {
            self.header(**of).is_some_and(|header| {
                matches!(header.kind, Kind::Reversal { .. })
                    || self.bad(service, &header.version).is_none()
            })
        };
        hosts.filter_map(move |(host, missed)| Some((host, *missed.iter().rfind(welcome)?)))
    }

    /// The version that a service is at.
    pub(crate) fn promoted(&self, service: &ServiceName) -> Option<Promoted<'_>> {
        let promoted = self.services.get(service)?.promoted.iter().rfind(|(id, _)| {
            self.header(**id).is_some_and(|h| self.bad(service, &h.version).is_none())
        });
        promoted.map(|(id, hosts)| Promoted { rollout: *id, hosts: hosts.as_ref() })
    }

    /// Which hosts a rollout of a service means.
    pub(crate) fn learn_hosts(&mut self, service: &ServiceName, id: RolloutId, hosts: Hosts) {
        if let Some(known) = self.services.get_mut(service).and_then(|s| s.promoted.get_mut(&id)) {
            *known = Some(hosts);
        }
    }

    /// Whether a service means a host that none of its rollouts ever had. Where it was not read yet which hosts it means,
    /// it may.
    pub(crate) fn is_new(&self, service: &ServiceName, host: &HostName, labels: &Labels) -> bool {
        let is_known = self.services.get(service).is_none_or(|s| s.left.known.contains(host));
        !is_known
            && self.promoted(service).is_some_and(|promoted| {
                let Some(hosts) = promoted.hosts else { return true };
                !planning::select_of(hosts, [(host, labels)]).is_empty()
            })
    }

    /// Whether `hosts` should still follow `of`.
    pub(crate) fn follows(&self, service: &ServiceName, of: RolloutId, hosts: &[HostName]) -> bool {
        let missed = || self.missed(service).filter(|(_, rollout)| *rollout == of);
        let is_known =
            |host| self.services.get(service).is_some_and(|s| s.left.known.contains(host));
        let joins = self.promoted(service).is_some_and(|promoted| promoted.rollout == of);
        hosts.iter().all(|host| match is_known(host) {
            true => missed().any(|(late, _)| late == host),
            false => joins,
        })
    }

    /// The services of which a host missed a rollout, or that it may have to join.
    pub(crate) fn services_awaiting(&self, host: &HostName, labels: &Labels) -> Vec<ServiceName> {
        let awaiting = self.services.iter().filter(|(name, service)| {
            service.left.missed.contains_key(host) || self.is_new(name, host, labels)
        });
        awaiting.map(|(name, _)| name.clone()).collect()
    }

    /// Every service that ever had a rollout.
    pub(crate) fn services(&self) -> Vec<ServiceName> {
        self.services.keys().cloned().collect()
    }
}

/// Rollouts for tests.
#[cfg(test)]
pub(crate) mod sample {
    use dv_types::{
        Timestamp,
        report::{HostReport, Phase, Totals},
    };

    use super::*;
    use crate::store::End;

    fn host(name: String) -> HostReport {
        HostReport {
            name: HostName::new(name).unwrap(),
            wave: 1,
            phase: Phase::Healthy,
            connected: true,
            good: None,
            touched: true,
            reverted: false,
            attempt: 1,
            from: None,
            to: None,
            began: None,
            ended: None,
            step: None,
            waiting: None,
            why: None,
        }
    }

    /// A rollout of `web` over so many hosts that succeeded.
    pub(crate) fn ended(number: u64, release: Option<u64>, hosts: usize) -> (Header, Report) {
        let at = Timestamp::UNIX_EPOCH;
        let (rollout, service) = (RolloutId(number), "web".parse().unwrap());
        let version: Version = "1.0".parse().unwrap();
        let report = Report {
            rollout,
            service,
            version: version.clone(),
            kind: Kind::Forward,
            plan: String::new(),
            by: String::new(),
            record: 1,
            began: at,
            ended: Some(at),
            state: State::Ended(Verdict::Succeeded),
            wave: (1, 1),
            totals: Totals::default(),
            hosts: (1..=hosts).map(|n| host(format!("web{n}"))).collect(),
            gates: Vec::new(),
            once: Vec::new(),
            migrations: Vec::new(),
            database: None,
            monitor: Vec::new(),
            waiting: Vec::new(),
            rollback: false,
            made_way: false,
            reversed_by: None,
        };
        let header = Header {
            rollout,
            service: report.service.clone(),
            version,
            kind: Kind::Forward,
            plan: String::new(),
            by: String::new(),
            reason: None,
            overrides: Vec::new(),
            release: release.map(ReleaseId),
            signing: None,
            created: at,
            end: Some(End::of(&report, String::new())),
        };
        (header, report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_is_kept_once_as_many_hosts_as_the_fleet_has_were_worked_on() {
        let mut book = Book::default();
        let mut kept = Vec::new();
        for (number, hosts) in (1..).zip([4, 4, 1, 1, 1, 1, 1, 3, 4]) {
            let (header, report) = sample::ended(number, None, hosts);
            book.begun(&header);
            let left = book.left_after(&header, &report);
            book.ended(header.clone(), &report);
            if let Some(left) = left {
                assert_eq!(left, book.services[&header.service].left);
                kept.push(number);
            }
        }
        assert_eq!(kept, [1, 2, 6, 8, 9]);
    }
}

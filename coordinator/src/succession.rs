//! One certificate authority follows another, while everything goes on.

use dv_types::Timestamp;

use crate::{
    enrolment::Enrolment,
    fleet::Order,
    identity::{Anchor, IdentityError, KeyId},
    leader::Place,
    operators::Operators,
    pace::{Pace, cores},
    refusal::Refusal,
    rollouts::Rollouts,
    store::Held,
};

/// So many of those that depend on an authority are named in a refusal.
const NAMED: usize = 10;

/// What a change of the authority touches.
pub(crate) struct Succession<'a> {
    pub(crate) rollouts: &'a Rollouts,
    pub(crate) enrolment: &'a Enrolment,
    pub(crate) operators: &'a Operators,
}

/// An authority that is trusted, and who has to do with it.
pub(crate) struct Standing {
    pub(crate) anchor: Anchor,
    /// Hosts that have a good certificate of it.
    pub(crate) hosts: usize,
    /// Operators that have one.
    pub(crate) operators: usize,
    /// Those that have no other, as far as is known.
    pub(crate) dependants: Vec<String>,
}

impl Succession<'_> {
    /// The authorities that are trusted, the one that issues first.
    pub(crate) fn standing(&self) -> Vec<Standing> {
        let authority = &self.enrolment.authority;
        let anchors = authority.trusted();
        let now = self.rollouts.clock.now();
        let hosts = self.rollouts.fleet.records();
        let operators = self.operators.all();
        let issuer = authority.issuer();
        // What the first version wrote down names no issuer: there was one only.
        let oldest = anchors.last().map(|anchor| anchor.key.clone()).unwrap_or_default();
        let standing = anchors.into_iter().enumerate().map(|(n, anchor)| {
            let key = if n == 0 { &issuer } else { &anchor.key };
            let of_it = |held: &[Held]| Has::of(held, key, &oldest, now);
            let count = |has: Vec<Has>| has.iter().filter(|has| has.any).count();
            let on_hosts = hosts.iter().map(|host| of_it(&host.certificates));
            let on_operators = operators.iter().map(|operator| of_it(&operator.certificates));
            let dependants = hosts.iter().filter(|host| of_it(&host.certificates).only);
            let mut dependants: Vec<_> =
                dependants.map(|host| format!("host {}", host.name)).collect();
            let operators_too =
                operators.iter().filter(|operator| of_it(&operator.certificates).only);
            dependants.extend(operators_too.map(|operator| format!("operator {}", operator.name)));
            let (hosts, operators) = (count(on_hosts.collect()), count(on_operators.collect()));
            Standing { hosts, operators, dependants, anchor }
        });
        standing.collect()
    }

    /// A new authority issues from now on, and the old one is trusted beside it. Whoever is in contact is told.
    pub(crate) fn rotate(&self, by: &str) -> Result<Vec<Standing>, Refusal> {
        if let Place::Etcd { .. } = self.rollouts.config.store {
            return Err(IdentityError::Succession(
                "several coordinators share it: make the new one with `dv-coordinator identity rotate` on one that stands \
                 by, and bring it to the others (docs/install.md says in which order)"
                    .to_owned(),
            )
            .into());
        }
        self.enrolment.authority.rotate(self.rollouts.clock.now())?;
        tracing::warn!(by, "the certificate authority was rotated");
        self.tell();
        Ok(self.standing())
    }

    /// Trusts the former authority no more.
    pub(crate) async fn retire(&self, by: &str, force: bool) -> Result<Vec<Standing>, Refusal> {
        let standing = self.standing();
        let dependants: Vec<_> =
            standing.into_iter().skip(1).flat_map(|former| former.dependants).collect();
        if !force && !dependants.is_empty() {
            let count = dependants.len();
            let dependants = dependants.into_iter().take(NAMED).collect();
            return Err(Refusal::Depended { count, dependants });
        }
        let gone = self.enrolment.authority.retire()?;
        tracing::warn!(by, force, "the former certificate authority was retired");
        let gone: Vec<KeyId> = gone.into_iter().map(|anchor| anchor.key).collect();
        self.enrolment.give_up(&gone).await?;
        self.operators.give_up(&gone).await?;
        self.tell();
        Ok(self.standing())
    }

    /// Each gets a certificate of the authority that issues now, and learns which are trusted.
    fn tell(&self) {
        let fleet = &self.rollouts.fleet;
        let heartbeat = self.rollouts.config.heartbeat.get();
        let within = Pace::of(heartbeat, fleet.size(), cores()).spread;
        for host in fleet.in_contact() {
            fleet.send(&host, Order::Renew { within });
        }
    }
}

/// What somebody has of one authority.
struct Has {
    any: bool,
    only: bool,
}

impl Has {
    fn of(certificates: &[Held], key: &KeyId, oldest: &KeyId, now: Timestamp) -> Self {
        let is_of_it = |held: &&Held| held.issuer.as_ref().unwrap_or(oldest) == key;
        let good = || certificates.iter().filter(|held| held.is_good(now));
        let any = good().any(|held| is_of_it(&held));
        // One that was issued and never shown may have got lost on its way.
        let other = good().any(|held| !is_of_it(&held) && held.shown);
        Self { any, only: any && !other }
    }
}

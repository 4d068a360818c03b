//! Why the coordinator does not do what an operator or a host asks, in words for people.

use std::{fmt, sync::Arc};

use dv_types::{HostName, ReleaseId, RolloutId, ServiceName, Timestamp, Version};

use crate::{
    identity::IdentityError,
    ports::{Shortage, StoreError},
    store::Dropped,
};

/// A refusal. Nothing was changed, save where it says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The request makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// The manifest has errors.
    #[error("the manifest is refused:{}", Lines(.0))]
    Manifest(Vec<String>),
    /// The plan has errors.
    #[error("the plan is refused:{}", Lines(.0))]
    Plan(Vec<String>),
    /// No host is meant.
    #[error(
        "no host of the fleet is meant by the manifest's `hosts`: compare it with `dvctl hosts`"
    )]
    NoHosts,
    /// None of the hosts is in contact.
    #[error(
        "none of the {0} hosts that the manifest means is in contact: see `dvctl hosts`, and look at dv-agent there"
    )]
    NoneReachable(usize),
    /// The service has an unfinished rollout.
    #[error(
        "{rollout} of {service} has not ended: watch it with `dvctl rollout watch {rollout}`, or end it with `dvctl rollout abort {rollout}`"
    )]
    Busy {
        /// The service.
        service: ServiceName,
        /// Its unfinished rollout.
        rollout: RolloutId,
    },
    /// The service is part of a release that has not ended.
    #[error(
        "{service} is part of {release}, which has not ended: watch it with `dvctl rollout watch {release}`, or end it with `dvctl rollout abort {release}`"
    )]
    InRelease {
        /// The service.
        service: ServiceName,
        /// The release.
        release: ReleaseId,
    },
    /// A member of a release is refused.
    #[error("{service}: {why}")]
    Member {
        /// The member.
        service: ServiceName,
        /// Why.
        why: Box<Self>,
    },
    /// There is no such release.
    #[error("there is no release {0}: see `dvctl rollout history`")]
    NoRelease(ReleaseId),
    /// The version was rolled back before.
    #[error(
        "{version} of {service} was rolled back by {rollout} at {at} ({reason}): to start it all the same, give --force and --reason"
    )]
    BadVersion {
        /// The service.
        service: ServiceName,
        /// The version.
        version: Version,
        /// The rollout that was rolled back.
        rollout: RolloutId,
        /// Why.
        reason: String,
        /// When.
        at: Timestamp,
    },
    /// The plan made now is another than the one that was agreed on.
    #[error(
        "the plan has another hash now, {now}: the fleet or the version has changed since; look at it with `dvctl plan`"
    )]
    PlanChanged {
        /// The plan's hash now.
        now: String,
    },
    /// The plan must be signed, and is not.
    #[error(
        "{0} must be signed (`signed: true` in its manifest), and this is not: give dvctl --sign-key, or set DV_SIGN_KEY, with the file of \
         your SSH key"
    )]
    Unsigned(ServiceName),
    /// The operator may not override gates.
    #[error(
        "operator {operator} may not override gates: {}",
        match &may[..] {
            [] => "coordinator.yaml lets nobody".to_owned(),
            may => format!("coordinator.yaml lets only {}", may.join(", ")),
        }
    )]
    MayNotOverride {
        /// Who asked.
        operator: String,
        /// Who may.
        may: Vec<String>,
    },
    /// There is no such host.
    #[error("there is no host {0}: see `dvctl hosts`")]
    NoHost(HostName),
    /// There is no such operator.
    #[error("there is no operator {0}: see `dvctl operators`")]
    NoOperator(String),
    /// The authority can't be retired yet.
    #[error(
        "{count} of the fleet depend on the former certificate authority, and would be shut out: {}. They renew by themselves \
         once they are in contact, or call; with --force it is retired all the same, and they need a new token or context",
        dependants.join(", ")
    )]
    Depended {
        /// How many.
        count: usize,
        /// The first of them.
        dependants: Vec<String>,
    },
    /// There is no such rollout.
    #[error("there is no rollout {0}: see `dvctl rollout history`")]
    NoRollout(RolloutId),
    /// The rollout is not kept any more.
    #[error("{0}: rollouts are kept for a set time (keep_rollouts in coordinator.yaml)")]
    Dropped(Box<Dropped>),
    /// The rollout's driver does not answer.
    #[error(
        "{rollout} can't be looked at: the coordinator can't read or write its journal: {}",
        why.as_deref().map_or("its log says why", String::as_str)
    )]
    Stuck {
        /// Which.
        rollout: RolloutId,
        /// What the store said.
        why: Option<Arc<String>>,
    },
    /// Nothing can be taken back.
    #[error("{0}")]
    NothingToRollBack(String),
    /// The rollout does not take the verb now.
    #[error("{0}")]
    Rejected(String),
    /// The token is no good.
    #[error("the token is refused: {0}")]
    Token(&'static str),
    /// The host's name is not the token's.
    #[error("the token is for host {allowed}, not for {claimed}")]
    WrongHost {
        /// Whom it is for.
        allowed: HostName,
        /// Who showed it.
        claimed: String,
    },
    /// An identity can't be given.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The store does not do it.
    #[error("the coordinator can't save it: {0}")]
    Store(#[from] StoreError),
    /// The store is nearly full.
    #[error("nothing new begins, and what is under way goes on: {0}")]
    Short(Shortage),
    /// The coordinator stops. Nothing was done.
    #[error("the coordinator is stopping: ask again in a moment")]
    Stopping,
    /// The coordinator stops, and what was asked may have been done, or go on by itself.
    #[error("the coordinator is stopping: {0}")]
    Interrupted(String),
}

struct Lines<'a>(&'a [String]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [one] => write!(f, " {one}"),
            many => many.iter().try_for_each(|line| write!(f, "\n  {line}")),
        }
    }
}

impl From<Refusal> for tonic::Status {
    fn from(refusal: Refusal) -> Self {
        let text = refusal.to_string();
        match refusal {
            Refusal::Member { why, .. } => Self::new(Self::from(*why).code(), text),
            Refusal::Invalid(_) | Refusal::Manifest(_) => Self::invalid_argument(text),
            Refusal::Plan(_)
            | Refusal::NoHosts
            | Refusal::NoneReachable(_)
            | Refusal::Busy { .. }
            | Refusal::InRelease { .. }
            | Refusal::BadVersion { .. }
            | Refusal::PlanChanged { .. }
            | Refusal::Unsigned(_)
            | Refusal::NothingToRollBack(_)
            | Refusal::Depended { .. }
            | Refusal::Identity(IdentityError::Succession(_))
            | Refusal::Rejected(_) => Self::failed_precondition(text),
            Refusal::NoRollout(_)
            | Refusal::NoRelease(_)
            | Refusal::NoHost(_)
            | Refusal::NoOperator(_)
            | Refusal::Dropped(_) => Self::not_found(text),
            Refusal::Token(_) | Refusal::WrongHost { .. } | Refusal::MayNotOverride { .. } => {
                Self::permission_denied(text)
            }
            Refusal::Identity(IdentityError::Request(_)) => Self::invalid_argument(text),
            Refusal::Identity(_) | Refusal::Stuck { .. } => Self::internal(text),
            Refusal::Store(StoreError::TooLarge { .. }) => Self::invalid_argument(text),
            // Not "unavailable": a write that failed late may have been kept.
            Refusal::Store(_) => Self::internal(text),
            Refusal::Short(_) => Self::resource_exhausted(text),
            Refusal::Stopping => Self::unavailable(text),
            Refusal::Interrupted(_) => Self::aborted(text),
        }
    }
}

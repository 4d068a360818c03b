//! What was done to one host: by the rollout that is taken back, and by those that brought the host there
//! later. The first that touched it found what was there before; the later ones may have found its traces.

use std::collections::HashMap;

use dv_types::{
    Commit, Digest, Evidence, Finding, HostName, Operation, Subject, Version,
    outcome::{ImageId, Tags},
    plan::PlannedHost,
};

use super::{
    switch::is_of_switch,
    way_back::{Before, commit_found, tags_found},
};
use crate::Rollout;

/// A host's places in the rollouts that touched it, in their order; never empty.
pub(super) struct Trail<'r>(Vec<(&'r Rollout, usize)>);

/// Of every host that one of these rollouts touched. Their programs are the same, but for the dead-man's switch.
pub(super) fn trails<'r>(rollouts: impl Iterator<Item = &'r Rollout>) -> Vec<Trail<'r>> {
    let mut trails: Vec<Trail<'r>> = Vec::new();
    let mut places: HashMap<&HostName, usize> = HashMap::new();
    for rollout in rollouts {
        for i in (0..rollout.hosts.len()).filter(|&i| rollout.hosts[i].touched) {
            let place = *places.entry(rollout.name(i)).or_insert(trails.len());
            match trails.get_mut(place) {
                Some(trail) => trail.0.push((rollout, i)),
                None => trails.push(Trail(vec![(rollout, i)])),
            }
        }
    }
    trails
}

impl<'r> Trail<'r> {
    fn first(&self) -> (&'r Rollout, usize) {
        self.0[0]
    }

    /// What the first plan says of the host.
    pub(super) fn planned(&self) -> &'r PlannedHost {
        let (rollout, i) = self.first();
        rollout.planned(i)
    }

    /// Whether its service is well, by the last that is known.
    pub(super) fn serving(&self) -> Option<bool> {
        self.0.last().and_then(|&(rollout, i)| rollout.hosts[i].serving())
    }

    /// Where an operation stands in the host's program of each of the rollouts.
    fn places(&self, operation: usize) -> impl Iterator<Item = (&'r Rollout, usize, usize)> {
        let places = self.0.iter();
        places.filter_map(move |&(rollout, i)| Some((rollout, i, place(rollout, i, operation)?)))
    }

    fn evidence(&self, operation: usize) -> impl Iterator<Item = &'r Evidence> {
        self.places(operation).flat_map(|(rollout, i, place)| rollout.evidence(i, place))
    }

    fn operation(&self, operation: usize) -> Option<&'r Operation> {
        let (rollout, i) = self.first();
        rollout.operations(i).get(place(rollout, i, operation)?)
    }

    /// What the plans found on the host.
    fn found(&self) -> impl Iterator<Item = &'r (Subject, Finding)> {
        self.0.iter().flat_map(|&(rollout, i)| &rollout.planned(i).before)
    }
}

/// Where an operation stands in a host's program, in which the dead-man's switch has its own.
fn place(rollout: &Rollout, i: usize, operation: usize) -> Option<usize> {
    let operations = rollout.operations(i).iter().enumerate();
    let mut others = operations.filter(|(_, o)| !is_of_switch(o)).map(|(place, _)| place);
    others.nth(operation)
}

/// Who finds there already what an operation brings may have found its own doing, of before an agent died or an
/// attempt failed: then the plan knows better. A host that did run it before has it in the plan, too.
impl Before for Trail<'_> {
    fn from(&self) -> Option<&Version> {
        self.planned().from.as_ref()
    }

    fn was_begun(&self, operation: usize) -> bool {
        self.places(operation).any(|(rollout, i, place)| rollout.was_begun(i, place))
    }

    fn tags_before(&self, operation: usize, repository: &str) -> Option<Tags> {
        let Some(Operation::TagImage { digest, .. }) = self.operation(operation) else {
            return None;
        };
        let by_evidence = self.evidence(operation).find_map(|evidence| match evidence {
            Evidence::Tags { before, after } if !brought(digest, before, after) => Some(before),
            _ => None,
        });
        by_evidence.or_else(|| tags_found(self.found(), repository)).cloned()
    }

    fn commit_before(&self, operation: usize, tree: &str) -> Option<Commit> {
        let Some(Operation::Checkout { commit: target, .. }) = self.operation(operation) else {
            return None;
        };
        let by_evidence = self.evidence(operation).find_map(|evidence| match evidence {
            Evidence::Commit { before, .. } if before != target => Some(before),
            _ => None,
        });
        by_evidence.or_else(|| commit_found(self.found(), tree)).cloned()
    }
}

/// Whether `latest` was the image already that the operation was to bring.
fn brought(digest: &Digest, before: &Tags, after: &Tags) -> bool {
    let Some(latest) = &before.latest else {
        return false;
    };
    let same_id = |image: &ImageId| image.id == latest.id;
    latest.digest.as_ref() == Some(digest) || after.latest.as_ref().is_some_and(same_id)
}

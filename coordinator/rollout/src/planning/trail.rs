//! What was done to one host: by the rollout that is taken back, and by those that brought the host there
//! later. The first that touched it found what was there before; the later ones may have found its traces.

use std::collections::HashMap;

use dv_types::{
    Commit, Digest, Evidence, Finding, HostName, Manifest, Operation, Subject,
    outcome::{ImageId, Tags},
    plan::PlannedHost,
};

use crate::Rollout;

/// A host's places in the rollouts that touched it, in their order; never empty.
pub(super) struct Trail<'r>(Vec<(&'r Rollout, usize)>);

/// Of every host that one of these rollouts touched. Their programs are the same, step by step.
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

    pub(super) fn manifest(&self) -> &'r Manifest {
        &self.first().0.plan.manifest
    }

    pub(super) fn operations(&self) -> &'r [Operation] {
        let (rollout, i) = self.first();
        rollout.operations(i)
    }

    /// Whether its service is well, by the last that is known.
    pub(super) fn serving(&self) -> Option<bool> {
        self.0.last().and_then(|&(rollout, i)| rollout.hosts[i].serving())
    }

    pub(super) fn was_begun(&self, step: usize) -> bool {
        self.0.iter().any(|&(rollout, i)| rollout.was_begun(i, step))
    }

    fn evidence(&self, step: usize) -> impl Iterator<Item = &'r Evidence> {
        self.0.iter().flat_map(move |&(rollout, i)| rollout.evidence(i, step))
    }

    /// What the plans found on the host.
    fn found(&self) -> impl Iterator<Item = &'r (Subject, Finding)> {
        self.0.iter().flat_map(|&(rollout, i)| &rollout.planned(i).before)
    }

    /// The tags before `step`, which tagged an image. Who finds there already what it brings may have found
    /// its own doing, of before an agent died or an attempt failed: then the plan knows better. A host that
    /// did run it before has it in the plan, too.
    pub(super) fn tags_before(&self, step: usize, repository: &str) -> Option<Tags> {
        let Some(Operation::TagImage { digest, .. }) = self.operations().get(step) else {
            return None;
        };
        let by_evidence = self.evidence(step).find_map(|evidence| match evidence {
            Evidence::Tags { before, after } if !brought(digest, before, after) => Some(before),
            _ => None,
        });
        let by_plan = || {
            self.found().find_map(|found| match found {
                (Subject::Image { repository: r, .. }, Finding::Image { tags, .. })
                    if r == repository =>
                {
                    Some(tags)
                }
                _ => None,
            })
        };
        by_evidence.or_else(by_plan).cloned()
    }

    /// The commit before `step`, which checked one out; the same holds.
    pub(super) fn commit_before(&self, step: usize, tree: &str) -> Option<Commit> {
        let Some(Operation::Checkout { commit: target, .. }) = self.operations().get(step) else {
            return None;
        };
        let by_evidence = self.evidence(step).find_map(|evidence| match evidence {
            Evidence::Commit { before, .. } if before != target => Some(before),
            _ => None,
        });
        let by_plan = || {
            self.found().find_map(|found| match found {
                (Subject::Tree { tree: t, .. }, Finding::Tree { commit, .. }) if t == tree => {
                    Some(commit)
                }
                _ => None,
            })
        };
        by_evidence.or_else(by_plan).cloned()
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

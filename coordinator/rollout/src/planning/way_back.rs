//! What takes a host back: the steps of the manifest in their order, each aimed at what was there before.

use dv_types::{
    Commit, Finding, Manifest, Operation, Subject, Version, manifest::Step, outcome::Tags,
    plan::PlannedHost,
};

use super::program::{activation, fill, needs_version, verification};

/// What is known of a host before its operations. They are counted from 0, those of the dead-man's switch left out.
pub(super) trait Before {
    /// The version that it ran.
    fn from(&self) -> Option<&Version>;
    /// Whether an operation was begun on it.
    fn was_begun(&self, operation: usize) -> bool;
    /// The tags before an operation that tags an image.
    fn tags_before(&self, operation: usize, repository: &str) -> Option<Tags>;
    /// The commit before an operation that checks one out.
    fn commit_before(&self, operation: usize, tree: &str) -> Option<Commit>;
}

/// As the plan found it: whatever is begun on it starts from there.
impl Before for PlannedHost {
    fn from(&self) -> Option<&Version> {
        self.from.as_ref()
    }

    fn was_begun(&self, _: usize) -> bool {
        true
    }

    fn tags_before(&self, _: usize, repository: &str) -> Option<Tags> {
        tags_found(&self.before, repository).cloned()
    }

    fn commit_before(&self, _: usize, tree: &str) -> Option<Commit> {
        commit_found(&self.before, tree).cloned()
    }
}

/// The tags of a repository that were found before the plan was made.
pub(super) fn tags_found<'f>(
    found: impl IntoIterator<Item = &'f (Subject, Finding)>,
    repository: &str,
) -> Option<&'f Tags> {
    found.into_iter().find_map(|found| match found {
        (Subject::Image { repository: r, .. }, Finding::Image { tags, .. }) if r == repository => {
            Some(tags)
        }
        _ => None,
    })
}

/// The commit of a tree that was found before the plan was made.
pub(super) fn commit_found<'f>(
    found: impl IntoIterator<Item = &'f (Subject, Finding)>,
    tree: &str,
) -> Option<&'f Commit> {
    found.into_iter().find_map(|found| match found {
        (Subject::Tree { tree: t, .. }, Finding::Tree { commit, .. }) if t == tree => Some(commit),
        _ => None,
    })
}

/// The operations that take a host back, or why there are none.
pub(super) fn way_back(manifest: &Manifest, host: &impl Before) -> Result<Vec<Operation>, String> {
    let from = host.from();
    let mut operations = Vec::new();
    let mut at = 0;
    let (mut disturbed, mut changed) = (false, false);
    for step in &manifest.steps {
        match step {
            Step::Image(s) => {
                // Pull and tag; the tags are what goes back.
                let tagged = at + 1;
                at += 2;
                if !host.was_begun(tagged) {
                    continue;
                }
                let tags = host.tags_before(tagged, &s.repository).ok_or_else(|| {
                    format!(
                        "what `latest` of {} was before this rollout is not known",
                        s.repository
                    )
                })?;
                let latest = tags.latest.ok_or_else(|| {
                    format!("{} had no `latest` before this rollout", s.repository)
                })?;
                operations.push(Operation::RestoreTags {
                    repository: s.repository.clone(),
                    latest,
                    previous: tags.previous,
                });
                changed = true;
            }
            Step::Checkout(s) => {
                let checked_out = at;
                at += 1;
                if !host.was_begun(checked_out) {
                    continue;
                }
                let commit = host.commit_before(checked_out, &s.tree);
                operations.push(Operation::Checkout {
                    tree: s.tree.clone(),
                    commit: commit.ok_or_else(|| {
                        format!("the commit of {} before this rollout is not known", s.tree)
                    })?,
                    timeout: s.timeout,
                });
                changed = true;
            }
            // What happened once is undone once, before the first host.
            Step::Backup(_) | Step::Migrate(_) => {}
            Step::Run(s) if s.once.is_some() => {}
            Step::Run(s) => {
                let begun = host.was_begun(at);
                at += 1;
                let (true, Some(undo)) = (begun, &s.undo) else {
                    continue;
                };
                if undo.iter().any(|a| needs_version(a)) && from.is_none() {
                    return Err(format!(
                        "`undo` of `{}` needs the version before, and dv has brought none to this host",
                        s.argv.join(" ")
                    ));
                }
                operations.push(Operation::Run {
                    argv: undo.iter().map(|a| fill(a, from)).collect(),
                    timeout: s.timeout,
                    repeatable: s.repeatable,
                });
                changed = true;
            }
            _ => {
                // What was stopped must be started, even if that was never begun on the way there. So must what finds
                // something else now: a host that was rebooted in between has started it with the new version, also one
                // that had refused to, for a full disk or a policy. If it refuses again, nobody knows what runs there,
                // and that is said.
                disturbed |= host.was_begun(at);
                at += 1;
                operations.extend(activation(step).filter(|_| disturbed || changed));
            }
        }
    }
    operations.extend(verification(manifest));
    Ok(operations)
}

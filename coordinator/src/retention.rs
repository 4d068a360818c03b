//! Which ended rollouts are dropped, and when: those that are older than `keep_rollouts` and that nothing needs.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use dv_types::{RolloutId, Span, Timestamp, plan::Kind, record::Verdict, report::State};

use crate::{ports::StoreError, rollouts::Rollouts, services::Book, store::Header};

/// So many rollouts of each service are kept, however old they are.
const LEAST: usize = 10;
/// A token that nobody can use any more is known for so long, so that whoever tries hears why not.
const TOKENS: Span = Span::from_secs(7 * 24 * 60 * 60);
/// Time between two looks.
const EVERY: Span = Span::from_secs(24 * 60 * 60);

/// Looks now and then, until it is dropped.
pub(crate) async fn run(rollouts: &Arc<Rollouts>) {
    loop {
        match sweep(rollouts).await {
            Ok((0, 0)) => {}
            Ok((dropped, documents)) => {
                tracing::info!("{dropped} old rollouts and {documents} documents were dropped");
            }
            Err(why) => tracing::error!(%why, "old rollouts can't be dropped"),
        }
        rollouts.clock.sleep_until(EVERY.after(rollouts.clock.now())).await;
    }
}

/// Drops what is old; how many rollouts and documents.
async fn sweep(rollouts: &Arc<Rollouts>) -> Result<(usize, usize), StoreError> {
    let journal = &rollouts.journal;
    let now = rollouts.clock.now();
    let keep = rollouts.config.keep_rollouts;
    let mut count = 0;
    {
        // Nobody begins to take one back meanwhile.
        let _maker = rollouts.maker().await;
        let due = journal.reversals_due().await?;
        let old = droppable(&rollouts.book(), &due, |ended| keep.after(ended) > now);
        for id in old {
            let Some(header) = rollouts.book().header(id).cloned() else { continue };
            match journal.drop_rollout(&header, now).await {
                Ok(Some(dropped)) => {
                    rollouts.book().forget(dropped);
                    count += 1;
                }
                Ok(None) => {}
                // One that can't be dropped keeps none of the others.
                Err(why @ (StoreError::Conflict(_) | StoreError::Damaged { .. }))
                    if journal.reigns() =>
                {
                    tracing::error!(rollout = %id, %why, "it can't be dropped, and is kept");
                }
                Err(why) => return Err(why),
            }
        }
    }
    let dropped = rollouts.book().all_dropped();
    for dropped in dropped.iter().filter(|dropped| !dropped.cleared) {
        journal.clear(dropped).await?;
        rollouts.book().forget(crate::store::Dropped { cleared: true, ..dropped.clone() });
    }
    let releases = rollouts.book().empty_releases(|ended| keep.after(ended) > now);
    for release in releases {
        journal.drop_release(release).await?;
        rollouts.book().forget_release(release);
        tracing::info!(%release, "it and all its rollouts are old: dropped");
    }
    let tokens = now.saturating_sub(TOKENS.get()).unwrap_or(Timestamp::MIN);
    journal.forget_tokens(tokens).await?;
    Ok((count, journal.forget_documents().await?))
}

/// Rollouts that are not young and that nothing refers to: no host's version, no host that missed one, no
/// bad mark, no way back, no release that is unfinished or young. Of each service the newest ones stay, and the newest
/// that succeeded.
fn droppable(book: &Book, due: &[RolloutId], young: impl Fn(Timestamp) -> bool) -> Vec<RolloutId> {
    let mut kept = book.needed(&young);
    kept.extend(due);
    let mut counted = BTreeMap::new();
    for header in book.newest() {
        let (count, good) = counted.entry(&header.service).or_insert((0, false));
        *count += 1;
        let summary = header.end.as_ref().map(|end| &end.summary);
        let ended = summary.and_then(|summary| summary.ended);
        let young = ended.is_none_or(&young);
        let succeeded = header.kind == Kind::Forward
            && summary.is_some_and(|summary| summary.state == State::Ended(Verdict::Succeeded));
        if young || *count <= LEAST || (succeeded && !*good) {
            kept.insert(header.rollout);
        }
        *good |= succeeded;
    }
    keep_together(book, &mut kept);
    book.newest().map(|header| header.rollout).filter(|id| !kept.contains(id)).collect()
}

/// A rollout, what took it back, and what followed it stay or go together; so do the members of a release.
fn keep_together(book: &Book, kept: &mut BTreeSet<RolloutId>) {
    loop {
        let before = kept.len();
        let of_kept = |header: &&Header| header.release.is_some() && kept.contains(&header.rollout);
        let releases: BTreeSet<_> =
            book.newest().filter(of_kept).filter_map(|header| header.release).collect();
        for header in book.newest() {
            if header.release.is_some_and(|release| releases.contains(&release)) {
                kept.insert(header.rollout);
            }
            if let Kind::Reversal { of } | Kind::CatchUp { of } = header.kind {
                if kept.contains(&of) {
                    kept.insert(header.rollout);
                } else if kept.contains(&header.rollout) {
                    kept.insert(of);
                }
            }
        }
        if kept.len() == before {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use dv_types::{
        Release, ReleaseId,
        release::{Course, Ending},
    };

    use super::*;
    use crate::{
        services::sample::ended,
        store::{Dropped, ReleaseRecord},
    };

    const AT: Timestamp = Timestamp::UNIX_EPOCH;

    fn release(book: &mut Book, number: u64, end: Option<(Ending, Timestamp)>) {
        let name: dv_types::ReleaseName = "shop".parse().unwrap();
        let record = ReleaseRecord {
            release: ReleaseId(number),
            name: name.clone(),
            document: String::new(),
            by: String::new(),
            reason: None,
            force: false,
            overrides: Vec::new(),
            created: AT,
            course: Course::Forward,
            why: None,
            end,
        };
        book.put_release(record, Arc::new(Release { name, members: Vec::new() }));
    }

    #[test]
    fn a_release_goes_with_its_members_once_it_has_ended_and_is_old() {
        let mut book = Book::default();
        for number in 1..=14 {
            let (header, report) = ended(number, (number == 2).then_some(1), 0);
            book.begun(&header);
            book.ended(header, &report);
        }
        let dropped = |book: &Book, young: bool| droppable(book, &[], |_| young);
        let old =
            |numbers: &[u64]| numbers.iter().rev().copied().map(RolloutId).collect::<Vec<_>>();
        release(&mut book, 1, None);
        assert_eq!(dropped(&book, false), old(&[1, 3, 4]));
        release(&mut book, 1, Some((Ending::Succeeded, AT)));
        assert_eq!(dropped(&book, true), []);
        assert_eq!(dropped(&book, false), old(&[1, 2, 3, 4]));
        // While one member is kept, all are.
        let (header, report) = ended(15, Some(1), 0);
        book.begun(&header);
        book.ended(header, &report);
        assert_eq!(dropped(&book, false), old(&[1, 3, 4, 5]));

        // The newest release stays, for its number.
        for number in [2, 15] {
            let (header, _) = ended(number, None, 0);
            let Header { rollout, service, version, kind, created, .. } = header;
            let state = State::Ended(Verdict::Succeeded);
            let (dropped, cleared) = (AT, true);
            book.forget(Dropped {
                rollout,
                service,
                version,
                kind,
                created,
                state,
                dropped,
                cleared,
            });
        }
        assert_eq!(book.empty_releases(|_| false), []);
        release(&mut book, 2, None);
        assert_eq!(book.empty_releases(|_| true), []);
        assert_eq!(book.empty_releases(|_| false), [ReleaseId(1)]);
    }
}

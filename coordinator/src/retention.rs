//! Which ended rollouts are dropped, and when: those that are older than `keep_rollouts` and that nothing needs.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use dv_types::{RolloutId, Span, Timestamp, plan::Kind, record::Verdict, report::State};

use crate::{ports::StoreError, rollouts::Rollouts, services::Book};

/// So many rollouts of each service are kept, however old they are.
const LEAST: usize = 10;
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
    Ok((count, journal.forget_documents().await?))
}

/// Rollouts that are not young and that nothing refers to: no host's version, no host that missed one, no
/// bad mark, no way back, no release. Of each service the newest ones stay, and the newest that succeeded.
fn droppable(book: &Book, due: &[RolloutId], young: impl Fn(Timestamp) -> bool) -> Vec<RolloutId> {
    let mut kept = book.needed();
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

/// A rollout, what took it back, and what followed it stay or go together.
fn keep_together(book: &Book, kept: &mut BTreeSet<RolloutId>) {
    loop {
        let before = kept.len();
        for header in book.newest() {
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

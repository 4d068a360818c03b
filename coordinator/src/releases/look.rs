//! Where a release and its members stand.

use std::sync::Arc;

use dv_types::{
    ReleaseId, Report, RolloutId, ServiceName,
    release::{Leg, MemberReport, MemberState, ReleaseReport},
    report::State,
};

use crate::{
    ports::StoreError,
    refusal::Refusal,
    rollouts::Rollouts,
    services::{Book, Known},
    store::Header,
};

/// Where the members stand, by the book. Of a rollout under way it says no more than that.
pub(super) async fn members(
    rollouts: &Rollouts,
    id: ReleaseId,
) -> Result<Vec<MemberState>, StoreError> {
    let due = rollouts.journal.reversals_due().await?;
    let book = rollouts.book();
    let Some(known) = book.release(id) else { return Ok(Vec::new()) };
    let stand = |service: &ServiceName| {
        let rollout = book.member(id, service);
        let back = rollout.and_then(|rollout| book.reversed_by(rollout));
        let is_due = rollout.is_some_and(|rollout| due.contains(&rollout));
        MemberState::of(leg(&book, rollout).as_ref(), leg(&book, back).as_ref(), is_due)
    };
    Ok(known.release.members.iter().map(|member| stand(member.service())).collect())
}

fn leg(book: &Book, rollout: Option<RolloutId>) -> Option<Leg> {
    let header: &Header = book.header(rollout?)?;
    Some(match &header.end {
        Some(end) => stands(&end.summary),
        None => Leg { rollout: header.rollout, state: State::Running, touched: true },
    })
}

fn stands(report: &Report) -> Leg {
    Leg { rollout: report.rollout, state: report.state.clone(), touched: report.can_go_back() }
}

/// The newest releases, of all or with one service.
pub(crate) fn list(rollouts: &Rollouts, service: &str, most: usize) -> Vec<ReleaseId> {
    let book = rollouts.book();
    let with = |known: &&Known| {
        let mut members = known.release.members.iter();
        service.is_empty() || members.any(|member| member.service().as_str() == service)
    };
    book.releases().filter(with).take(most).map(|known| known.record.release).collect()
}

/// Where a release stands, made to be read.
pub(crate) async fn report(
    rollouts: &Arc<Rollouts>,
    id: ReleaseId,
) -> Result<ReleaseReport, Refusal> {
    let known = super::known(rollouts, id)?;
    let due = rollouts.journal.reversals_due().await?;
    let mut members = Vec::new();
    for member in &known.release.members {
        let (rollout, back) = {
            let book = rollouts.book();
            let rollout = book.member(id, member.service());
            (rollout, rollout.and_then(|rollout| book.reversed_by(rollout)))
        };
        let out = live(rollouts, rollout).await?;
        let way_back = live(rollouts, back).await?;
        let due = rollout.is_some_and(|rollout| due.contains(&rollout));
        members.push(MemberReport {
            service: member.service().clone(),
            version: member.version.clone(),
            after: member.after.clone(),
            state: MemberState::of(
                out.as_ref().map(stands).as_ref(),
                way_back.as_ref().map(stands).as_ref(),
                due,
            ),
            touched: out.is_some_and(|out| out.has_changed()),
            rollout,
            back,
        });
    }
    let record = known.record;
    Ok(ReleaseReport {
        release: id,
        name: record.name,
        course: record.course,
        why: record.why,
        held: known.held,
        ending: record.end.map(|(ending, _)| ending),
        by: record.by,
        reason: record.reason,
        began: record.created,
        ended: record.end.map(|(_, at)| at),
        members,
    })
}

/// A rollout as it stands at this moment.
async fn live(rollouts: &Rollouts, id: Option<RolloutId>) -> Result<Option<Report>, Refusal> {
    match id {
        Some(id) => rollouts.summary(id).await.map(Some),
        None => Ok(None),
    }
}

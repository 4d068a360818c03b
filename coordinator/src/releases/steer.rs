//! What a person says to a release as a whole.

use std::sync::Arc;

use dv_types::{
    ReleaseId, RolloutId, plan,
    release::{Course, Ending, MemberState},
};

use super::{known, launch, look::members, turn};
use crate::{
    refusal::Refusal,
    rollback::{self, What},
    rollouts::Rollouts,
};

/// Ends a release where it is; every host stays as it is.
pub(crate) async fn abort(
    rollouts: &Arc<Rollouts>,
    id: ReleaseId,
    by: &str,
    reason: Option<String>,
) -> Result<(), Refusal> {
    let maker = rollouts.maker().await;
    let known = known(rollouts, id)?;
    if known.record.end.is_some() {
        return Err(Refusal::Rejected(format!("{id} has ended already")));
    }
    let why = said(&format!("{by} ended it"), reason);
    turn(rollouts, &maker, &known, Course::Aborted, Some(why)).await
}

/// Takes every member of a release back that was begun; ends it first if it is under way.
pub(crate) async fn roll_back(
    rollouts: &Arc<Rollouts>,
    id: ReleaseId,
    wish: plan::Wish,
    by: String,
    reason: Option<String>,
) -> Result<(), Refusal> {
    let maker = rollouts.maker().await;
    let known = known(rollouts, id)?;
    if let Some((Ending::TakenBack, _)) = known.record.end {
        return Err(Refusal::NothingToRollBack(format!("{id} was taken back already")));
    }
    possible(rollouts, id, wish).await?;
    let newest = rollouts.book().newest().next().map_or(0, |header| header.rollout.0);
    let why = said(&format!("{by} takes it back"), reason);
    let course = Course::Back { by, wish, from: RolloutId(newest + 1) };
    turn(rollouts, &maker, &known, course, Some(why)).await?;
    drop(maker);
    if known.record.end.is_some() {
        launch(rollouts, id);
    }
    Ok(())
}

/// It goes back as one: where one member can't be taken back so, none is.
pub(super) async fn possible(
    rollouts: &Arc<Rollouts>,
    id: ReleaseId,
    wish: plan::Wish,
) -> Result<(), Refusal> {
    let release = known(rollouts, id)?.release;
    let mut some = false;
    for (member, state) in release.members.iter().zip(members(rollouts, id).await?) {
        let service = member.service();
        let (rollout, reserved) = {
            let book = rollouts.book();
            (book.member(id, service), book.reserved(service).filter(|by| *by != id))
        };
        if let Some(release) = reserved {
            return Err(Refusal::InRelease { service: service.clone(), release });
        }
        let changed = state.is_changed();
        some |= changed || matches!(state, MemberState::GoingBack(_));
        if let Some(rollout) = rollout.filter(|_| changed) {
            rollback::plan(rollouts, &What::This(rollout), wish)
                .await
                .map_err(|why| Refusal::Member { service: service.clone(), why: Box::new(why) })?;
        }
    }
    if some {
        return Ok(());
    }
    Err(Refusal::NothingToRollBack(format!(
        "{id} has changed no host that could be taken back: nothing is done"
    )))
}

fn said(what: &str, reason: Option<String>) -> String {
    match reason {
        Some(reason) => format!("{what}: {reason}"),
        None => what.to_owned(),
    }
}

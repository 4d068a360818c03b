//! Taking a rollout back: which one, and how the rollout that does it is made.

use std::sync::Arc;

use dv_rollout::{Rollout, planning};
use dv_types::{
    Fact, Plan, Record, RolloutId, ServiceName,
    plan::{Database, Kind, Turn, Way, Wish},
    record::Verb,
    warrant::SignedWarrant,
};

use crate::{
    follow::ITSELF,
    refusal::Refusal,
    rollouts::{Beginning, Maker, Rollouts, accept},
    store::{BadMark, Header, Signing},
};

/// What an operator asks for.
pub(crate) struct Demand {
    pub(crate) what: What,
    pub(crate) wish: Wish,
    pub(crate) by: String,
    pub(crate) reason: Option<String>,
    /// What the operator has signed: the way back's own plan.
    pub(crate) signed: Option<SignedWarrant>,
}

/// Which rollout.
pub(crate) enum What {
    This(RolloutId),
    LastOf(ServiceName),
}

/// A rollback that has begun.
pub(crate) struct Reversal {
    pub(crate) rollout: RolloutId,
    pub(crate) of: RolloutId,
}

/// Takes a rollout back; ends it first if it is under way.
pub(crate) async fn roll_back(
    rollouts: &Arc<Rollouts>,
    demand: Demand,
) -> Result<Reversal, Refusal> {
    let of = choose(rollouts, &demand.what)?;
    lossless_or_signed(rollouts, of, &demand).await?;
    if rollouts.find(of).is_some() {
        return end_and_reverse(rollouts, of, demand).await;
    }
    let maker = rollouts.maker().await;
    // It may have begun by itself while we waited.
    if let Some(rollout) = rollouts.book().taken_back(of) {
        return Ok(Reversal { rollout, of });
    }
    let due = rollouts.journal.reversals_due().await?.contains(&of);
    let before = rollouts.journal.wished(of).await?;
    rollouts.journal.demand_reversal(of, &demand.wish).await?;
    let begun = begin_signed(rollouts, &maker, of, &demand.by, demand.reason, demand.signed).await;
    match begun {
        Ok(Some(rollout)) => Ok(Reversal { rollout, of }),
        Ok(None) => Err(nothing(of)),
        Err(why) => {
            // What was due without this call stays due.
            if !due {
                rollouts.journal.forget_reversal(of).await?;
            } else {
                rollouts.journal.wish(of, &before).await?;
            }
            Err(why)
        }
    }
}

/// The rollout under way is told to end; its reversal follows by itself.
async fn end_and_reverse(
    rollouts: &Arc<Rollouts>,
    of: RolloutId,
    demand: Demand,
) -> Result<Reversal, Refusal> {
    let mut changes = rollouts.changes();
    end(rollouts, of, demand).await?;
    loop {
        if rollouts.find(of).is_none() {
            // Nobody begins a rollout while we look.
            let _maker = rollouts.maker().await;
            if let Some(rollout) = rollouts.book().reversed_by(of) {
                return Ok(Reversal { rollout, of });
            }
            if !rollouts.journal.reversals_due().await?.contains(&of) {
                return Err(nothing(of));
            }
        }
        tokio::select! {
            biased;
            _ = changes.changed() => {}
            () = rollouts.stop.cancelled() => {
                let why = format!("the rollback of {of} goes on by itself when it is back");
                return Err(Refusal::Interrupted(why));
            }
        }
    }
}

/// Tells a rollout that is under way to end and to be taken back.
pub(crate) async fn end(
    rollouts: &Arc<Rollouts>,
    of: RolloutId,
    demand: Demand,
) -> Result<(), Refusal> {
    // A way back that needs another word from the person must not end the rollout first.
    way_back(&replay(rollouts, of).await?, demand.wish)?;
    let before = rollouts.journal.wished(of).await?;
    rollouts.journal.wish(of, &demand.wish).await?;
    let told = rollouts.operate(of, demand.by, Verb::Rollback, demand.reason).await;
    if matches!(told, Err(Refusal::Rejected(_))) {
        rollouts.journal.wish(of, &before).await?;
    }
    told
}

fn nothing(of: RolloutId) -> Refusal {
    Refusal::NothingToRollBack(format!(
        "{of} has changed no host that could be taken back: nothing is done"
    ))
}

/// The rollout that is meant, if it can be taken back.
fn choose(rollouts: &Rollouts, what: &What) -> Result<RolloutId, Refusal> {
    let book = rollouts.book();
    let refuse = |why: String| Err(Refusal::NothingToRollBack(why));
    match what {
        What::This(id) => {
            let header = book.known(*id)?;
            if matches!(header.kind, Kind::Reversal { .. }) {
                return refuse(format!(
                    "{id} is a rollback, and a rollback is never rolled back: start a rollout of the version that you want"
                ));
            }
            if let Some(by) = book.taken_back(*id) {
                return refuse(format!("{id} was taken back by {by} already"));
            }
            if !touched(header) {
                return Err(nothing(*id));
            }
            let later = book.newest().take_while(|h| h.rollout > *id).find(|h| {
                h.service == header.service
                    && matches!(h.kind, Kind::Forward)
                    && book.taken_back(h.rollout).is_none()
                    && touched(h)
            });
            if let Some(later) = later {
                let later = later.rollout;
                return refuse(format!("{later} came after {id}: take {later} back first"));
            }
            if let Some(rollout) = book.active(&header.service).filter(|active| active != id) {
                return Err(Refusal::Busy { service: header.service.clone(), rollout });
            }
            Ok(*id)
        }
        What::LastOf(service) => {
            if let Some(active) = book.active(service).and_then(|id| book.header(id)) {
                return match active.kind {
                    Kind::Forward => Ok(active.rollout),
                    _ => Err(Refusal::Busy { service: service.clone(), rollout: active.rollout }),
                };
            }
            let mut rollouts = book.newest().filter(|header| {
                header.service == *service
                    && matches!(header.kind, Kind::Forward)
                    && touched(header)
            });
            let Some(last) = rollouts.next() else {
                return refuse(format!(
                    "{service} has no rollout that could be taken back: see `dvctl rollout history`"
                ));
            };
            let Some(by) = book.taken_back(last.rollout) else { return Ok(last.rollout) };
            // Whoever types it twice means the same rollout twice, not the one before.
            let id = last.rollout;
            let further = rollouts.find(|header| book.taken_back(header.rollout).is_none());
            let further = further.map_or_else(String::new, |earlier| {
                format!(
                    "; to go further back, name the rollout: dvctl rollback {}",
                    earlier.rollout
                )
            });
            refuse(format!(
                "{id}, the last rollout of {service}, was taken back by {by} already{further}"
            ))
        }
    }
}

/// Whether a rollout changed any host, as far as is known; one under way may have.
fn touched(header: &Header) -> bool {
    header.end.as_ref().is_none_or(|end| end.summary.has_changed())
}

/// What loses data was not signed along with the rollout; and what is signed for itself is the way back of a rollout that
/// has ended, which is known.
async fn lossless_or_signed(
    rollouts: &Rollouts,
    of: RolloutId,
    demand: &Demand,
) -> Result<(), Refusal> {
    let signing = rollouts.book().known(of)?.signing.is_some();
    match &demand.signed {
        Some(_) if rollouts.find(of).is_some() => Err(Refusal::Rejected(format!(
            "{of} is under way, so its way back can't be signed for itself yet: roll it back without --sign-key, as was signed with \
             it, or end it first with `dvctl rollout abort {of}`"
        ))),
        None if signing => {
            let way = way_back(&replay(rollouts, of).await?, demand.wish)?.way;
            if matches!(way, Way::Code) {
                return Ok(());
            }
            Err(Refusal::Rejected(format!(
                "what was signed with {of} takes back the code only, and this would change the database: sign it with --sign-key when \
                 the rollout has ended, or give --code-only"
            )))
        }
        _ => Ok(()),
    }
}

/// Begins the rollout that takes `of` back, with the hosts that followed it later. Nothing if no host was
/// touched.
pub(crate) async fn begin(
    rollouts: &Arc<Rollouts>,
    maker: &Maker<'_>,
    of: RolloutId,
    by: &str,
    reason: Option<String>,
) -> Result<Option<RolloutId>, Refusal> {
    begin_signed(rollouts, maker, of, by, reason, None).await
}

/// The same, in the name of what was signed for it; without that, of what was signed with the rollout.
async fn begin_signed(
    rollouts: &Arc<Rollouts>,
    maker: &Maker<'_>,
    of: RolloutId,
    by: &str,
    reason: Option<String>,
    signed: Option<SignedWarrant>,
) -> Result<Option<RolloutId>, Refusal> {
    if rollouts.book().taken_back(of).is_some() {
        rollouts.journal.forget_reversal(of).await?;
        return Ok(None);
    }
    let wish = rollouts.journal.wished(of).await?;
    let (rollout, plan) = match prepare(rollouts, of, wish).await {
        Err(Refusal::NothingToRollBack(why)) if !wish.by_person => {
            tracing::error!(rollout = %of, %why, "it is not rolled back by itself");
            rollouts.journal.forget_reversal(of).await?;
            rollouts.note_change();
            return Ok(None);
        }
        prepared => prepared?,
    };
    let signing = match signed {
        Some(warrant) => {
            accept(&plan, &warrant, rollouts.clock.now())?;
            Some(Signing { warrant, of: None, back: false })
        }
        None => rollouts.book().known(of)?.signing_back(),
    };
    for (host, why) in plan.left_as_they_are() {
        tracing::warn!(rollout = %of, %host, "{why}");
    }
    // Where touched hosts have no way back, the rollback begins all the same, if only to fail: it is where
    // everybody looks, and its plan says why they stay as they are.
    let something = !plan.hosts.is_empty()
        || plan.once.iter().any(|once| once.turn == Turn::Steps)
        || plan.left_as_they_are().next().is_some();
    if !something {
        tracing::warn!(rollout = %of, "no host of it can be taken back");
        rollouts.journal.forget_reversal(of).await?;
        rollouts.note_change();
        return Ok(None);
    }
    // Whoever ended it by asking for its way back asked for this one.
    let asked = rollouts.journal.all_records(of).await?.into_iter().rev().find_map(asked_back);
    let (by, reason) = match (asked, by) {
        (Some((person, why)), ITSELF) => (person, reason.or(why)),
        (_, by) => (by.to_owned(), reason),
    };
    let why = reason.unwrap_or_else(|| match rollout.ended() {
        Some((verdict, _)) => format!("{of} has {verdict}"),
        None => format!("{of} was taken back"),
    });
    let bad = BadMark {
        service: plan.service.clone(),
        version: rollout.plan().version.clone(),
        rollout: of,
        reason: why.clone(),
        at: rollouts.clock.now(),
    };
    // Hosts that could not follow a rollback are brought back to it, not to a new version.
    // And a version that no host leaves is not said to have been taken back.
    let marked = !matches!(rollout.plan().kind, Kind::CatchUp { .. }) && !plan.hosts.is_empty();
    let bad = marked.then_some(bad);
    let reason = Some(why);
    let (release, overrides) = Default::default();
    let beginning = Beginning { plan, by, reason, overrides, release, signing, bad };
    maker.begin(beginning).await.map(Some)
}

/// The person who ended a rollout to take it back, and why.
fn asked_back(record: Record) -> Option<(String, Option<String>)> {
    match record.fact {
        Fact::Operator { by, verb: Verb::Rollback, reason } => Some((by, reason)),
        _ => None,
    }
}

/// The plan that would take a rollout back, with what would become of the database and why; nothing is begun.
pub(crate) async fn plan(rollouts: &Rollouts, what: &What, wish: Wish) -> Result<Plan, Refusal> {
    let of = choose(rollouts, what)?;
    prepare(rollouts, of, wish).await.map(|(_, plan)| plan)
}

/// A rollout, and the plan that takes it back together with the hosts that followed it later.
async fn prepare(
    rollouts: &Rollouts,
    of: RolloutId,
    wish: Wish,
) -> Result<(Rollout, Plan), Refusal> {
    let rollout = replay(rollouts, of).await?;
    let database = way_back(&rollout, wish)?;
    let late: Vec<_> = {
        let book = rollouts.book();
        let late = book.catch_ups(of).map(|header| header.rollout);
        late.filter(|id| book.reversed_by(*id).is_none()).collect()
    };
    let mut catch_ups = Vec::new();
    for id in late {
        catch_ups.push(replay(rollouts, id).await?);
    }
    let plan = planning::reverse(&rollout, &catch_ups, wish.all_at_once, database);
    Ok((rollout, plan))
}

fn way_back(of: &Rollout, wish: Wish) -> Result<Database, Refusal> {
    planning::way_back(of, wish).map_err(Refusal::NothingToRollBack)
}

/// A rollout as its journal tells.
pub(crate) async fn replay(rollouts: &Rollouts, id: RolloutId) -> Result<Rollout, Refusal> {
    let plan = rollouts.plan(id).await?;
    let records = rollouts.journal.all_records(id).await?;
    Rollout::replay(id, plan, &records)
        .map_err(|why| Refusal::Rejected(format!("the journal of {id} is damaged: {why}")))
}

#[cfg(test)]
mod tests;

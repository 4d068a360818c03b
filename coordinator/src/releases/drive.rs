//! One task per unfinished release: look, do the one thing that is next, look again.

use std::{collections::HashSet, sync::Arc, time::Duration};

use dv_rollout::{
    planning,
    release::{Next, next, takes_back},
};
use dv_types::{
    ReleaseId, RolloutId, Timestamp, plan,
    record::Verb,
    release::{Course, Ending, Member, MemberState},
};

use super::{look::members, steer, turn};
use crate::{
    follow::ITSELF,
    refusal::Refusal,
    rollback::{self, Demand, What},
    rollouts::Rollouts,
    services::Known,
    starter,
    store::ReleaseRecord,
};

const FIRST_RETRY: Duration = Duration::from_millis(200);
const LAST_RETRY: Duration = Duration::from_secs(30);

/// What came of one look.
enum Done {
    /// Something was done: it is looked again.
    Something,
    /// A rollout, or a person, has to go on first; or, until then, a host has to come.
    Nothing { until: Option<Timestamp> },
    /// The release is over.
    All,
}

/// Begins to drive a release that is in the store.
pub(crate) fn launch(rollouts: &Arc<Rollouts>, id: ReleaseId) {
    let rollouts = Arc::clone(rollouts);
    let tasks = rollouts.tasks.clone();
    tasks.spawn(async move {
        tokio::select! {
            () = drive(&rollouts, id) => {}
            () = rollouts.stop.cancelled() => {}
        }
    });
}

async fn drive(rollouts: &Arc<Rollouts>, id: ReleaseId) {
    let mut retry = FIRST_RETRY;
    loop {
        // What happens from here on wakes us, even if it is too late for this look.
        let (mut changes, mut arrivals) = (rollouts.changes(), rollouts.arrivals());
        match step(rollouts, id).await {
            Ok(Done::All) => return,
            Ok(Done::Something) => retry = FIRST_RETRY,
            Ok(Done::Nothing { until: None }) => {
                let _ = changes.changed().await;
            }
            Ok(Done::Nothing { until: Some(until) }) => {
                tokio::select! {
                    _ = changes.changed() => {}
                    _ = arrivals.changed() => {}
                    () = rollouts.clock.sleep_until(until) => {}
                }
            }
            Err(why) => {
                tracing::error!(release = %id, %why, "it can't go on yet");
                tokio::time::sleep(retry).await;
                retry = (retry * 2).min(LAST_RETRY);
            }
        }
    }
}

async fn step(rollouts: &Arc<Rollouts>, id: ReleaseId) -> Result<Done, Refusal> {
    let (known, next) = {
        // Between the store's word for a rollout and the book's there is none.
        let maker = rollouts.maker().await;
        let known = super::known(rollouts, id)?;
        let members = members(rollouts, id).await?;
        let next = next(&known.release, &known.record.course, &members);
        match next {
            Next::Turn { back, because } => {
                let why = gone_wrong(rollouts, &known, because, &members[because]);
                turn(rollouts, &maker, &known, by_itself(back), Some(why)).await?;
                return Ok(Done::Something);
            }
            Next::End(ending) => {
                end(rollouts, &known, ending).await?;
                return Ok(Done::All);
            }
            next => (known, next),
        }
    };
    match next {
        Next::Begin(ready) => begin(rollouts, &known, &ready).await,
        Next::TakeBack(which) => take_back(rollouts, &known, &which).await,
        Next::Abort(which) => abort(rollouts, &known, &which).await,
        Next::Wait | Next::Turn { .. } | Next::End(_) => {
            rollouts.book().hold_release(id, None);
            Ok(Done::Nothing { until: None })
        }
    }
}

fn by_itself(back: bool) -> Course {
    let (by, wish) = (ITSELF.to_owned(), plan::Wish::default());
    if back { Course::Back { by, wish, from: RolloutId(0) } } else { Course::Stopped }
}

fn gone_wrong(rollouts: &Rollouts, known: &Known, member: usize, state: &MemberState) -> String {
    let service = known.release.members[member].service();
    let rollout = rollouts.book().member(known.record.release, service);
    let rollout = rollout.map_or_else(String::new, |rollout| format!(" ({rollout})"));
    let what = match state {
        MemberState::Failed { aborted: true, .. } => "was aborted",
        MemberState::Failed { .. } => "has failed",
        _ => "goes back",
    };
    format!("{service}{rollout} {what}")
}

async fn end(rollouts: &Rollouts, known: &Known, ending: Ending) -> Result<(), Refusal> {
    let now = rollouts.clock.now();
    let record = ReleaseRecord { end: Some((ending, now)), ..known.record.clone() };
    rollouts.journal.put_release(&record).await?;
    tracing::info!(release = %record.release, ?ending, "ended");
    rollouts.book().put_release(record, Arc::clone(&known.release));
    rollouts.note_change();
    Ok(())
}

/// Begins one of the members whose turn it is; the others follow at the next look.
async fn begin(rollouts: &Arc<Rollouts>, known: &Known, ready: &[usize]) -> Result<Done, Refusal> {
    let mut soonest: Option<Timestamp> = None;
    for &place in ready {
        let member = &known.release.members[place];
        if let Some(until) = hosts_on_their_way(rollouts, member) {
            soonest = Some(soonest.map_or(until, |soonest| soonest.min(until)));
            continue;
        }
        let record = &known.record;
        let wish = starter::Wish {
            manifest: member.manifest.clone(),
            version: member.version.clone(),
            force: record.force,
            reason: Some(match &record.reason {
                Some(reason) => format!("{} {}: {reason}", record.release, record.name),
                None => format!("{} {}", record.release, record.name),
            }),
            overrides: record.overrides.clone(),
            plan_hash: None,
            signed: None,
            release: Some(record.release),
            by: record.by.clone(),
        };
        match starter::start(rollouts, wish).await {
            Ok(_) => return Ok(Done::Something),
            // A host that was late is just brought after: its end wakes us.
            Err(Refusal::Busy { .. }) => {}
            Err(why @ (Refusal::Store(_) | Refusal::Stopping | Refusal::Interrupted(_))) => {
                return Err(why);
            }
            Err(why) => {
                refused(rollouts, record.release, place, &why).await?;
                return Ok(Done::Something);
            }
        }
    }
    Ok(Done::Nothing { until: soonest })
}

/// Hosts of a member that may still come back are waited for, as a rollout would; until when. A coordinator that has
/// just begun knows none of them.
fn hosts_on_their_way(rollouts: &Rollouts, member: &Member) -> Option<Timestamp> {
    let fleet = rollouts.fleet.view();
    let known = fleet.iter().map(|host| (&host.name, &host.labels));
    let meant: HashSet<_> = planning::select(&member.manifest, known).into_iter().collect();
    let now = rollouts.clock.now();
    let lost_after = member.manifest.strategy.lost_after.get();
    let away = fleet.iter().filter(|host| !host.connected && meant.contains(&host.name));
    let lost = away.filter_map(|host| host.away_since(rollouts.began).checked_add(lost_after).ok());
    lost.filter(|lost| *lost > now).max()
}

/// A member that can't begin is one that failed.
async fn refused(
    rollouts: &Arc<Rollouts>,
    id: ReleaseId,
    place: usize,
    why: &Refusal,
) -> Result<(), Refusal> {
    let maker = rollouts.maker().await;
    let known = super::known(rollouts, id)?;
    // Somebody may have turned it meanwhile: that was the reason then.
    if known.record.course != Course::Forward || known.record.end.is_some() {
        return Ok(());
    }
    let service = known.release.members[place].service();
    let course = by_itself(takes_back(&known.release, place));
    turn(rollouts, &maker, &known, course, Some(format!("{service} can't begin: {why}"))).await
}

async fn take_back(
    rollouts: &Arc<Rollouts>,
    known: &Known,
    which: &[usize],
) -> Result<Done, Refusal> {
    let ReleaseRecord { release: id, course, why, .. } = &known.record;
    let Course::Back { by, wish, .. } = course else { return Ok(Done::Something) };
    // It goes back as one. What goes back already is not asked again.
    if let Some(why) = forbidden(rollouts, known, *wish).await? {
        rollouts.book().hold_release(*id, Some(why));
        return Ok(Done::Nothing { until: None });
    }
    let mut held = None;
    for rollout in rollouts_of(rollouts, known, which) {
        let reason = why.as_ref().map(|why| format!("{id}: {why}"));
        let demand =
            Demand { what: What::This(rollout), wish: *wish, by: by.clone(), reason, signed: None };
        match one_back(rollouts, rollout, demand).await {
            Ok(()) => {}
            // It ends already, or something else of the service is under way.
            Err(Refusal::Rejected(_) | Refusal::Busy { .. } | Refusal::NoRollout(_)) => {}
            Err(Refusal::NothingToRollBack(why)) => {
                held.get_or_insert(format!("{rollout} can't be taken back by {id}: {why}"));
            }
            Err(why) => return Err(why),
        }
    }
    rollouts.book().hold_release(*id, held);
    // What begins and ends of it wakes us.
    Ok(Done::Nothing { until: None })
}

/// Which member can't be taken back so, why, and what a person can do.
async fn forbidden(
    rollouts: &Arc<Rollouts>,
    known: &Known,
    wish: plan::Wish,
) -> Result<Option<String>, Refusal> {
    let id = known.record.release;
    let states = members(rollouts, id).await?;
    for (member, _) in known.release.members.iter().zip(states).filter(|(_, s)| s.is_changed()) {
        let service = member.service();
        let Some(rollout) = rollouts.book().member(id, service) else { continue };
        match rollback::plan(rollouts, &What::This(rollout), wish).await {
            Err(Refusal::NothingToRollBack(why)) => {
                let mut held = format!("{service} ({rollout}) can't be taken back by {id}: {why}");
                let ways = ways_for_all(rollouts, id, wish).await;
                if !ways.is_empty() {
                    held += &format!("; for all of it: {}", ways.join(" or "));
                }
                return Ok(Some(held));
            }
            Err(why @ (Refusal::Store(_) | Refusal::Stopping | Refusal::Interrupted(_))) => {
                return Err(why);
            }
            // What is in its way now is looked at when it is its turn.
            Ok(_) | Err(_) => {}
        }
    }
    Ok(None)
}

/// What a person can type so that every member goes back.
async fn ways_for_all(rollouts: &Arc<Rollouts>, id: ReleaseId, wish: plan::Wish) -> Vec<String> {
    let wish = plan::Wish { by_person: true, ..wish };
    let ways = [
        ("--code-only", plan::Wish { code_only: true, ..wish }),
        ("--accept-data-loss", plan::Wish { accept_data_loss: true, ..wish }),
        ("--restore-backup", plan::Wish { restore_backup: true, ..wish }),
    ];
    let mut possible = Vec::new();
    for (flag, wish) in ways {
        if steer::possible(rollouts, id, wish).await.is_ok() {
            possible.push(format!("`dvctl rollback {id} {flag}`"));
        }
    }
    possible
}

async fn one_back(
    rollouts: &Arc<Rollouts>,
    rollout: RolloutId,
    demand: Demand,
) -> Result<(), Refusal> {
    if rollouts.find(rollout).is_some() {
        return rollback::end(rollouts, rollout, demand).await;
    }
    // It says best what forbids it.
    rollback::plan(rollouts, &demand.what, demand.wish).await?;
    rollback::roll_back(rollouts, demand).await.map(drop)
}

async fn abort(rollouts: &Arc<Rollouts>, known: &Known, which: &[usize]) -> Result<Done, Refusal> {
    let ReleaseRecord { release: id, why, .. } = &known.record;
    for rollout in rollouts_of(rollouts, known, which) {
        let back = rollouts.book().reversed_by(rollout);
        let under_way = [Some(rollout), back].into_iter().flatten();
        for rollout in under_way.filter(|rollout| rollouts.find(*rollout).is_some()) {
            let reason = why.as_ref().map(|why| format!("{id}: {why}"));
            match rollouts.operate(rollout, ITSELF.to_owned(), Verb::Abort, reason).await {
                Ok(()) | Err(Refusal::Rejected(_) | Refusal::NoRollout(_)) => {}
                Err(why) => return Err(why),
            }
        }
    }
    // Their ends wake us.
    Ok(Done::Nothing { until: None })
}

fn rollouts_of(rollouts: &Rollouts, known: &Known, which: &[usize]) -> Vec<RolloutId> {
    let book = rollouts.book();
    let id = known.record.release;
    which.iter().filter_map(|&i| book.member(id, known.release.members[i].service())).collect()
}

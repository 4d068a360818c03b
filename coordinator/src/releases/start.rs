//! Starting a release: every member is planned, and everything that can forbid one is looked at, before anything is
//! written.

use std::sync::Arc;

use dv_types::{Plan, Release, ReleaseId, plan::Severity, release::Course};
use futures_util::future::join_all;

use super::launch;
use crate::{
    planner,
    refusal::Refusal,
    rollouts::Rollouts,
    starter::{overridable, permitted, reasoned, signable},
    store::{ReleaseRecord, hash},
};

/// What an operator asks for.
pub(crate) struct Wish {
    pub(crate) release: Release,
    /// Start it although versions were rolled back.
    pub(crate) force: bool,
    pub(crate) reason: Option<String>,
    /// Gates that are overridden, in every member that has them.
    pub(crate) overrides: Vec<String>,
    /// The plans that were agreed on.
    pub(crate) plan_hash: Option<String>,
    pub(crate) by: String,
}

/// The plans of all members, in their order, and the hash of all together. Their notes may hold errors.
pub(crate) async fn plan(
    rollouts: &Rollouts,
    release: Release,
) -> Result<(Vec<Plan>, String), Refusal> {
    plans(rollouts, &arranged(release)?).await
}

/// Plans a release and begins it.
pub(crate) async fn start(rollouts: &Arc<Rollouts>, wish: Wish) -> Result<ReleaseId, Refusal> {
    let Wish { release, force, reason, overrides, plan_hash, by } = wish;
    reasoned(force, &overrides, reason.as_deref())?;
    let release = arranged(release)?;
    for member in &release.members {
        signable(&member.manifest, false, Some(ReleaseId(0)))?;
    }
    all_permitted(rollouts, &release, force)?;
    let (plans, now) = plans(rollouts, &release).await?;
    let errors: Vec<_> = plans.iter().flat_map(errors).collect();
    if !errors.is_empty() {
        return Err(Refusal::Plan(errors));
    }
    if plan_hash.is_some_and(|agreed| agreed != now) {
        return Err(Refusal::PlanChanged { now });
    }
    let mut gates: Vec<_> = plans.iter().flat_map(|plan| plan.gates.iter().cloned()).collect();
    gates.sort();
    gates.dedup();
    overridable(&overrides, &gates, "the release")?;

    let maker = rollouts.maker().await;
    all_permitted(rollouts, &release, force)?;
    if rollouts.stop.is_cancelled() {
        return Err(Refusal::Stopping);
    }
    rollouts.roomy().await?;
    let last = rollouts.book().releases().next().map_or(0, |known| known.record.release.0);
    let record = ReleaseRecord {
        release: ReleaseId(last + 1),
        name: release.name.clone(),
        document: rollouts.journal.save_release(&release).await?,
        by,
        reason,
        force,
        overrides,
        created: rollouts.clock.now(),
        course: Course::Forward,
        why: None,
        end: None,
    };
    let rollouts = Arc::clone(rollouts);
    maker.finish(async move { create(&rollouts, record, release).await }).await
}

/// Puts a release into the store, and begins to drive it.
async fn create(
    rollouts: &Arc<Rollouts>,
    record: ReleaseRecord,
    release: Release,
) -> Result<ReleaseId, Refusal> {
    rollouts.journal.create_release(&record).await?;
    let id = record.release;
    tracing::info!(release = %id, name = %record.name, by = record.by, "a release begins");
    rollouts.book().put_release(record, Arc::new(release));
    launch(rollouts, id);
    Ok(id)
}

fn arranged(release: Release) -> Result<Release, Refusal> {
    if release.members.is_empty() {
        return Err(Refusal::Invalid("the release has no services".to_owned()));
    }
    release.arranged().map_err(|problems| {
        let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
        Refusal::Invalid(format!("the release is refused: {}", problems.join("; ")))
    })
}

fn all_permitted(rollouts: &Rollouts, release: &Release, force: bool) -> Result<(), Refusal> {
    for member in &release.members {
        permitted(rollouts, &member.manifest, &member.version, force, None)?;
    }
    Ok(())
}

async fn plans(rollouts: &Rollouts, release: &Release) -> Result<(Vec<Plan>, String), Refusal> {
    let made = join_all(release.members.iter().map(async |member| {
        let service = member.service().clone();
        let plan = planner::plan(rollouts, &member.manifest, &member.version).await;
        plan.map_err(|why| Refusal::Member { service, why: Box::new(why) })
    }));
    let plans = made.await.into_iter().collect::<Result<Vec<_>, _>>()?;
    let hashes: Vec<_> = plans.iter().map(Plan::hash).collect();
    Ok((plans, hash(&hashes.join("\n"))))
}

fn errors(plan: &Plan) -> Vec<String> {
    let errors = plan.notes.iter().filter(|note| note.severity == Severity::Error);
    let say = |note: &dv_types::plan::Note| match &note.host {
        Some(host) => format!("{}: {host}: {}", plan.service, note.text),
        None => format!("{}: {}", plan.service, note.text),
    };
    errors.map(say).collect()
}

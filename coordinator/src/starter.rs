//! Starting a rollout: everything that can forbid it is looked at before anything is written.

use std::sync::Arc;

use dv_types::{
    Manifest, Plan, ReleaseId, RolloutId, ServiceName, Version, plan::Kind, release::Course,
    warrant::SignedWarrant,
};

use crate::{
    planner,
    refusal::Refusal,
    rollouts::{Beginning, Rollouts, accept},
    services::{Book, Known},
    store::Signing,
};

/// What an operator asks for.
pub(crate) struct Wish {
    pub(crate) manifest: Manifest,
    pub(crate) version: Version,
    /// Start it although the version was rolled back.
    pub(crate) force: bool,
    pub(crate) reason: Option<String>,
    /// Gates that are overridden.
    pub(crate) overrides: Vec<String>,
    /// The plan that was agreed on.
    pub(crate) plan_hash: Option<String>,
    /// What the operator has signed.
    pub(crate) signed: Option<SignedWarrant>,
    /// The release that it belongs to; of its gates, the rollout takes those that it has.
    pub(crate) release: Option<ReleaseId>,
    pub(crate) by: String,
}

/// Plans a rollout and begins it.
pub(crate) async fn start(rollouts: &Arc<Rollouts>, wish: Wish) -> Result<RolloutId, Refusal> {
    let Wish { manifest, version, force, reason, mut overrides, plan_hash, release, .. } = wish;
    let (signed, by) = (wish.signed, wish.by);
    signable(&manifest, signed.is_some(), release)?;
    reasoned(force, &overrides, reason.as_deref())?;
    if !overrides.is_empty() {
        may_override(rollouts, &by)?;
    }
    // Before the hosts are asked, and again when nobody else can begin any more.
    permitted(rollouts, &manifest, &version, force, release)?;
    let agreed = |plan: &Plan| match (&plan_hash, plan.hash()) {
        (Some(agreed), now) if *agreed != now => Err(Refusal::PlanChanged { now }),
        _ => Ok(()),
    };
    let mut planned = planner::accept(planner::plan(rollouts, &manifest, &version).await?)?;
    // Nothing makes way for what is refused.
    agreed(&planned)?;
    let for_this = |plan: &Plan| match &signed {
        Some(signed) => accept(plan, signed, rollouts.clock.now()),
        None => Ok(()),
    };
    for_this(&planned)?;
    let was_free = rollouts.catch_up_under_way(&manifest.service).is_none();
    let _way = rollouts.make_way(&manifest.service, format!("{by} starts {version}")).await?;
    if !was_free {
        // What made way has changed what hosts run, and nothing else has.
        planned = planner::accept(planner::plan(rollouts, &manifest, &version).await?)?;
    }
    for_this(&planned)?;
    let mut plan = planned;
    if release.is_some() {
        overrides.retain(|gate| plan.gates.contains(gate));
    }
    overridable(&overrides, &plan.gates, "the manifest")?;
    if overrides.iter().any(|gate| gate == "reachable") {
        go_without_those_away(rollouts, &mut plan);
    }
    let maker = rollouts.maker().await;
    let forgiven = permitted(rollouts, &manifest, &version, force, release)?;
    let signing = signed.map(|warrant| Signing { warrant, of: None, back: false });
    let plan_of = plan.clone();
    let beginning = Beginning { plan: plan_of, by, reason, overrides, release, signing, bad: None };
    let id = maker.begin(beginning).await?;
    if forgiven && let Err(why) = maker.forgive(&plan).await {
        // The rollout goes on; the mark stays until the next one.
        tracing::error!(rollout = %id, %why, "the version stays marked as bad");
    }
    Ok(id)
}

/// Whether what its manifest says of signatures can be kept.
pub(crate) fn signable(
    manifest: &Manifest,
    signed: bool,
    release: Option<ReleaseId>,
) -> Result<(), Refusal> {
    let service = &manifest.service;
    match (manifest.signed && !signed, release) {
        (false, _) => Ok(()),
        (true, None) => Err(Refusal::Unsigned(service.clone())),
        (true, Some(_)) => Err(Refusal::Invalid(format!(
            "{service} must be signed, and a release's plans are not known before their turn: start it by itself"
        ))),
    }
}

/// Who goes on in spite of the hosts that are out of contact means these, and no more of them.
fn go_without_those_away(rollouts: &Rollouts, plan: &mut Plan) {
    let away =
        plan.hosts.iter().filter(|host| rollouts.fleet.session(&host.name).is_none()).count();
    plan.limits.max_unreachable = plan.limits.max_unreachable.max(away as u32);
}

/// Whether this operator may go on in spite of a gate.
pub(crate) fn may_override(rollouts: &Rollouts, operator: &str) -> Result<(), Refusal> {
    (rollouts.config.check_override(operator))
        .map_err(|may| Refusal::MayNotOverride { operator: operator.to_owned(), may })
}

/// What is out of the ordinary needs a reason.
pub(crate) fn reasoned(
    force: bool,
    overrides: &[String],
    reason: Option<&str>,
) -> Result<(), Refusal> {
    let option = match (force, overrides) {
        (true, _) => "--force",
        (false, [_, ..]) => "--override",
        (false, []) => return Ok(()),
    };
    match reason {
        Some(_) => Ok(()),
        None => Err(Refusal::Invalid(format!("{option} needs a --reason: it stays in the record"))),
    }
}

/// Only gates that there are can be overridden.
pub(crate) fn overridable(
    overrides: &[String],
    gates: &[String],
    whose: &str,
) -> Result<(), Refusal> {
    let Some(unknown) = overrides.iter().find(|gate| !gates.contains(gate)) else { return Ok(()) };
    let known = if gates.is_empty() { "it has none".to_owned() } else { gates.join(", ") };
    Err(Refusal::Invalid(format!(
        "{whose} has no gate {unknown} that could be overridden: {known}"
    )))
}

/// Whether the service is free, or will be when a catch-up has made way, and the version not bad; true if it is bad and forced.
pub(crate) fn permitted(
    rollouts: &Rollouts,
    manifest: &Manifest,
    version: &Version,
    force: bool,
    release: Option<ReleaseId>,
) -> Result<bool, Refusal> {
    let service = &manifest.service;
    let book = rollouts.book();
    let makes_way = |id| book.header(id).is_some_and(|h| matches!(h.kind, Kind::CatchUp { .. }));
    if let Some(rollout) = book.active(service).filter(|id| !makes_way(*id)) {
        return Err(Refusal::Busy { service: service.clone(), rollout });
    }
    match (book.reserved(service), release) {
        (Some(reserved), own) if own != Some(reserved) => {
            return Err(Refusal::InRelease { service: service.clone(), release: reserved });
        }
        (_, Some(own)) if !awaited(&book, own, service) => {
            return Err(Refusal::Rejected(format!("{own} does not begin {service} any more")));
        }
        _ => {}
    }
    match book.bad(service, version).cloned() {
        None => Ok(false),
        Some(_) if force => Ok(true),
        Some(mark) => Err(Refusal::BadVersion {
            service: mark.service,
            version: mark.version,
            rollout: mark.rollout,
            reason: mark.reason,
            at: mark.at,
        }),
    }
}

/// Whether a release goes forward and has not begun this member.
fn awaited(book: &Book, release: ReleaseId, service: &ServiceName) -> bool {
    let forward =
        |known: &Known| known.record.end.is_none() && known.record.course == Course::Forward;
    book.release(release).is_some_and(forward) && book.member(release, service).is_none()
}

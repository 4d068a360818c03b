//! Starting a rollout: everything that can forbid it is looked at before anything is written.

use std::sync::Arc;

use dv_types::{Manifest, RolloutId, Version};

use crate::{
    planner,
    refusal::Refusal,
    rollouts::{Beginning, Rollouts},
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
    pub(crate) by: String,
}

/// Plans a rollout and begins it.
pub(crate) async fn start(rollouts: &Arc<Rollouts>, wish: Wish) -> Result<RolloutId, Refusal> {
    let Wish { manifest, version, force, reason, overrides, plan_hash, by } = wish;
    if force && reason.is_none() {
        return Err(Refusal::Invalid(
            "--force needs a --reason: it stays in the record".to_owned(),
        ));
    }
    if !overrides.is_empty() && reason.is_none() {
        return Err(Refusal::Invalid(
            "--override needs a --reason: it stays in the record".to_owned(),
        ));
    }
    if !overrides.is_empty() {
        may_override(rollouts, &by)?;
    }
    // Before the hosts are asked, and again when nobody else can begin any more.
    permitted(rollouts, &manifest, &version, force)?;
    let plan = planner::accept(planner::plan(rollouts, &manifest, &version).await?)?;
    let now = plan.hash();
    if plan_hash.is_some_and(|agreed| agreed != now) {
        return Err(Refusal::PlanChanged { now });
    }
    if let Some(unknown) = overrides.iter().find(|gate| !plan.gates.contains(gate)) {
        let known =
            if plan.gates.is_empty() { "it has none".to_owned() } else { plan.gates.join(", ") };
        return Err(Refusal::Invalid(format!(
            "the manifest has no gate {unknown} that could be overridden: {known}"
        )));
    }
    let maker = rollouts.maker().await;
    let forgiven = permitted(rollouts, &manifest, &version, force)?;
    let id =
        maker.begin(Beginning { plan: plan.clone(), by, reason, overrides, bad: None }).await?;
    if forgiven && let Err(why) = maker.forgive(&plan).await {
        // The rollout goes on; the mark stays until the next one.
        tracing::error!(rollout = %id, %why, "the version stays marked as bad");
    }
    Ok(id)
}

/// Whether this operator may go on in spite of a gate.
pub(crate) fn may_override(rollouts: &Rollouts, operator: &str) -> Result<(), Refusal> {
    (rollouts.config.check_override(operator))
        .map_err(|may| Refusal::MayNotOverride { operator: operator.to_owned(), may })
}

/// Whether the service is free and the version not bad; true if it is bad and forced.
fn permitted(
    rollouts: &Rollouts,
    manifest: &Manifest,
    version: &Version,
    force: bool,
) -> Result<bool, Refusal> {
    if let Some(rollout) = rollouts.unfinished_of(&manifest.service) {
        return Err(Refusal::Busy { service: manifest.service.clone(), rollout });
    }
    match rollouts.book().bad(&manifest.service, version).cloned() {
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

//! What the agent can do, one file each. By the time one of these is called the policy has allowed it and
//! its intent is on the disk.

mod arm;
mod backup;
pub(crate) mod checkout;
mod command;
mod compose;
mod downgrade;
pub(crate) mod git;
pub(crate) mod image;
mod migrate;
mod run;
pub(crate) mod schema;
mod smoke;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod unit;
mod verify;

use std::sync::{Arc, OnceLock};

use dv_types::{CommandId, Evidence, OpResult, Operation, outcome::Output};

use crate::{
    config::Config,
    ledger::Mark,
    limits::{Limits, Stop},
    policy::Policy,
    ports::{EngineError, Ports, Units, UnitsError},
    progress::Progress,
    switch::Switches,
};

/// What an operation works with.
pub(crate) struct Context {
    pub(crate) command: CommandId,
    pub(crate) switches: Switches,
    pub(crate) config: Config,
    pub(crate) ports: Ports,
    pub(crate) policy: Policy,
    pub(crate) limits: Limits,
    pub(crate) progress: Progress,
    /// One connection for all that the operation asks, made when it is needed.
    pub(crate) units: OnceLock<Arc<dyn Units>>,
    /// It, or the one before it, was cut off: what lies about is probably its own.
    pub(crate) resumed: bool,
    /// What was there before it was begun, however often it is begun.
    pub(crate) mark: Option<Mark>,
}

impl Context {
    pub(crate) fn units(&self) -> &dyn Units {
        &**self.units.get_or_init(|| (self.ports.units)())
    }
}

/// How an operation ended.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) result: OpResult,
    pub(crate) output: Output,
    pub(crate) evidence: Option<Evidence>,
    /// It was cut off while it wrote.
    pub(crate) unfinished: bool,
}

impl Attempt {
    fn done(evidence: Evidence) -> Self {
        Self { evidence: Some(evidence), ..OpResult::Done.into() }
    }

    fn with_output(self, output: Output) -> Self {
        Self { output, ..self }
    }

    pub(crate) fn with_evidence(self, evidence: Evidence) -> Self {
        Self { evidence: Some(evidence), ..self }
    }
}

impl From<OpResult> for Attempt {
    fn from(result: OpResult) -> Self {
        Self { result, output: Output::default(), evidence: None, unfinished: false }
    }
}

/// An attempt that ended before its last step.
pub(crate) type Halt = Box<Attempt>;

/// Both arms are an end; the second is what `?` takes.
type Ended = Result<Attempt, Halt>;

impl From<OpResult> for Halt {
    fn from(result: OpResult) -> Self {
        Self::new(result.into())
    }
}

impl From<Stop> for Halt {
    fn from(stop: Stop) -> Self {
        OpResult::from(stop).into()
    }
}

impl From<EngineError> for Halt {
    fn from(error: EngineError) -> Self {
        failed(error)
    }
}

impl From<UnitsError> for Halt {
    fn from(error: UnitsError) -> Self {
        failed(error)
    }
}

/// It was tried and failed.
fn failed(why: impl ToString) -> Halt {
    OpResult::Failed(why.to_string()).into()
}

/// Carries `operation` out.
pub(crate) async fn perform(operation: &Operation, context: &Context) -> Attempt {
    let ended = match operation {
        Operation::PullImage { repository, tag, digest, .. } => {
            image::pull(context, repository, tag, digest).await
        }
        Operation::TagImage { repository, digest } => image::tag(context, repository, digest).await,
        Operation::RestoreTags { repository, latest, previous } => {
            image::restore(context, repository, latest, previous.as_ref()).await
        }
        Operation::ComposeUp { project, .. } => compose::up(context, project).await,
        Operation::Checkout { tree, commit, .. } => checkout::checkout(context, tree, commit).await,
        Operation::Unit { unit, verb, .. } => unit::act(context, unit, *verb).await,
        Operation::Run { argv, .. } => run::run(context, argv).await,
        Operation::Verify { probing, min_healthy_time, healthy_deadline } => {
            verify::verify(context, probing, *min_healthy_time, *healthy_deadline).await
        }
        Operation::Backup { create, proof, .. } => backup::backup(context, create, proof).await,
        Operation::Migrate { check, upgrade, kinds, .. } => {
            migrate::migrate(context, check, upgrade, kinds).await
        }
        Operation::Downgrade { check, downgrade, head, to, .. } => {
            downgrade::downgrade(context, check, downgrade, head.as_deref(), to.as_ref()).await
        }
        Operation::Smoke { smoke, base } => smoke::smoke(context, smoke, base.as_deref()).await,
        Operation::Arm { within, revert } => arm::arm(context, *within, revert).await,
        Operation::Confirm => arm::confirm(context).await,
    };
    ended.unwrap_or_else(|halt| *halt)
}

/// What must be known before `operation` begins: to settle it after a crash, and to go back.
pub(crate) async fn mark(operation: &Operation, context: &Context) -> Result<Option<Mark>, Halt> {
    match operation {
        Operation::Unit { unit, verb: dv_types::operation::UnitVerb::Restart, .. } => {
            unit::mark(context, unit).await.map(|mark| Some(Mark::Unit(mark)))
        }
        Operation::TagImage { repository, .. } | Operation::RestoreTags { repository, .. } => {
            image::mark(context, repository).await.map(|tags| Some(Mark::Tags { tags }))
        }
        Operation::Checkout { tree, .. } => {
            checkout::mark(context, tree).await.map(|commit| Some(Mark::Commit { commit }))
        }
        _ => Ok(None),
    }
}

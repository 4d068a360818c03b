//! What the host's managers can do, so that operations can be tested without them.

use std::{collections::HashMap, sync::Arc};

use dv_types::{Digest, operation::UnitVerb, outcome::ImageId};
use futures_util::future::BoxFuture;

/// The service manager.
pub(crate) trait Units: Send + Sync {
    /// How a unit is now.
    fn state<'a>(&'a self, unit: &'a str) -> BoxFuture<'a, Result<UnitState, UnitsError>>;

    /// Acts on a unit and waits for the job's result: `done`, `failed`, `timeout`, and so on.
    fn act<'a>(
        &'a self,
        unit: &'a str,
        verb: UnitVerb,
    ) -> BoxFuture<'a, Result<String, UnitsError>>;
}

/// How a unit is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct UnitState {
    /// `ActiveState`
    pub(crate) active: String,
    /// `SubState`
    pub(crate) sub: String,
    /// `InvocationID` in hexadecimal: another one for each run; empty where it never ran.
    pub(crate) invocation: String,
    /// The main process; 0 if there is none.
    pub(crate) main_pid: u32,
    /// The unit's start is over before its program has shown that it can run (`Type=simple`).
    pub(crate) unproven: bool,
    /// A job of it is under way.
    pub(crate) has_job: bool,
}

/// The service manager gave no answer, or a bad one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnitsError {
    #[error("there is no unit {0} on this host")]
    NoSuchUnit(String),
    #[error("systemd: {0}")]
    Failed(String),
}

/// What an image says of itself.
pub(crate) type Labels = HashMap<String, String>;

/// The container engine.
pub(crate) trait Images: Send + Sync {
    /// The image that `reference` names: `repository:tag`, `repository@digest`, or an image's id.
    fn find<'a>(
        &'a self,
        repository: &'a str,
        reference: &'a str,
    ) -> BoxFuture<'a, Result<Option<ImageId>, EngineError>>;

    /// The labels of the image that `reference` names; nothing if there is no such image here.
    fn labels<'a>(
        &'a self,
        reference: &'a str,
    ) -> BoxFuture<'a, Result<Option<Labels>, EngineError>>;

    /// Pulls `repository@digest`, telling how far it is.
    fn pull<'a>(
        &'a self,
        repository: &'a str,
        digest: &'a Digest,
        say: &'a (dyn Fn(&str) + Send + Sync),
    ) -> BoxFuture<'a, Result<(), EngineError>>;

    /// Gives the image the name `repository:tag`, taking it from any other.
    fn tag<'a>(
        &'a self,
        id: &'a Digest,
        repository: &'a str,
        tag: &'a str,
    ) -> BoxFuture<'a, Result<(), EngineError>>;

    /// Takes the name `repository:tag` away.
    fn untag<'a>(
        &'a self,
        repository: &'a str,
        tag: &'a str,
    ) -> BoxFuture<'a, Result<(), EngineError>>;

    /// What the registry says that `repository:tag` is; nothing if it knows no such tag.
    fn resolve<'a>(
        &'a self,
        repository: &'a str,
        tag: &'a str,
    ) -> BoxFuture<'a, Result<Option<Digest>, EngineError>>;
}

/// The engine could not do it; in words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct EngineError(pub(crate) String);

/// How to reach the managers. They are reached when an operation needs them, and left when it has ended.
#[derive(Clone)]
pub(crate) struct Ports {
    pub(crate) units: Arc<dyn Fn() -> Arc<dyn Units> + Send + Sync>,
    pub(crate) images: Arc<dyn Fn() -> Result<Arc<dyn Images>, EngineError> + Send + Sync>,
}

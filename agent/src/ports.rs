//! What the agent needs of its host and of the way to the coordinator, so that all of it can be tested, and simulated,
//! without them.

mod dial;
mod disk;
mod outside;
mod programs;

use std::{collections::HashMap, sync::Arc};

use dv_types::{Digest, operation::UnitVerb, outcome::ImageId, probe::Probing};
use futures_util::future::BoxFuture;

use crate::policy::{Policy, PolicyError};

pub use dial::{Dial, Line, Orders, Words};
pub use disk::Disk;
pub use outside::Outside;
pub use programs::{Finished, Limits, Program, Programs, Stop};

/// The service manager.
pub trait Units: Send + Sync {
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
pub struct UnitState {
    /// `ActiveState`
    pub active: String,
    /// `SubState`
    pub sub: String,
    /// `InvocationID` in hexadecimal: another one for each run; empty where it never ran.
    pub invocation: String,
    /// The main process; 0 if there is none.
    pub main_pid: u32,
    /// The unit's start is over before its program has shown that it can run (`Type=simple`).
    pub unproven: bool,
    /// A job of it is under way.
    pub has_job: bool,
}

/// The service manager gave no answer, or a bad one.
#[derive(Debug, thiserror::Error)]
pub enum UnitsError {
    /// It has no such unit.
    #[error("there is no unit {0} on this host")]
    NoSuchUnit(String),
    /// It could not do it.
    #[error("systemd: {0}")]
    Failed(String),
}

/// What an image says of itself.
pub type Labels = HashMap<String, String>;

/// The container engine.
pub trait Images: Send + Sync {
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
pub struct EngineError(pub String);

/// What asks a service how it is.
pub trait Probes: Send + Sync {
    /// Asks each probe once, in order, up to the first bad answer: `probe: why`.
    fn round<'a>(&'a self, probing: &'a Probing) -> BoxFuture<'a, Result<(), String>>;
}

/// The outside, as a whole. Managers are reached when an operation needs them, and left when it has ended.
#[derive(Clone)]
pub struct Ports {
    /// The service manager.
    pub units: Arc<dyn Fn() -> Arc<dyn Units> + Send + Sync>,
    /// The container engine.
    pub images: Arc<dyn Fn() -> Result<Arc<dyn Images>, EngineError> + Send + Sync>,
    /// The host's programs.
    pub programs: Arc<dyn Programs>,
    /// The service's probes.
    pub probes: Arc<dyn Probes>,
    /// Where the agent keeps what it must not forget.
    pub disk: Arc<dyn Disk>,
    /// Clocks and chance.
    pub outside: Arc<dyn Outside>,
    /// The host's policy, as it is now.
    pub policy: Arc<dyn Fn() -> Result<Policy, PolicyError> + Send + Sync>,
    /// The way to the coordinator.
    pub dial: Arc<dyn Dial>,
}

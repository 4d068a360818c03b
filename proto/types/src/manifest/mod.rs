//! What an operator writes: the service, its hosts, what happens on each, and how carefully.

mod gates;
mod monitor;
mod once;
mod smoke;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use gates::{Disk, Freeze, Gates, Reviewed, Tests};
pub use monitor::{Compare, Metrics, Monitor, Prometheus, Thresholds};
pub use once::{BackupStep, MigrateStep, Once, Proof};
pub use smoke::{Expect, Smoke, SmokeRequest};

use crate::{HostName, Quota, ServiceName, Span};

/// A deployment manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The service that is deployed. One rollout per service runs at a time.
    pub service: ServiceName,
    /// Which hosts run it.
    pub hosts: Hosts,
    /// What must hold before anything is touched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gates: Option<Gates>,
    /// What happens on each host, in this order. `${version}` stands for the version of the rollout.
    pub steps: Vec<Step>,
    /// How a host shows that it is well again after the steps.
    #[serde(default)]
    pub health: Option<Health>,
    /// What a person would click after a deployment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smoke: Option<Smoke>,
    /// How error rate and latency are watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitor: Option<Monitor>,
    /// How the rollout goes through the fleet.
    #[serde(default)]
    pub strategy: Strategy,
    /// Whether every plan must be signed with an operator's own SSH key. What the hosts demand stands in their policy: this
    /// says it early.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub signed: bool,
}

/// Which hosts a manifest means: those that carry every label, or those named. Both given, both must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hosts {
    /// Labels that a host must carry, all of them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Hosts by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<HostName>,
    /// A label, such as `zone`: hosts that are updated together are taken from as many of its values as possible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread: Option<String>,
}

/// One thing to do on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// Make a backup, once, before anything is touched.
    Backup(BackupStep),
    /// Migrate the database, once.
    Migrate(MigrateStep),
    /// Pull an image; then `previous` := what `latest` was, `latest` := the new image.
    Image(ImageStep),
    /// Bring a compose project up with its present images.
    Compose(ComposeStep),
    /// Fetch a working tree and check out the commit that the ref means.
    Checkout(CheckoutStep),
    /// Run a command, without a shell.
    Run(RunStep),
    /// Restart a systemd unit and wait for systemd's result.
    Restart(UnitStep),
    /// Start a systemd unit and wait for systemd's result.
    Start(UnitStep),
    /// Stop a systemd unit and wait for systemd's result.
    Stop(UnitStep),
}

/// An image to pull and tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImageStep {
    /// The repository, with its registry: `registry.example.com:5000/team/app`.
    pub repository: String,
    /// The tag to pull.
    #[serde(default = "version_template")]
    pub tag: String,
    /// How long the pull may take.
    #[serde(default = "ten_minutes")]
    pub timeout: Span,
}

/// A compose project to bring up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ComposeStep {
    /// The project's name, as the hosts' policy lists it with its directory.
    pub project: String,
    /// How long it may take.
    #[serde(default = "five_minutes")]
    pub timeout: Span,
}

/// A working tree to bring to a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckoutStep {
    /// The working tree's path on the host.
    pub tree: String,
    /// A branch, tag or commit; it is resolved to one commit for the whole fleet when the plan is made.
    #[serde(default = "version_template", rename = "ref")]
    pub reference: String,
    /// How long fetch and checkout may take.
    #[serde(default = "five_minutes")]
    pub timeout: Span,
}

/// A command to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunStep {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// What undoes it. Here `${version}` stands for the version that the host ran before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<Vec<String>>,
    /// After this time the command and all that it started are killed.
    #[serde(default = "five_minutes")]
    pub timeout: Span,
    /// Whether it may be run again when nobody knows whether it ran.
    #[serde(default)]
    pub repeatable: bool,
    /// Run it one time per rollout instead of on every host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub once: Option<Once>,
}

/// A systemd unit to act on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UnitStep {
    /// The unit, with its suffix: `debvisor.service`.
    pub unit: String,
    /// How long systemd's job may take.
    #[serde(default = "two_minutes")]
    pub timeout: Span,
}

/// The probes that say whether a host is well, and how they are asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// Answers when the process runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<ProbeSpec>,
    /// Answers when the service can do its work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<ProbeSpec>,
    /// Time from one probe to the next.
    #[serde(default = "one_second")]
    pub interval: Span,
    /// A probe that has no answer after this time has failed.
    #[serde(default = "two_seconds")]
    pub timeout: Span,
    /// So many good answers in a row of every probe make a host healthy.
    #[serde(default = "one")]
    pub successes: u32,
}

/// A probe: exactly one of `http`, `tcp`, `grpc` and `command`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProbeSpec {
    /// A URL that answers GET, `http://localhost:8080/health/ready`. It is asked by the agent, on the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<String>,
    /// With `http`: the status that counts as good; any of 200 to 299 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// An address that accepts a TCP connection, `localhost:5432`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp: Option<String>,
    /// An address that serves gRPC health checks, `localhost:9000`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grpc: Option<String>,
    /// With `grpc`: the service to ask for; the server as a whole if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// A command that exits with 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
}

/// What happens when more hosts have failed than `max_failures` allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// Every touched host goes back to what it ran before.
    #[default]
    Rollback,
    /// Nothing more happens until a person decides.
    Pause,
    /// The rollout goes on with the other hosts.
    Continue,
}

/// How a rollout goes through the fleet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Strategy {
    /// Hosts that go first; the others wait until the canary is promoted.
    pub canary: Quota,
    /// Whether a healthy canary is promoted without a person.
    pub auto_promote: bool,
    /// How much of the fleet is updated by the end of each batch: `[1, 10%, 50%, 100%]`. The last must be `100%`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batches: Option<Vec<Quota>>,
    /// Hosts updated at once: 1 if not given; with `batches`, the whole batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_parallel: Option<Quota>,
    /// A host must stay healthy this long before it counts as healthy.
    pub min_healthy_time: Span,
    /// A host that is not healthy by then has failed.
    pub healthy_deadline: Span,
    /// The rollout pauses when no host has become healthy for this long.
    pub progress_deadline: Span,
    /// So many failed hosts of the whole fleet are tolerated.
    pub max_failures: Quota,
    /// So many unreachable hosts of the whole fleet are tolerated; beyond it the rollout pauses.
    pub max_unreachable: Quota,
    /// A host that has been out of contact for this long counts as unreachable.
    pub lost_after: Span,
    /// No command is given that could leave fewer hosts than this available.
    pub min_available: Quota,
    /// What happens when `max_failures` is exceeded.
    pub on_failure: OnFailure,
    /// Dead-man's switch: a host that has changed version and is not confirmed by the coordinator within this time
    /// goes back by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirm_within: Option<Span>,
}

impl Default for Strategy {
    fn default() -> Self {
        Self {
            canary: Quota::Hosts(0),
            auto_promote: false,
            batches: None,
            max_parallel: None,
            min_healthy_time: Span::from_secs(10),
            healthy_deadline: five_minutes(),
            progress_deadline: ten_minutes(),
            max_failures: Quota::Hosts(0),
            max_unreachable: Quota::Percent(10),
            lost_after: Span::from_secs(60),
            min_available: Quota::Hosts(0),
            on_failure: OnFailure::Rollback,
            confirm_within: None,
        }
    }
}

fn version_template() -> String {
    "${version}".to_owned()
}
fn one() -> u32 {
    1
}
fn one_second() -> Span {
    Span::from_secs(1)
}
fn two_seconds() -> Span {
    Span::from_secs(2)
}
fn two_minutes() -> Span {
    Span::from_secs(120)
}
fn five_minutes() -> Span {
    Span::from_secs(300)
}
fn ten_minutes() -> Span {
    Span::from_secs(600)
}

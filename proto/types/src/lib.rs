//! The words of dv, one per file. No I/O, no clock, nothing async.
//!
//! ```text
//! manifest ──(version, facts of the fleet)──▶ plan ──▶ operations ──▶ outcomes
//!                                              │                        │
//!                                              └──────▶ records ◀───────┘ ──▶ report
//! ```
//!
//! Everything here is a document: it is stored, sent and shown in one JSON form
//! (`docs/adr/0002-documents-are-json.md`).

#![warn(clippy::disallowed_methods)]

pub mod check;
pub mod command;
pub mod fleet;
pub mod freeze;
pub mod gate;
pub mod id;
pub mod manifest;
pub mod migration;
pub mod monitor;
pub mod operation;
pub mod outcome;
pub mod plan;
pub mod probe;
pub mod quota;
pub mod record;
pub mod release;
pub mod report;
pub mod size;
pub mod span;
pub mod subject;
pub mod waiting;
pub mod warrant;

pub use command::Command;
pub use fleet::{HostFacts, Labels};
pub use gate::GateAnswer;
pub use id::{
    CommandId, Commit, Digest, Epoch, HostName, InvalidName, ReleaseId, ReleaseName, RolloutId,
    ServiceName, Version,
};
pub use jiff::Timestamp;
pub use manifest::Manifest;
pub use migration::{Migration, MigrationKind, Schema};
pub use monitor::{Judgement, Sample};
pub use operation::Operation;
pub use outcome::{Evidence, OpResult, Outcome};
pub use plan::Plan;
pub use probe::Probe;
pub use quota::Quota;
pub use record::{Fact, Record};
pub use release::Release;
pub use report::Report;
pub use size::Size;
pub use span::Span;
pub use subject::{Finding, Subject};
pub use waiting::WaitingOn;
pub use warrant::Warrant;

//! The edge: wire in, words; words, wire out. Each call says first who may make it.

mod agent_link;
mod allowance;
mod authorise;
mod control;
mod enrolment;
mod fit;
mod identities;
mod wire;

pub use agent_link::{AgentLinkApi, Orders};
pub(crate) use authorise::may_call;
pub use control::ControlApi;
pub use enrolment::EnrolmentApi;

//! The edge: wire in, words; words, wire out. Each call says first who may make it.

mod agent_link;
mod authorise;
mod control;
mod enrolment;
mod fit;
mod wire;

pub(crate) use agent_link::AgentLinkApi;
pub(crate) use control::ControlApi;
pub(crate) use enrolment::EnrolmentApi;

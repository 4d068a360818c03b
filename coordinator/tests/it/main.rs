//! The coordinator as a whole: its stores, its identities, and the real server with scripted agents.

#![allow(clippy::disallowed_methods, reason = "tests bring their own surroundings")]

mod authorisation;
mod crowd;
mod enrolment;
mod fixture;
mod fleet;
mod follow;
mod gates;
mod gone_back;
mod identity;
mod journal;
mod monitor;
mod program;
mod recovery;
mod reign;
mod release;
mod retention;
mod rollout;
mod several;
mod signed;
mod start;
mod store;
mod stuck;
mod support;
mod trust;
mod upkeep;

//! The coordinator of dv: runs the rollout machine, keeps the journal, speaks to agents and operators.
//!
//! ```text
//!            server (TCP, TLS) ── identity (who is it)
//!               │
//!      api ─────┼── enrolment ── agent_link ── control
//!               │        │            │           │
//!               │   enrolment      fleet    starter ── planner     what may begin
//!               │  (tokens, CA)      │      rollback, follow,      what goes back, and
//!               │                    │      catch_up               what follows by itself
//!               │                    │      releases               and several services as one
//!               │                    │           │
//!               └──────────────── rollouts ◀─────┘      one driver per unfinished rollout:
//!                                 (drivers)             news → dv_rollout → append → effects
//!                                    │
//!                         gates ── forge             what must hold first
//!                                    │
//!                      services ── store (Journal) ── ports::Store ◀── sled │ memory
//!                     (the book)
//! ```
//!
//! | where to begin | |
//! |---|---|
//! | [`coordinator`] | how it is served, and stopped |
//! | [`leader`] | which of several coordinators leads, and why it stops |
//! | [`reign`] | what decides, put together: without listener, TLS and files |
//! | `rollouts::driver` | the only loop: nothing goes out before it is in the journal |
//! | [`store`] | what is remembered, and what is written together |
//! | [`ports`] | the outside world |

#![warn(clippy::disallowed_methods)]

pub mod api;
pub mod clock;
pub mod config;
pub mod coordinator;
pub mod exports;
pub mod fleet;
pub mod forge;
pub mod identity;
pub mod leader;
pub mod local;
pub mod monitor;
pub mod notify;
pub mod ports;
pub mod reign;
pub mod store;
pub mod telemetry;

mod catch_up;
mod chance;
mod enrolment;
mod files;
mod follow;
mod gates;
mod office;
mod operators;
mod outgoing;
mod pace;
mod planner;
mod recover;
mod refusal;
mod releases;
mod retention;
mod rollback;
mod rollouts;
mod seat;
mod secret;
mod server;
mod services;
mod starter;
mod succession;
mod tasks;
mod text;

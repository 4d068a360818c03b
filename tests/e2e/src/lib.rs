//! Five real hosts on one machine, and what the tests need to drive, break and watch them.
//!
//! ```text
//! shell ── docker ── machine ──┬── bed: preflight, images, up, down
//!                              ├── dvctl: the packaged program, from outside
//!                              ├── outside: who answers, all the time
//!                              ├── held: places where the service waits
//!                              ├── database: what was done to it, and a lock
//!                              ├── forge: what gates ask
//!                              ├── clock: one that is wrong
//!                              ├── load: visitors, for the monitor to see
//!                              ├── counts: what was started on a host, by its own journal
//!                              ├── scenario: one test's known beginning
//!                              └── chaos: rollouts under faults, from a seed
//! ```
//!
//! A bed is brought up once (`cargo run -p dv-e2e --bin bed -- up`); the tests attach to it.

#![allow(
    clippy::disallowed_methods,
    reason = "real hosts have real time, and what a machine offers is in its surroundings"
)]

pub mod bed;
pub mod chaos;
pub mod clock;
pub mod counts;
pub mod database;
pub mod docker;
pub mod dvctl;
pub mod forge;
pub mod held;
pub mod http;
pub mod load;
pub mod machine;
pub mod manifest;
pub mod outside;
pub mod scenario;
pub mod shell;
pub mod wait;

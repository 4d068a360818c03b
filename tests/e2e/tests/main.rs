//! What dv does on five real hosts. One test after another, on the bed that was brought up before
//! (`cargo run -p dv-e2e --bin bed -- up`).

#![allow(
    clippy::disallowed_methods,
    reason = "real hosts have real time, and what a machine offers is in its surroundings"
)]

mod agents;
mod before;
mod chaos;
mod crashed;
mod cut_off;
mod dead_man;
mod failing;
mod gates;
mod input;
mod installed;
mod monitor;
mod once;
mod playbook;
mod refused;
mod rolling;
mod secret;
mod signed;
mod strangers;
mod upgrade;
mod ways_back;

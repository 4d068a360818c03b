//! The agent of dv. It runs on every host, dials the coordinator, and carries out numbered operations:
//! those that the host's own policy lists, each once, on command and never otherwise.
//!
//! ```text
//!              coordinator
//!                   ▲ │   one stream over mutual TLS, dialled from here
//!                   │ ▼
//!   identity ───▶  link ◀── epoch        who we are; whom we obey
//!                 │ │ │
//!       ┌─────────┘ │ └─────────┐
//!       ▼           ▼           ▼
//!    inspect     runner       watch      questions; commands; health while a rollout is on
//!       │         │   │         │
//!       │    machine  ledger    │        do, repeat or settle; intent before, outcome after
//!       │         │             │
//!       │       policy          │        what this host allows, read anew each time
//!       ▼         ▼             ▼
//!          operations        probe       image, checkout, unit, run, migrate, verify …
//!           │      │           │
//!         ports  process ◀─────┘         systemd and Docker; programs and all that they start
//!           ▲
//!        adapter
//! ```
//!
//! - A command becomes an outcome: `link` → `runner` → `machine` decides, `policy` allows,
//!   `ledger` writes the intent, `operations` acts, `ledger` writes the outcome, `outbox` sends it,
//!   and sends it again at each connection until it is acknowledged.
//! - `switch` holds what takes the host back if nobody confirms it in time, and does that by itself.
//! - `warrants` holds what operators have signed for this host. Where the policy demands it, a command is only obeyed as the
//!   next thing in one of them.
//! - Each operation is a task of its own with a deadline. One that is stuck holds up nothing else.
//! - `ports` is all that the agent needs of the outside; `adapter` makes it real, and a simulation is another such outside.
//! - There is one thread. What waits for the disk or for `/proc` goes to a helper thread that ends soon.

mod adapter;
mod agent;
mod ask;
pub mod backoff;
pub mod config;
mod durable;
mod epoch;
mod exchange;
pub mod identity;
mod inspect;
mod ledger;
mod limits;
mod link;
mod lock;
pub mod logging;
mod machine;
mod notify;
mod operations;
pub mod outbox;
mod outside;
pub mod policy;
pub mod ports;
mod probe;
mod process;
mod progress;
mod runner;
mod switch;
mod tasks;
mod warrants;
mod watch;
mod words;

pub use agent::{Agent, StartError, Until, run};

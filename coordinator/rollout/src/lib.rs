//! The rollout machine. It knows no clock, no network, no store and no chance: time and events come in as
//! arguments, records and effects go out as values.
//!
//! ```text
//!  events, now ──▶ turn ──▶ Step { records } ──commit (append, durable)──▶ effects
//!                   │            │
//!        observe: facts      apply: the only mutation
//!        decide:  what follows from the facts
//! ```
//!
//! | file | what |
//! |---|---|
//! | [`event`], [`effect`] | the whole boundary: what comes in, what goes out |
//! | [`rollout`] | the machine's state, and its turn |
//! | `observe` | an event, and the facts that it is |
//! | `decide` | the present state and time, and the decisions that follow |
//! | `fit` | a fact, cut to what a record holds |
//! | `apply` | a record, and how it changes the state |
//! | `operator` | which verb is possible when |
//! | `preconditions` | the gates of a manifest, before anything is touched |
//! | `once` | what happens once, however many hosts there are |
//! | `database` | what was done to the database, and whether the old code can live with it |
//! | `watching`, [`judge`] | the service is watched, and judged by what was seen |
//! | [`moves`] | which phase of a host can follow which |
//! | `relapse` | a host that was healthy and turned bad: what is held for it, and how that ends |
//! | `host`, `index` | one host's state, and what is counted over all of them |
//! | `gate` | may this host be commanded now, and if not, what is it waiting on |
//! | `report` | the state, made to be read |
//! | [`release`] | what a release of several services does next, by where they stand |
//! | [`planning`] | manifest and facts of the fleet, and the plan that they make |

#![warn(clippy::disallowed_methods)]

pub mod effect;
pub mod event;
pub mod judge;
pub mod moves;
pub mod planning;
pub mod release;
pub mod rollout;
pub mod step;

mod apply;
mod database;
mod decide;
mod fit;
mod gate;
mod host;
mod index;
mod observe;
mod once;
mod operator;
mod preconditions;
mod relapse;
mod report;
mod watching;

pub use apply::IllegalRecord;
pub use effect::Effect;
pub use event::{Event, Rejected};
pub use rollout::Rollout;
pub use step::{Step, Turn};

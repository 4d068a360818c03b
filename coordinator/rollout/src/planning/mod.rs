//! Making plans: manifest, version and the facts of the fleet go in, a complete plan comes out. What would
//! keep it from running stands in its notes.
//!
//! | file | what |
//! |---|---|
//! | `select` | which hosts a manifest means, and what they are asked first |
//! | `program` | a manifest's steps as operations, with nothing left to choose |
//! | `waves` | which hosts go before which |
//! | `forward` | a new version goes out |
//! | `check` | what is to be said against, or of, such a plan |
//! | `reverse` | a rollout is taken back |
//! | `once` | what happens once, and where |
//! | `database` | what becomes of the database when a rollout is taken back |
//! | `way_back` | what takes one host back |
//! | `switch` | the dead-man's switch |
//! | `trail` | what was done to a host, and what was there before |
//! | `catch_up` | hosts that were out of reach, or are new, follow |
//! | `signing` | what of a plan is signed for each host, and whether a plan is what its manifest says |

mod catch_up;
mod check;
mod database;
mod forward;
mod once;
mod program;
mod reverse;
mod select;
mod signing;
mod switch;
mod trail;
mod waves;
mod way_back;

pub use catch_up::catch_up;
pub use database::way_back;
pub use forward::{Asked, forward};
pub use once::{helpers, schema_question};
pub use reverse::reverse;
pub(crate) use reverse::undoes_something_once;
pub use select::{probing, select, select_of, subjects};
pub use signing::{agrees, leaf, signed_hosts};

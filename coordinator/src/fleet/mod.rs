//! The hosts: who is known, who is in contact, and how to tell them something.
//!
//! ```text
//! agent's stream ──Word──▶ rollouts
//!       ▲
//!     Order ◀── Session's bounded queue ◀── Fleet::send (never waits)
//! ```

mod inspect;
mod order;
mod registry;

pub use inspect::{Facts, Question};
pub use order::{Order, Word};
pub use registry::{Cut, Fleet, Greeting, HostView, Link, NotAdmitted};

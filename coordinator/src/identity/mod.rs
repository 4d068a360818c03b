//! Who is who: the coordinator's own CA, what it issues, and what a peer's certificate says.
//!
//! ```text
//! Authority ──issues──▶ server certificate ──▶ ServerTls (reloaded by itself)
//!     ├──────issues──▶ operator's context file (renewed by itself)
//!     └──────issues──▶ host certificates ◀── Token (single use, bound to one host)
//! peer's certificate ──▶ Peer { Operator | Host }
//! ```

mod authority;
mod carry;
mod operator;
mod peer;
mod token;

pub(crate) mod tls;

pub use authority::{Authority, IdentityError, Issued};
pub use carry::{export, import};
pub use operator::{context_file, renew_context};
pub use peer::{Identity, Peer};
pub use token::{Token, TokenError};

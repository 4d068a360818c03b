//! Who is who: the coordinator's own CA, what it issues, and what a peer's certificate says.
//!
//! ```text
//! Authority ──issues──▶ server certificate ──▶ ServerTls (reloaded by itself)
//!     ├──────issues──▶ operator's context file (renewed by itself)
//!     └──────issues──▶ host certificates ◀── Token (single use, bound to one host)
//! peer's certificate ──▶ Peer { Operator | Host }
//! ```

mod anchor;
mod authority;
mod carry;
mod lives;
mod operator;
mod peer;
mod succession;
mod token;
mod validity;

pub(crate) mod tls;

pub use anchor::{Anchor, KeyId};
pub use authority::{Authority, IdentityError, Issued};
pub use carry::{export, import, rotate};
pub use lives::Lives;
pub use operator::{context_file, renew_context};
pub use peer::{Identity, Peer};
pub use token::{Token, TokenError};

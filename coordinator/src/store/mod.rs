//! What the coordinator remembers.
//!
//! ```text
//! Journal (words: rollouts, records, hosts, tokens)
//!    │  Key, Batch, values with a format number
//!    ▼
//! ports::Store ── SledStore (one writing thread, group commit) │ EtcdStore (of whoever leads) │ MemoryStore (tests,
//!                                                                                             simulation)
//! ```

mod archive;
mod backup;
mod batch;
mod bundle;
mod check;
mod documents;
mod ends;
mod entry;
mod etcd;
mod guarded;
mod journal;
mod keep;
mod key;
mod left;
mod memory;
mod sled;
mod value;
mod words;

pub use archive::{Archive, ArchiveError, Item, Lines};
pub use backup::{BackupError, Contents, backup};
pub use batch::{Batch, Write};
pub use check::{Checked, check, check_backup};
pub use entry::Entry;
pub use etcd::{EtcdStore, Fence};
pub use journal::Journal;
pub use key::Key;
pub use left::{Left, OnHost};
pub use memory::MemoryStore;
pub use sled::{Compaction, DEFAULT_FLOOR, OpenError, Restored, SledStore};
pub use value::LIMIT as VALUE_LIMIT;
pub use words::{
    BadMark, Dropped, End, Header, Held, HostRecord, OperatorRecord, ReleaseRecord, Revoked,
    Signing, TokenRecord,
};

pub(crate) use documents::hash;
pub(crate) use etcd::Layout;
pub(crate) use guarded::Guarded;

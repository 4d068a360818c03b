//! What the store keeps when its program is killed, and when the power goes.
//!
//! ```text
//! power writer ── writes, and tells each acknowledgement over a pipe
//!    │
//!   ext4 ── loop device ── disk: a file in FUSE that keeps in a volatile cache what was not flushed
//!                            │
//!                            cut: what was flushed, and of the rest nothing, a part, a beginning, or torn blocks
//!                            │
//!   ext4, recovered ── power verify ── is every acknowledged write there?
//! ```
//!
//! A cut is taken while the writer goes on: the image is what a disk would hold if the power had gone at that instant.
//! The writer that shows that the harness finds something is sled as it is shipped.

pub mod acks;
pub mod chance;
pub mod cuts;
pub mod disk;
pub mod kills;
pub mod machine;
mod restores;
pub mod rig;
pub mod speed;
pub mod workload;

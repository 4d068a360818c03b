//! What watchers of a rollout hear. Nobody waits for them: they read the records from the journal, at their
//! own pace.

use dv_types::{CommandId, HostName};
use tokio::sync::{broadcast, watch};

/// Chatter that a slow watcher may lag behind before it misses some.
const CHATTER: usize = 256;

/// How far the journal of a rollout has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Head {
    /// The number of the last durable record.
    pub(super) record: u64,
    /// There will be no further one.
    pub(super) ended: bool,
}

/// What a host says while it works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) host: HostName,
    pub(crate) command: CommandId,
    pub(crate) text: String,
}

/// The feed of one rollout.
#[derive(Debug)]
pub(super) struct Feed {
    head: watch::Sender<Head>,
    chatter: broadcast::Sender<Progress>,
}

impl Feed {
    pub(super) fn new() -> Self {
        Self { head: watch::Sender::default(), chatter: broadcast::Sender::new(CHATTER) }
    }

    pub(super) fn publish(&self, head: Head) {
        self.head.send_if_modified(|now| std::mem::replace(now, head) != head);
    }

    pub(super) fn say(&self, progress: Progress) {
        // Nobody may listen.
        let _ = self.chatter.send(progress);
    }

    pub(super) fn heads(&self) -> watch::Receiver<Head> {
        self.head.subscribe()
    }

    pub(super) fn chatter(&self) -> broadcast::Receiver<Progress> {
        self.chatter.subscribe()
    }
}

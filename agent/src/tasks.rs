//! Tasks that end with the agent. A process ends all of its own; where several agents live in one, each ends its own.

use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

/// The agent's tasks.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tasks(CancellationToken);

impl Tasks {
    /// Begins one. It comes to nothing if the agent ends first.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<Option<T>> {
        let end = self.0.clone();
        tokio::spawn(async move {
            tokio::select! {
                // Not one step more once the agent has ended.
                biased;
                () = end.cancelled() => None,
                done = work => Some(done),
            }
        })
    }

    /// Ends all of them when it is dropped.
    pub(crate) fn end_with(&self) -> DropGuard {
        self.0.clone().drop_guard()
    }
}

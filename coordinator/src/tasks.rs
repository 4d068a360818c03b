//! What a reign has under way. It ends with the reign, whoever still holds a part of that.

use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

/// A reign's tasks.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tasks {
    all: TaskTracker,
    gone: CancellationToken,
}

impl Tasks {
    /// Begins one.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let gone = self.gone.clone();
        self.all.spawn(async move {
            tokio::select! {
                // Not one step more once the reign is over.
                biased;
                () = gone.cancelled() => {}
                () = work => {}
            }
        });
    }

    /// Ends all of them when it is dropped, wherever they are.
    pub(crate) fn end_with(&self) -> DropGuard {
        self.gone.clone().drop_guard()
    }

    /// Waits until there is none any more, once nobody begins any.
    pub(crate) async fn at_rest(&self) {
        self.all.close();
        self.all.wait().await;
    }
}

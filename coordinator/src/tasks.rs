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
        let work = self.gone.clone().run_until_cancelled_owned(work);
        self.all.spawn(async move {
            work.await;
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

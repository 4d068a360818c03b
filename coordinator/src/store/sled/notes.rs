//! Notes beside the store how far it has come, in a thread of its own: nobody who writes waits for it, and it is a second
//! behind at most.

use std::{
    io,
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use super::mark::Mark;

/// The pause between two notes.
const PACE: Duration = Duration::from_secs(1);

/// The thread that notes. Dropped, it has ended, and what was noted last stands.
#[derive(Debug)]
pub(super) struct Notes {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// What is to be noted.
    news: Option<Mark>,
    over: bool,
}

impl Notes {
    pub(super) fn start(state_dir: PathBuf) -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let its = Arc::clone(&shared);
        let thread = thread::Builder::new().name("store's mark".to_owned());
        let thread = thread.spawn(move || {
            while let Some(mark) = its.next() {
                // Where it can't be, the note before still holds.
                if let Err(why) = mark.write(&state_dir) {
                    tracing::warn!(%why, "how far the store has come can't be noted");
                }
                its.pause();
            }
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Has this noted soon.
    pub(super) fn note(&self, mark: Mark) {
        self.shared.state().news = Some(mark);
        self.shared.changed.notify_one();
    }
}

impl Drop for Notes {
    fn drop(&mut self) {
        self.shared.state().over = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to be noted next; nothing, when it is over.
    fn next(&self) -> Option<Mark> {
        let idle = |state: &mut State| state.news.is_none() && !state.over;
        let state = self.changed.wait_while(self.state(), idle);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        if state.over { None } else { state.news.take() }
    }

    fn pause(&self) {
        let waiting = self.changed.wait_timeout_while(self.state(), PACE, |state| !state.over);
        drop(waiting);
    }
}

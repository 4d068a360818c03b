//! What an operation says while it works. Chatter: it is thinned out, and may be lost.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use dv_types::CommandId;
use tokio::time::Instant;

use crate::outbox::Outbox;

/// No more than one line in this time.
const PACE: Duration = Duration::from_millis(250);
const LONGEST: usize = 200;

/// Where one operation's chatter goes.
pub(crate) struct Progress {
    command: CommandId,
    outbox: Arc<Outbox>,
    last: Mutex<Option<Instant>>,
}

impl Progress {
    pub(crate) fn new(command: CommandId, outbox: Arc<Outbox>) -> Self {
        Self { command, outbox, last: Mutex::new(None) }
    }

    /// Says `text`, unless something was said just now.
    pub(crate) fn say(&self, text: &str) {
        let mut last = self.last.lock().expect("no panic under this lock");
        if last.is_none_or(|last| last.elapsed() >= PACE) {
            *last = Some(Instant::now());
            let text = match text.char_indices().nth(LONGEST) {
                Some((end, _)) => &text[..end],
                None => text,
            };
            self.outbox.progress(self.command, text);
        }
    }
}

//! The link to the coordinator: the agent dials, and dials again, for ever.

mod backoff;
mod session;

use std::{error::Error, sync::Arc};

use tokio::time::Instant;
use tonic::Status as Answer;

use crate::{
    config::Config, epoch::Fence, notify::Status, outbox::Outbox, runner::Runner, words::innermost,
};
use backoff::Backoff;
use session::Session;

/// What holds the link.
pub(crate) struct Link {
    pub(crate) config: Config,
    pub(crate) runner: Arc<Runner>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) fence: Arc<Fence>,
    pub(crate) status: Arc<Status>,
    /// The program's version.
    pub(crate) version: String,
    /// New at each start of the agent.
    pub(crate) instance: String,
}

/// Why a session ended.
pub(crate) enum End {
    /// The host has a new certificate, to be shown at once.
    Renewed,
    /// The link is cut, or never came about; in words.
    Cut(String),
}

impl Link {
    /// Holds the link, for ever.
    pub(crate) async fn hold(self) {
        let mut backoff = Backoff::default();
        loop {
            let began = Instant::now();
            let end = self.session().await;
            self.outbox.close();
            backoff.held(began.elapsed());
            match end {
                End::Renewed => tracing::info!("dialling again with the new certificate"),
                End::Cut(why) => {
                    let wait = backoff.next(self.runner.ports.outside.chance());
                    tracing::warn!(coordinator = self.config.coordinator, why, ?wait, "no link");
                    self.status
                        .link(format!("not connected to {}: {why}", self.config.coordinator));
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    async fn session(&self) -> End {
        match self.runner.ports.dial.dial() {
            Ok(line) => Session { link: self, line: &*line }.run().await,
            Err(why) => End::Cut(why),
        }
    }
}

/// The innermost cause, where the trouble is the connection and not the coordinator's answer.
pub(crate) fn transport_error(answer: &Answer) -> Option<String> {
    answer.source().map(innermost)
}

/// An answer in words.
fn in_words(answer: &Answer) -> String {
    transport_error(answer).unwrap_or_else(|| answer.message().to_owned())
}

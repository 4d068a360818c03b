//! The link to the coordinator: the agent dials, and dials again, for ever.

mod session;

use std::{error::Error, sync::Arc, time::Duration};

use dv_proto::come_back;
use tokio::time::Instant;
use tonic::Status as Answer;

use crate::{
    backoff::Backoff, config::Config, epoch::Fence, notify::Status, outbox::Outbox, runner::Runner,
    words::innermost,
};
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
    /// The link is cut, or never came about.
    Cut(Cut),
}

/// Why a link is cut, in words.
pub(crate) struct Cut {
    why: String,
    /// The coordinator said when to dial again.
    come_back: Option<Duration>,
}

impl From<String> for Cut {
    fn from(why: String) -> Self {
        Self { why, come_back: None }
    }
}

impl From<&str> for Cut {
    fn from(why: &str) -> Self {
        why.to_owned().into()
    }
}

impl From<Answer> for Cut {
    fn from(answer: Answer) -> Self {
        let why = transport_error(&answer).unwrap_or_else(|| answer.message().to_owned());
        Self { why, come_back: come_back::told(&answer) }
    }
}

impl Link {
    /// Holds the link, for ever.
    pub(crate) async fn hold(self) {
        let mut backoff = Backoff::default();
        loop {
            let began = Instant::now();
            let end = self.session(&mut backoff).await;
            self.outbox.close();
            backoff.held(began.elapsed());
            match end {
                End::Renewed => tracing::info!("dialling again with the new certificate"),
                End::Cut(Cut { why, come_back }) => {
                    let wait = backoff.next(self.runner.ports.outside.chance());
                    let wait = come_back.unwrap_or(wait);
                    tracing::warn!(coordinator = self.config.coordinator, why, ?wait, "no link");
                    self.status
                        .link(format!("not connected to {}: {why}", self.config.coordinator));
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    async fn session(&self, backoff: &mut Backoff) -> End {
        match self.runner.ports.dial.dial() {
            Ok(line) => Session { link: self, line: &*line }.run(backoff).await,
            Err(why) => End::Cut(why.into()),
        }
    }
}

/// The innermost cause, where the trouble is the connection and not the coordinator's answer.
pub(crate) fn transport_error(answer: &Answer) -> Option<String> {
    answer.source().map(innermost)
}

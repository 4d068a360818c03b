//! The link to the coordinator: the agent dials, and dials again, for ever.

mod backoff;
mod session;

use std::{error::Error, sync::Arc};

use dv_proto::dial;
use tokio::time::Instant;
use tonic::Status as Answer;

use crate::{
    config::Config, epoch::Fence, identity::Identity, notify::Status, outbox::Outbox, outside,
    runner::Runner, words::innermost,
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
                    let wait = backoff.next(outside::chance());
                    tracing::warn!(coordinator = self.config.coordinator, why, ?wait, "no link");
                    self.status
                        .link(format!("not connected to {}: {why}", self.config.coordinator));
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    async fn session(&self) -> End {
        // Read each time: it may have been renewed, or given anew by `dv-agent enrol`.
        let identity = match Identity::load(&self.config.identity_dir()) {
            Ok(identity) => identity,
            Err(error) => return End::Cut(error.to_string()),
        };
        let written = match identity.written() {
            Ok(written) => written,
            Err(why) => return End::Cut(format!("this host's certificate can't be read: {why}")),
        };
        if written.until < outside::now() {
            tracing::warn!(until = %written.until, "this host's certificate has expired; enrol it again");
        }
        let shown = dial::Identity { certificate: &identity.certificate, key: &identity.key };
        let channel = dial::client_tls(&identity.ca, Some(shown))
            .and_then(|tls| dial::channel(&self.config.coordinator, tls));
        match channel {
            Ok(channel) => Session { link: self, identity, written, channel }.run().await,
            Err(error) => End::Cut(error.to_string()),
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

//! gRPC over mutual TLS.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use dv_proto::{
    dial, may_wait,
    v1::{FromAgent, agent_link_client::AgentLinkClient},
};
use futures_util::{FutureExt, Stream, future::BoxFuture};
use tokio::{sync::watch, time::Instant};
use tonic::{Request, Status, transport::Channel};

use crate::{
    config::Config,
    identity::{Identity, Written, renewal},
    outside,
    ports::{Dial, Line, Orders, Words},
};

/// A clock may be set while the agent sleeps, so it looks at it now and then.
const LONGEST_NAP: Duration = Duration::from_secs(3600);
/// The pause before a renewal that failed is tried again; less, where little time is left.
const RENEWAL_PAUSE: Duration = Duration::from_secs(600);
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// The coordinators of the configuration.
pub(crate) struct Coordinator(pub(crate) Config);

impl Dial for Coordinator {
    fn dial(&self, address: &str) -> Result<Box<dyn Line>, String> {
        // Read each time: it may have been renewed, or given anew by `dv-agent enrol`.
        let identity = Identity::load(&self.0.identity_dir()).map_err(|e| e.to_string())?;
        let written = identity
            .written()
            .map_err(|why| format!("this host's certificate can't be read: {why}"))?;
        if written.until < outside::now() {
            tracing::error!(
                host = written.host, until = %written.until,
                "this host's certificate has expired, so the coordinator does not let it in: get a token with \
                 `dvctl agent token {}` and run `dv-agent enrol`; what the host has done so far stays known",
                written.host,
            );
        }
        let shown = dial::Identity { certificate: &identity.certificate, key: &identity.key };
        let channel = dial::client_tls(&identity.ca, Some(shown))
            .and_then(|tls| dial::one_of(&self.0.coordinator, address, tls))
            .map_err(|e| e.to_string())?;
        let asked = watch::channel(None).0;
        Ok(Box::new(Call { config: self.0.clone(), identity, written, channel, asked }))
    }
}

/// A connection that is made when it is needed.
struct Call {
    config: Config,
    identity: Identity,
    written: Written,
    channel: Channel,
    /// The coordinator wants the certificate renewed then.
    asked: watch::Sender<Option<Instant>>,
}

impl Call {
    /// How long to wait until the certificate is to be renewed: until it is old, or the coordinator wants it.
    fn wait(&self) -> Duration {
        let own = self.written.renew_in(outside::now());
        let asked = self.asked.borrow().map(|at| at.saturating_duration_since(Instant::now()));
        asked.map_or(own, |asked| asked.min(own))
    }

    fn pause(&self) -> Duration {
        let left = self.written.until.duration_since(outside::now());
        let left = Duration::try_from(left).unwrap_or_default();
        (left / 10).clamp(SHORTEST_PAUSE, RENEWAL_PAUSE)
    }
}

/// A type of its own: the compiler can't see that a boxed stream within the client's call may change threads.
struct Spoken(Words);

impl Stream for Spoken {
    type Item = FromAgent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<FromAgent>> {
        self.0.as_mut().poll_next(cx)
    }
}

impl Line for Call {
    fn host(&self) -> &str {
        &self.written.host
    }

    fn open(&self, words: Words, wait: Option<Duration>) -> BoxFuture<'_, Result<Orders, Status>> {
        let mut client = AgentLinkClient::new(self.channel.clone());
        let mut request = Request::new(Spoken(words));
        if let Some(wait) = wait {
            may_wait(&mut request, wait);
        }
        Box::pin(async move {
            client.link(request).await.map(|answer| -> Orders { Box::pin(answer.into_inner()) })
        })
    }

    fn renewed(&self) -> BoxFuture<'_, ()> {
        async move {
            let mut asked = self.asked.subscribe();
            loop {
                let wait = self.wait();
                if !wait.is_zero() {
                    tokio::select! {
                        () = tokio::time::sleep(wait.min(LONGEST_NAP)) => {}
                        _ = asked.changed() => {}
                    }
                    continue;
                }
                let directory = self.config.identity_dir();
                match renewal::renew(self.channel.clone(), &directory, &self.identity).await {
                    Ok(()) => return,
                    Err(why) => {
                        tracing::error!(why, until = %self.written.until, "the certificate was not renewed");
                        tokio::time::sleep(self.pause()).await;
                    }
                }
            }
        }
        .boxed()
    }

    fn renew(&self, within: Duration) {
        let at = Instant::now() + within.min(LONGEST_NAP).mul_f64(outside::chance());
        // The first wish counts: the coordinator may say it more than once.
        self.asked.send_if_modified(|asked| asked.replace(asked.unwrap_or(at)).is_none());
    }
}

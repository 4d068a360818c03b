//! A way to whichever coordinator leads. A call goes to the next one where the one before stands by, or could not be
//! reached at all: never where it may have been done already.

use std::{
    error::Error,
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use rustls::ClientConfig;
use tokio::time::{Instant, sleep};
use tonic::{body::Body, metadata::MetadataMap, transport::Channel};
use tower::{Service, ServiceExt as _};

use crate::{Addresses, Standby, dial};

/// How long to wait for somebody to lead, where one that stands by answers.
const ELECTION: Duration = Duration::from_secs(15);
/// The pause after all have been asked.
const BREATH: Duration = Duration::from_millis(300);

type BoxError = Box<dyn Error + Send + Sync>;

/// Coordinators, of which one leads.
#[derive(Clone)]
pub struct Coordinators {
    addresses: Addresses,
    channels: Arc<[Channel]>,
    /// The one that answered last.
    good: Arc<AtomicUsize>,
}

impl Coordinators {
    /// The way to these. Nothing is sent yet.
    pub fn new(addresses: &Addresses, tls: &ClientConfig) -> Result<Self, dial::DialError> {
        let channel = |address: &String| dial::one_of(addresses, address, tls.clone());
        let channels: Result<_, _> = addresses.all().iter().map(channel).collect();
        Ok(Self { addresses: addresses.clone(), channels: channels?, good: Arc::default() })
    }

    /// The address of the one that answered last; the first, before any has.
    #[must_use]
    pub fn last(&self) -> &str {
        let number = self.good.load(Ordering::Relaxed) % self.channels.len();
        &self.addresses.all()[number]
    }

    async fn ask(self, request: Request<Body>) -> Result<Response<Body>, BoxError> {
        if self.channels.len() == 1 {
            let mut channel = self.channels[0].clone();
            return Ok(channel.ready().await?.call(request).await?);
        }
        let (parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let end = Instant::now() + ELECTION;
        loop {
            let first = self.good.load(Ordering::Relaxed);
            let (mut standby, mut failed) = (None, None);
            for number in (first..first + self.channels.len()).map(|n| n % self.channels.len()) {
                let request =
                    Request::from_parts(parts.clone(), Body::new(Full::new(body.clone())));
                let mut channel = self.channels[number].clone();
                let asked = async { channel.ready().await?.call(request).await }.await;
                match asked {
                    Ok(answer) if stands_by(&answer) => standby = Some(answer),
                    Err(why) if was_not_sent(&why) => failed = failed.or(Some(why)),
                    answer => {
                        self.good.store(number, Ordering::Relaxed);
                        return Ok(answer?);
                    }
                }
            }
            match (standby, failed) {
                (Some(_), _) if Instant::now() < end => sleep(BREATH).await,
                (Some(standby), _) => return Ok(standby),
                (None, Some(why)) => return Err(why.into()),
                (None, None) => return Err("there is no address".into()),
            }
        }
    }
}

impl Service<Request<Body>> for Coordinators {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.clone().ask(request))
    }
}

fn stands_by(answer: &Response<Body>) -> bool {
    Standby::read(&MetadataMap::from_headers(answer.headers().clone())).is_some()
}

/// Whether a call did not leave this machine: there was no connection.
pub fn was_not_sent(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<tonic::ConnectError>() {
            return true;
        }
        // An I/O error hides what it wraps from the chain.
        next = match error.downcast_ref::<io::Error>() {
            // The connector's own time limit, not the kernel's: that one can strike later too.
            Some(io) if io.kind() == io::ErrorKind::TimedOut && io.raw_os_error().is_none() => {
                return true;
            }
            Some(io) => io.get_ref().map(|inner| inner as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    false
}

//! Who answers calls: this coordinator's reign, or a standby that says who leads.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use dv_proto::{
    RENEW, Standby, standby_wait,
    v1::{
        agent_link_server::AgentLinkServer, control_server::ControlServer,
        enrolment_server::EnrolmentServer,
    },
};
use http::{HeaderValue, Request, Response};
use tokio::{sync::watch, time::timeout};
use tonic::{body::Body, service::Routes};
use tower::{Layer, Service};

use crate::{
    api::may_call,
    identity::{Identity, Peer},
    leader::{Door, Standing},
    reign::Reign,
};

/// The most that a stranger may say: a token and a request for a certificate. In bytes.
const ENROLMENT: usize = 64 << 10;
/// The longest that a host may wait at the door.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// The call by which a host comes in.
const LINK: &str = "/dv.v1.AgentLink/Link";

/// How a coordinator is placed.
#[derive(Clone)]
pub(crate) enum Seat {
    /// It stands by.
    Standby(Standing),
    /// It leads.
    Leads(Arc<Reign>, Routes),
}

impl Seat {
    pub(crate) fn leads(reign: Reign) -> Self {
        let mut routes = Routes::builder();
        routes
            .add_service(
                EnrolmentServer::new(reign.enrolment()).max_decoding_message_size(ENROLMENT),
            )
            .add_service(AgentLinkServer::new(reign.agent_link()))
            .add_service(ControlServer::new(reign.control()));
        Self::Leads(Arc::new(reign), routes.routes())
    }

    pub(crate) fn reign(&self) -> Option<&Arc<Reign>> {
        match self {
            Self::Leads(reign, _) => Some(reign),
            Self::Standby(_) => None,
        }
    }
}

/// Answers every call as its coordinator is placed.
#[derive(Clone)]
pub(crate) struct Seated {
    pub(crate) seat: watch::Receiver<Seat>,
    pub(crate) door: Door,
}

/// In place of whatever is below it.
impl<S> Layer<S> for Seated {
    type Service = Self;

    fn layer(&self, _: S) -> Self {
        self.clone()
    }
}

impl Service<Request<Body>> for Seated {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let mut seated = self.clone();
        Box::pin(async move {
            if let Err(refusal) = may_call(&request) {
                return Ok(refusal.into_http());
            }
            if let (Some(host), Some(wait)) = (waits(&request), standby_wait(request.headers())) {
                let _waiting = seated.door.knock(host);
                // In time or not: what holds then is the answer.
                let _ = timeout(wait.min(LONGEST_WAIT), seated.news()).await;
            }
            let seat = seated.seat.borrow().clone();
            match seat {
                Seat::Leads(reign, mut routes) => {
                    let is_old = is_old(&reign, request.extensions().get());
                    let mut response = routes.call(request).await?;
                    if is_old {
                        response.headers_mut().insert(RENEW, HeaderValue::from_static("1"));
                    }
                    Ok(response)
                }
                Seat::Standby(standing) => Ok(answer(&standing).into_http()),
            }
        })
    }
}

impl Seated {
    /// Resolves when this coordinator leads, or another one than the one that it stands behind now.
    async fn news(&mut self) {
        let before = match &*self.seat.borrow() {
            Seat::Standby(Standing::Behind(leader)) => Some(leader.id.clone()),
            _ => None,
        };
        let is_news = |seat: &Seat| match seat {
            Seat::Leads(..) => true,
            Seat::Standby(Standing::Behind(leader)) => before.as_ref() != Some(&leader.id),
            Seat::Standby(_) => false,
        };
        // An error means that the coordinator stops.
        let _ = self.seat.wait_for(is_news).await;
    }
}

/// Whether an operator should ask for a new certificate.
fn is_old(reign: &Reign, peer: Option<&Peer>) -> bool {
    match peer.and_then(|peer| Some((peer, peer.identity.as_ref()?))) {
        Some((peer, Identity::Operator(name))) => reign.operators().should_renew(name, peer),
        _ => false,
    }
}

/// The host that wants in.
fn waits(request: &Request<Body>) -> Option<dv_types::HostName> {
    match request.extensions().get::<Peer>()?.identity.clone()? {
        Identity::Host(host) if request.uri().path() == LINK => Some(host),
        _ => None,
    }
}

fn answer(standing: &Standing) -> tonic::Status {
    let (leader, why) = match standing {
        Standing::Behind(leader) => (
            Some(leader.address.clone()),
            format!("this coordinator stands by: {} leads", leader.address),
        ),
        Standing::Nobody => (None, "this coordinator stands by, and nobody leads yet".to_owned()),
        Standing::CutOff(_) => {
            (None, "this coordinator stands by, and can't see who leads: etcd is silent".to_owned())
        }
    };
    Standby { leader }.answer(&why)
}

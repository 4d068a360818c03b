//! The agents' streams.

use std::{pin::Pin, sync::Arc, time::Duration};

use dv_proto::{
    come_back,
    v1::{self, agent_link_server::AgentLink, from_agent, to_agent},
};
use dv_types::{CommandId, HostName, RolloutId};
use futures_util::{Stream, StreamExt as _, stream};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::{allowance::Allowance, authorise, wire};
use crate::{
    enrolment::Enrolment,
    fleet::{Cut, Greeting, Link, NotAdmitted, Order},
    pace::{Pace, cores, turn},
    rollouts::Rollouts,
    store::Journal,
};

/// An agent that connects says so within this time.
const HELLO_BY: Duration = Duration::from_secs(10);
/// A coordinator that stops is back by then, most likely.
const SOON: Duration = Duration::from_secs(2);

/// What agents call.
pub struct AgentLinkApi {
    pub(crate) rollouts: Arc<Rollouts>,
    pub(crate) enrolment: Arc<Enrolment>,
}

/// What an agent is told over one stream.
pub type Orders = Pin<Box<dyn Stream<Item = Result<v1::ToAgent, Status>> + Send>>;

impl AgentLinkApi {
    /// Takes up the stream of a host that has shown the certificate of this serial: what it says is heard until `words`
    /// end or the session is cut, and what it is told comes out. An error says why it may not come in.
    pub async fn open(
        &self,
        host: &HostName,
        serial: &str,
        mut words: impl Stream<Item = Result<v1::FromAgent, Status>> + Send + Unpin + 'static,
    ) -> Result<Orders, Status> {
        self.rollouts.fleet.admit(host, serial).map_err(|why| self.refuse(host, why))?;
        let first = tokio::time::timeout(HELLO_BY, words.next()).await;
        let first = first.map_err(|_| Status::deadline_exceeded("no Hello"))?.transpose()?;
        let (greeting, commands, newest) = greeting(first, serial)?;
        // Before it can be told anything.
        self.rollouts.not_up_to(host, newest).await?;
        let version = greeting.agent_version.clone();
        let link =
            self.rollouts.fleet.attach(host, greeting).map_err(|why| self.refuse(host, why))?;
        tracing::info!(%host, agent = version, session = link.session, "connected");
        self.rollouts.link_changed(host);
        self.rollouts.call_off_ended(host, &commands);

        self.look_at_certificate(host, serial);

        let Pace { heartbeat, silence, spread } = self.pace();
        let millis = |time: Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        let welcome = to_agent::Message::Welcome(v1::Welcome {
            heartbeat_ms: millis(heartbeat),
            host: host.to_string(),
            spread_ms: millis(spread),
        });
        let epoch = self.rollouts.journal.epoch();
        let welcome = v1::ToAgent { epoch: epoch.0, message: Some(welcome) };
        let Link { host, session, orders, cut } = link;
        let listener = Listener {
            rollouts: Arc::clone(&self.rollouts),
            host,
            session,
            silence,
            cut: cut.clone(),
        };
        self.rollouts.tasks.spawn(listener.listen(words));
        Ok(Box::pin(stream::iter([Ok(welcome)]).chain(orders_until(
            self.rollouts.journal.clone(),
            orders,
            cut,
        ))))
    }

    /// Beside everything else: whether a host has to renew its certificate holds it up in nothing.
    fn look_at_certificate(&self, host: &HostName, serial: &str) {
        let (enrolment, rollouts) = (Arc::clone(&self.enrolment), Arc::clone(&self.rollouts));
        let (host, serial, within) = (host.clone(), serial.to_owned(), self.pace().spread);
        self.rollouts.tasks.spawn(async move {
            match enrolment.shown(&host, &serial).await {
                Ok(true) => rollouts.fleet.send(&host, Order::Renew { within }),
                Ok(false) => {}
                Err(why) => tracing::error!(%host, %why, "its certificate was not written down"),
            }
        });
    }

    async fn recognise<T>(&self, host: &HostName, request: &Request<T>) -> Result<(), Status> {
        let Some(peer) = authorise::peer(request) else { return Ok(()) };
        Ok(self.enrolment.recognise(host, peer).await?)
    }

    fn pace(&self) -> Pace {
        Pace::of(self.rollouts.config.heartbeat.get(), self.rollouts.fleet.size(), cores())
    }

    fn refuse(&self, host: &HostName, why: NotAdmitted) -> Status {
        match why {
            NotAdmitted::Stopping => {
                let after = turn(host, self.pace().spread.max(SOON));
                come_back::tell(Status::unavailable(why.to_string()), after)
            }
            NotAdmitted::Unknown(_) | NotAdmitted::Replaced(_) | NotAdmitted::Revoked { .. } => {
                tracing::warn!(%host, %why, "refused");
                Status::permission_denied(why.to_string())
            }
        }
    }
}

#[tonic::async_trait]
impl AgentLink for AgentLinkApi {
    type LinkStream = Orders;

    async fn link(
        &self,
        request: Request<Streaming<v1::FromAgent>>,
    ) -> Result<Response<Self::LinkStream>, Status> {
        let (host, serial) = authorise::host(&request, self.rollouts.clock.now())?;
        self.recognise(&host, &request).await?;
        self.open(&host, &serial, request.into_inner()).await.map(Response::new)
    }

    async fn renew(
        &self,
        request: Request<v1::RenewRequest>,
    ) -> Result<Response<v1::RenewReply>, Status> {
        let (host, serial) = authorise::host(&request, self.rollouts.clock.now())?;
        self.recognise(&host, &request).await?;
        self.rollouts.fleet.admit(&host, &serial).map_err(|why| self.refuse(&host, why))?;
        let csr = request.into_inner().csr_pem;
        let admission = self.enrolment.renew(&host, &serial, &csr).await?;
        let (certificate_pem, ca_pem) = (admission.certificate, admission.ca);
        Ok(Response::new(v1::RenewReply { certificate_pem, ca_pem }))
    }
}

/// What the agent says of itself, the commands that it knows and whose outcomes were not acknowledged, and the newest
/// rollout that it remembers.
fn greeting(
    first: Option<v1::FromAgent>,
    serial: &str,
) -> Result<(Greeting, Vec<CommandId>, RolloutId), Status> {
    match first.and_then(|first| first.message) {
        Some(from_agent::Message::Hello(hello)) => {
            let short = |text: String| text.chars().take(64).collect();
            let greeting = Greeting {
                agent_version: short(hello.agent_version),
                instance: short(hello.instance),
                serial: serial.to_owned(),
            };
            let commands: Vec<CommandId> =
                hello.commands.iter().filter_map(|id| id.parse().ok()).collect();
            // An agent of an earlier version names these only.
            let named = commands.iter().map(|command| command.rollout);
            let newest = named.fold(RolloutId(hello.newest), Ord::max);
            Ok((greeting, commands, newest))
        }
        _ => Err(Status::invalid_argument("the first message must be Hello")),
    }
}

/// What waits for the agent, until its session is cut; then why.
fn orders_until(
    journal: Journal,
    orders: mpsc::Receiver<Box<Order>>,
    mut cut: watch::Receiver<Option<Cut>>,
) -> impl Stream<Item = Result<v1::ToAgent, Status>> + Send {
    let mut why = cut.clone();
    let is_cut = async move {
        // An error means that the session is gone, which ends the stream as well.
        let _ = cut.wait_for(Option::is_some).await;
    };
    let farewell = stream::once(async move { *why.borrow_and_update() }).filter_map(async |why| {
        let why = why?;
        Some(Err(match why {
            Cut::Replaced => Status::aborted(why.to_string()),
            Cut::Slow | Cut::Silent => Status::deadline_exceeded(why.to_string()),
            Cut::Unasked => Status::invalid_argument(why.to_string()),
            Cut::Revoked | Cut::Retired => Status::permission_denied(why.to_string()),
            Cut::Stopping => Status::unavailable(why.to_string()),
        }))
    });
    let epoch = journal.epoch();
    ReceiverStream::new(orders)
        // What was decided in a reign is not said after it: a coordinator may have slept since.
        .take_while(move |_| std::future::ready(journal.reigns()))
        .map(move |order| Ok(wire::order(epoch, *order)))
        .take_until(Box::pin(is_cut))
        .chain(farewell)
}

/// Hears one agent out.
struct Listener {
    rollouts: Arc<Rollouts>,
    host: HostName,
    session: u64,
    silence: Duration,
    cut: watch::Receiver<Option<Cut>>,
}

impl Listener {
    async fn listen(
        mut self,
        mut words: impl Stream<Item = Result<v1::FromAgent, Status>> + Unpin,
    ) {
        let mut cut = self.cut.clone();
        let why = tokio::select! {
            biased;
            why = self.hear(&mut words) => why,
            _ = cut.wait_for(Option::is_some) => match *self.cut.borrow_and_update() {
                Some(why) => why.to_string(),
                None => "its session is gone".to_owned(),
            },
        };
        tracing::info!(host = %self.host, session = self.session, why, "disconnected");
        self.rollouts.fleet.detach(&self.host, self.session);
        self.rollouts.link_changed(&self.host);
    }

    async fn hear(
        &self,
        words: &mut (impl Stream<Item = Result<v1::FromAgent, Status>> + Unpin),
    ) -> String {
        let mut allowance = Allowance::new();
        loop {
            allowance.take().await;
            let word = match tokio::time::timeout(self.silence, words.next()).await {
                Err(_) => {
                    self.rollouts.fleet.cut(&self.host, self.session, Cut::Silent);
                    return Cut::Silent.to_string();
                }
                Ok(Some(Err(status))) => return status.message().to_owned(),
                Ok(None) => return "its agent said good-bye".to_owned(),
                Ok(Some(Ok(word))) => word,
            };
            match wire::word(&self.host, word) {
                Ok(Some(word)) => self.rollouts.heard(&self.host, self.session, word).await,
                Ok(None) => {}
                Err(status) => {
                    tracing::warn!(host = %self.host, why = status.message(), "its agent says what makes no sense");
                    return status.message().to_owned();
                }
            }
        }
    }
}

//! The link of one simulated host: what [`dv_agent`] does, without its disk.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use dv_agent::backoff::Backoff;
use dv_proto::{
    come_back, dial, from_json,
    v1::{self, Hello, agent_link_client::AgentLinkClient, from_agent, to_agent},
};
use dv_types::{Command, Epoch};
use tokio::time::{MissedTickBehavior, interval_at};
use tonic::transport::Channel;

use crate::{Result, host::Host};

/// Where all agents of a fleet dial.
#[derive(Debug, Clone)]
pub struct Target {
    /// `host:port`
    pub address: String,
    /// The CA, PEM.
    pub ca: String,
}

impl Target {
    /// A channel of `host`, not yet connected.
    pub fn channel(&self, host: &Host) -> Result<Channel> {
        let identity = dial::Identity { certificate: &host.certificate, key: &host.key };
        Ok(dial::channel(&self.address, dial::client_tls(&self.ca, Some(identity))?)?)
    }
}

/// Holds the link of `host`, for ever.
pub(crate) async fn hold(host: Arc<Host>, target: Arc<Target>) {
    let mut backoff = Backoff::default();
    loop {
        let began = Instant::now();
        let ended = session(&host, &target, &mut backoff).await;
        host.outbox.close();
        backoff.held(began.elapsed());
        let mut wait = backoff.next(rand::random());
        if let Err(why) = ended {
            wait = why.downcast_ref().and_then(come_back::told).unwrap_or(wait);
            host.tally.trouble(&host.name, why.as_ref());
        }
        tokio::time::sleep(wait).await;
    }
}

/// Takes one off the number of those in contact, however the session ends.
struct Contact<'a>(&'a Host);

impl<'a> Contact<'a> {
    fn new(host: &'a Host) -> Self {
        host.tally.connected();
        Self(host)
    }
}

impl Drop for Contact<'_> {
    fn drop(&mut self) {
        self.0.tally.disconnected();
    }
}

async fn session(host: &Arc<Host>, target: &Target, backoff: &mut Backoff) -> Result<()> {
    let hello = from_agent::Message::Hello(Hello {
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        instance: host.name.clone(),
        boot_id: String::new(),
        newest: host.newest(),
        commands: host.unacknowledged().iter().map(ToString::to_string).collect(),
    });
    let outbound = host.outbox.open(hello);
    let mut client = AgentLinkClient::new(target.channel(host)?);
    let mut inbound = client.link(outbound).await?.into_inner();
    let mut contact = None;
    let mut heartbeats = tokio::time::interval(Duration::from_secs(3600));
    loop {
        let message = tokio::select! {
            message = inbound.message() => message?,
            _ = heartbeats.tick() => {
                let heartbeat = v1::Heartbeat { unacknowledged: 0 };
                host.outbox.chatter(from_agent::Message::Heartbeat(heartbeat));
                continue;
            }
        };
        let message = message.ok_or("the coordinator ended the link")?;
        host.pass(Epoch(message.epoch))?;
        match message.message {
            Some(to_agent::Message::Welcome(welcome)) => {
                let pace = Duration::from_millis(welcome.heartbeat_ms.into());
                heartbeats = interval_at(tokio::time::Instant::now() + pace, pace);
                heartbeats.set_missed_tick_behavior(MissedTickBehavior::Delay);
                backoff.spread_over(Duration::from_millis(welcome.spread_ms.into()));
                contact.get_or_insert_with(|| Contact::new(host));
                host.send_again();
            }
            Some(to_agent::Message::Command(command)) => {
                host.command(&from_json::<Command>("command_json", &command.command_json)?);
            }
            Some(to_agent::Message::Acknowledge(command)) => {
                host.acknowledge(command.command.parse()?);
            }
            Some(to_agent::Message::Inspect(question)) => host.inspect(&question)?,
            Some(to_agent::Message::Watch(watch)) => host.watch(watch.service),
            Some(
                to_agent::Message::Cancel(_)
                | to_agent::Message::Unwatch(_)
                | to_agent::Message::Warrant(_)
                | to_agent::Message::Renew(_),
            )
            | None => {}
        }
    }
}

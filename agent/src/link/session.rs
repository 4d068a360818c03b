//! One stream, from the first word to the last.

use std::{sync::Arc, time::Duration};

use dv_proto::v1::{
    self, Heartbeat, Hello, Inspect, ToAgent, Watch, Welcome, from_agent, to_agent,
};
use dv_types::{Command, CommandId, Digest, Epoch, Subject, probe::Probing};
use futures_util::StreamExt;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::{Cut, End, Link};
use crate::{
    backoff::Backoff,
    inspect,
    ports::{Line, Orders},
    warrants::Claim,
    watch::Watches,
};

/// How long the coordinator may take to answer the first words.
const PATIENCE: Duration = Duration::from_secs(20);
/// The coordinator sets the pace, but not a mad one.
const FASTEST: Duration = Duration::from_millis(100);

pub(super) struct Session<'a> {
    pub(super) link: &'a Link,
    pub(super) line: &'a dyn Line,
    pub(super) address: &'a str,
    /// How long a coordinator that stands by may let this host wait.
    pub(super) wait: Option<Duration>,
}

impl Session<'_> {
    /// Whether the coordinator welcomed this host, and why the session ended.
    pub(super) async fn run(self, backoff: &mut Backoff) -> (bool, End) {
        let mut inbound = match self.open().await {
            Ok(inbound) => inbound,
            Err(end) => return (false, end),
        };
        match self.welcome(&mut inbound).await {
            Ok((epoch, welcome)) => {
                let talked = self.talk(inbound, epoch, &welcome, backoff).await;
                (true, talked.unwrap_or_else(End::Cut))
            }
            Err(cut) => (false, End::Cut(cut)),
        }
    }

    async fn talk(
        &self,
        mut inbound: Orders,
        epoch: Epoch,
        welcome: &Welcome,
        backoff: &mut Backoff,
    ) -> Result<End, Cut> {
        backoff.spread_over(Duration::from_millis(welcome.spread_ms.into()));
        let heartbeat = Duration::from_millis(welcome.heartbeat_ms.into()).max(FASTEST);
        let Link { runner, outbox, status, .. } = self.link;
        tracing::info!(coordinator = self.address, host = self.line.host(), %epoch, "connected");
        status.link(format!("connected to {}, epoch {epoch}", self.address));
        runner.send_again().await;

        let mut watches = Watches::default();
        let mut heartbeats = interval_at(Instant::now() + heartbeat, heartbeat);
        heartbeats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut renewed = self.line.renewed();
        loop {
            tokio::select! {
                // What is rare comes first: a busy coordinator must not keep it from its turn.
                biased;
                _ = heartbeats.tick() => {
                    let unacknowledged = runner.unacknowledged().len().try_into().unwrap_or(u32::MAX);
                    outbox.chatter(from_agent::Message::Heartbeat(Heartbeat { unacknowledged }));
                }
                () = &mut renewed => return Ok(End::Renewed),
                message = inbound.next() => match message {
                    Some(Ok(message)) => self.obey(message, &mut watches)?,
                    None => return Err("the coordinator ended the link".into()),
                    Some(Err(answer)) => return Err(answer.into()),
                },
            }
        }
    }

    async fn open(&self) -> Result<Orders, End> {
        let hello = from_agent::Message::Hello(Hello {
            agent_version: self.link.version.clone(),
            instance: self.link.instance.clone(),
            boot_id: self.link.runner.ports.outside.boot_id(),
            newest: self.link.runner.newest().map_or(0, |rollout| rollout.0),
            commands: self.link.runner.unacknowledged().iter().map(ToString::to_string).collect(),
        });
        let outbound = self.link.outbox.open(hello);
        let patience = PATIENCE + self.wait.unwrap_or_default();
        match timeout(patience, self.line.open(Box::pin(outbound), self.wait)).await {
            Ok(opened) => opened.map_err(End::from),
            Err(_) => Err(End::Cut(format!("no answer within {patience:?}").into())),
        }
    }

    async fn welcome(&self, inbound: &mut Orders) -> Result<(Epoch, Welcome), Cut> {
        let first = timeout(PATIENCE, inbound.next())
            .await
            .map_err(|_| format!("no welcome within {PATIENCE:?}"))?
            .ok_or("the coordinator ended the link at once")??;
        let epoch = self.pass(&first)?;
        match first.message {
            Some(to_agent::Message::Welcome(welcome)) => Ok((epoch, welcome)),
            _ => Err("the coordinator did not begin with a welcome".into()),
        }
    }

    /// The fence stands before everything else in a message.
    fn pass(&self, message: &ToAgent) -> Result<Epoch, String> {
        let epoch = Epoch(message.epoch);
        self.link.fence.pass(epoch).map_err(|e| format!("not obeyed: {e}"))?;
        if let Err(why) = self.link.fence.keep() {
            tracing::error!(why, "no command is begun meanwhile");
        }
        Ok(epoch)
    }

    /// Does what a message says, without waiting for it.
    fn obey(&self, message: ToAgent, watches: &mut Watches) -> Result<(), String> {
        self.pass(&message)?;
        let Link { runner, outbox, fence, .. } = self.link;
        match message.message {
            Some(to_agent::Message::Command(said)) => {
                match document::<Command>("command_json", &said.command_json) {
                    // Done under an epoch that a restart forgets, it could be done under a lower one afterwards.
                    Ok(document) => match fence.keep() {
                        Ok(()) => match self.claim(said) {
                            Ok(claim) => runner.command(document, claim),
                            Err(why) => runner.refuse(document.id, why),
                        },
                        Err(why) => runner.refuse(document.id, why),
                    },
                    Err(why) => {
                        // A later coordinator may know operations that this agent does not. Its number
                        // can be read all the same, and an answer is better than a link that is cut.
                        let Numbered { id } = document("command_json", &said.command_json)?;
                        runner.refuse(id, format!("{why}; update dv-agent on this host"));
                    }
                }
            }
            Some(to_agent::Message::Cancel(cancel)) => runner.cancel(number(&cancel.command)?),
            Some(to_agent::Message::Acknowledge(ack)) => runner.acknowledge(number(&ack.command)?),
            Some(to_agent::Message::Inspect(question)) => self.inspect(question)?,
            Some(to_agent::Message::Watch(Watch { service, probing_json })) => {
                let probing = document("probing_json", &probing_json)?;
                let (ports, outbox) = (runner.ports.clone(), Arc::clone(outbox));
                watches.watch(service, probing, ports, outbox, &runner.tasks);
            }
            Some(to_agent::Message::Unwatch(unwatch)) => watches.unwatch(&unwatch.service),
            Some(to_agent::Message::Renew(renew)) => {
                self.line.renew(Duration::from_millis(renew.within_ms.into()));
            }
            Some(to_agent::Message::Warrant(warrant)) => {
                if let Err(why) = runner.warrants.hand(&warrant.warrant_json) {
                    tracing::warn!(why, "a warrant that was handed over is not kept");
                }
            }
            // A second welcome, or a word of a later version.
            Some(to_agent::Message::Welcome(_)) | None => {
                tracing::warn!("the coordinator said something that this agent does not know");
            }
        }
        Ok(())
    }

    fn claim(&self, said: v1::Command) -> Result<Claim, String> {
        let warrant = Some(said.warrant).filter(|id| !id.is_empty());
        let warrant = warrant.map(Digest::new).transpose().map_err(|why| why.to_string())?;
        Ok(Claim { warrant, back: said.back, host: self.line.host().to_owned() })
    }

    fn inspect(&self, question: Inspect) -> Result<(), String> {
        let Inspect { request, subjects_json, probing_json } = question;
        let subjects: Vec<Subject> = document("subjects_json", &subjects_json)?;
        let probing: Option<Probing> = match probing_json.is_empty() {
            true => None,
            false => Some(document("probing_json", &probing_json)?),
        };
        let (runner, outbox) = (Arc::clone(&self.link.runner), Arc::clone(&self.link.outbox));
        self.link.runner.tasks.spawn(async move {
            let (findings, healthy) = inspect::inspect(&runner, &subjects, probing.as_ref()).await;
            let findings_json = dv_proto::to_json(&findings);
            let facts = v1::Facts { request, findings_json, healthy };
            outbox.send(from_agent::Message::Facts(facts));
        });
        Ok(())
    }
}

/// What every version of a command has.
#[derive(serde::Deserialize)]
struct Numbered {
    id: CommandId,
}

fn document<T: serde::de::DeserializeOwned>(field: &'static str, text: &str) -> Result<T, String> {
    dv_proto::from_json(field, text)
        .map_err(|e| format!("{e}; is this agent older than the coordinator?"))
}

fn number(text: &str) -> Result<CommandId, String> {
    text.parse().map_err(|e: dv_types::InvalidName| e.to_string())
}

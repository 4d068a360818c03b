//! One connection, message by message.

use std::sync::Arc;

use dv_agent::ports::{Orders, Words};
use dv_proto::v1::{FromAgent, ToAgent};
use futures_util::StreamExt as _;
use prost::Message as _;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::Status;

use super::{Connection, FORGOTTEN, Heard, Server, lies::Lies};
use crate::{chance::Chance, gate::until, host::Host, story, world::World};

/// The stretch between a host and a coordinator.
#[derive(Clone)]
pub(super) struct Stretch {
    pub(super) world: Arc<World>,
    pub(super) host: Arc<Host>,
    pub(super) connection: Connection,
    pub(super) server: Server,
    pub(super) lies: Option<Arc<Lies>>,
}

impl Stretch {
    /// Carries what the agent says.
    pub(super) async fn up(
        self,
        mut words: Words,
        up: mpsc::UnboundedSender<Result<FromAgent, Status>>,
        mut chance: Chance,
    ) {
        let carry = async {
            while let Some(word) = words.next().await {
                self.world.check(|watch| watch.said(&self.host, &word));
                let words = match &self.lies {
                    Some(lies) => lies.twist(word),
                    None => vec![word],
                };
                for word in words {
                    let bytes = word.encode_to_vec();
                    tokio::time::sleep(self.host.path.delay(&mut chance)).await;
                    self.host.path.up.pass().await;
                    self.server.awake.pass().await;
                    let word = FromAgent::decode(&*bytes).expect("it was encoded here");
                    self.world.tell(|| story::said(&self.host.machine, &word));
                    if up.send(Ok(word)).is_err() {
                        return;
                    }
                }
            }
            // It says good-bye, and that takes its time, too.
            tokio::time::sleep(self.host.path.delay(&mut chance)).await;
            self.host.path.up.pass().await;
        };
        tokio::select! {
            biased;
            () = self.connection.cut.cancelled() => {
                let _ = up.send(Err(Status::unavailable("connection reset")));
            }
            () = self.server.gone.cancelled() => {}
            () = self.connection.silent.cancelled() => {
                // The other end waits for what does not come.
                let gone = self.server.gone.cancelled();
                let _ = tokio::time::timeout(FORGOTTEN, gone).await;
            }
            () = carry => {}
        }
    }

    /// What the coordinator does with it, and what it tells the agent.
    pub(super) async fn serve(
        self,
        heard: Heard,
        answer: oneshot::Sender<Result<Orders, Status>>,
        mut chance: Chance,
    ) {
        let gone = self.server.gone.clone();
        let serial = crate::serial(&self.host.name);
        let opened = self.server.agents.open(&self.host.name, &serial, heard);
        let Some(opened) = until(&gone, opened).await else { return };
        tokio::time::sleep(self.host.path.delay(&mut chance)).await;
        self.host.path.down.pass().await;
        let orders = match opened {
            Ok(orders) => orders,
            Err(status) => return drop(answer.send(Err(status))),
        };
        let (down, told) = mpsc::unbounded_channel();
        if answer.send(Ok(Box::pin(UnboundedReceiverStream::new(told)))).is_ok() {
            self.down(orders, down, chance).await;
        }
    }

    async fn down(
        self,
        mut orders: dv_coordinator::api::Orders,
        down: mpsc::UnboundedSender<Result<ToAgent, Status>>,
        mut chance: Chance,
    ) {
        let (host, number) = (&self.host.name, self.server.number);
        let carry = async {
            while let Some(order) = orders.next().await {
                let order = match order {
                    Ok(order) => order,
                    Err(status) => {
                        self.host.path.down.pass().await;
                        return drop(down.send(Err(status)));
                    }
                };
                self.world.check(|watch| watch.told(host, &order));
                if self.lies.as_ref().is_some_and(|lies| lies.swallows(&order)) {
                    continue;
                }
                let bytes = order.encode_to_vec();
                self.server.awake.pass().await;
                tokio::time::sleep(self.host.path.delay(&mut chance)).await;
                self.host.path.down.pass().await;
                let order = ToAgent::decode(&*bytes).expect("it was encoded here");
                self.world.tell(|| story::told(number, &self.host.machine, &order));
                self.world.watch().delivered(&self.host, &order);
                if down.send(Ok(order)).is_err() {
                    return;
                }
            }
        };
        let reset = || Err(Status::unavailable("connection reset"));
        tokio::select! {
            biased;
            () = self.connection.cut.cancelled() => drop(down.send(reset())),
            () = self.server.gone.cancelled() => {
                // The machine of the coordinator says so, if it gets through.
                self.host.path.down.pass().await;
                drop(down.send(reset()));
            }
            () = self.connection.silent.cancelled() => {}
            () = self.connection.closed.cancelled() => {}
            () = carry => {}
        }
    }
}

//! The network between agents and coordinators: streams of encoded messages, each in order and without gaps, as TCP has
//! it. Across streams everything can happen: the old one's last messages come after the new one's first.

mod lies;
mod pump;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use dv_agent::ports::{Dial, Line, Orders, Words};
use dv_coordinator::api::AgentLinkApi;
use dv_proto::v1::FromAgent;
use futures_util::{FutureExt as _, future::BoxFuture};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::{chance::Chance, gate::Gate, host::Host, world::World};

/// How long a dead connection is remembered by the end that was not told.
const FORGOTTEN: Duration = Duration::from_secs(900);

/// A coordinator that listens.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) number: u32,
    pub(crate) agents: Arc<AgentLinkApi>,
    /// Closed while it is stopped: nothing comes in or goes out.
    pub(crate) awake: Arc<Gate>,
    pub(crate) gone: CancellationToken,
}

/// Who listens.
#[derive(Default)]
pub(crate) struct Network {
    servers: Mutex<Vec<Server>>,
}

impl Network {
    pub(crate) fn listen(&self, server: Server) {
        self.servers.lock().unwrap().push(server);
    }

    pub(crate) fn hang_up(&self, number: u32) {
        self.servers.lock().unwrap().retain(|server| server.number != number);
    }

    /// Nobody listens any more.
    pub(crate) fn close(&self) {
        self.servers.lock().unwrap().clear();
    }

    /// Whether one of this number or a later one listens.
    pub(crate) fn is_anybody(&self, from: u32) -> bool {
        self.servers.lock().unwrap().iter().any(|server| server.number >= from)
    }

    /// The newest one; where an older one still listens, now and then that.
    fn server(&self, chance: &mut Chance) -> Option<Server> {
        let servers = self.servers.lock().unwrap();
        let stray = servers.len() > 1 && chance.hit(300);
        let server = if stray { servers.first() } else { servers.last() };
        server.filter(|server| !server.gone.is_cancelled()).cloned()
    }
}

/// A host's way to the coordinator, with its troubles.
#[derive(Default)]
pub(crate) struct Path {
    /// Closed while nothing gets through from the agent.
    pub(crate) up: Gate,
    /// Closed while nothing gets through to it.
    pub(crate) down: Gate,
    state: Mutex<PathState>,
}

#[derive(Default)]
struct PathState {
    /// So long a message takes at most, in milliseconds.
    slow: u64,
    connections: Vec<Connection>,
    next: u64,
}

/// A connection.
#[derive(Clone)]
struct Connection {
    number: u64,
    /// Both ends are told that it is gone.
    cut: CancellationToken,
    /// The agent's end is gone without a word.
    silent: CancellationToken,
    /// The agent's end is gone, and says so.
    closed: CancellationToken,
}

impl Path {
    pub(crate) fn slow(&self, millis: u64) {
        self.state.lock().unwrap().slow = millis;
    }

    /// Every connection is reset.
    pub(crate) fn reset(&self) {
        self.state.lock().unwrap().connections.drain(..).for_each(|open| open.cut.cancel());
    }

    /// The agent's machine is gone: nobody is told.
    pub(crate) fn silence(&self) {
        self.state.lock().unwrap().connections.drain(..).for_each(|open| open.silent.cancel());
    }

    /// The agent is gone, and its machine closes what it had open.
    pub(crate) fn agent_died(&self) {
        self.state.lock().unwrap().connections.drain(..).for_each(|open| open.closed.cancel());
    }

    fn connect(&self) -> Connection {
        let mut state = self.state.lock().unwrap();
        state.next += 1;
        let (cut, silent, closed) = Default::default();
        let connection = Connection { number: state.next, cut, silent, closed };
        state.connections.push(connection.clone());
        connection
    }

    fn delay(&self, chance: &mut Chance) -> Duration {
        let slow = self.state.lock().unwrap().slow;
        let spike = if chance.hit(10) { 1000 } else { 20 };
        chance.millis(1, spike.max(slow))
    }
}

/// What an agent dials with.
pub(crate) struct Dialler {
    pub(crate) world: Arc<World>,
    pub(crate) host: Arc<Host>,
}

impl Dial for Dialler {
    fn dial(&self, _: &str) -> Result<Box<dyn Line>, String> {
        let line = Call { world: Arc::clone(&self.world), host: Arc::clone(&self.host) };
        Ok(Box::new(line))
    }
}

struct Call {
    world: Arc<World>,
    host: Arc<Host>,
}

impl Line for Call {
    fn host(&self) -> &str {
        self.host.name.as_str()
    }

    fn open(&self, words: Words, _: Option<Duration>) -> BoxFuture<'_, Result<Orders, Status>> {
        let (world, host) = (Arc::clone(&self.world), Arc::clone(&self.host));
        async move {
            let connection = host.path.connect();
            let part = format!("connection {} of {}", connection.number, host.machine);
            let mut chance = world.chance(&part);
            host.path.up.pass().await;
            tokio::time::sleep(host.path.delay(&mut chance)).await;
            let refused = || Status::unavailable("connection refused");
            let server = world.network.server(&mut chance).ok_or_else(refused)?;
            server.awake.pass().await;
            world.tell(|| {
                let (number, coordinator) = (connection.number, server.number);
                format!(
                    "network     {}: connection {number} to coordinator {coordinator}",
                    host.machine
                )
            });
            let lies = lies::Lies::of(&world, &host, &part);
            let stretch = pump::Stretch { world, host, connection, server, lies };
            let (up, heard) = mpsc::unbounded_channel();
            tokio::spawn(stretch.clone().up(words, up, chance.clone()));
            let (answer, answered) = oneshot::channel();
            tokio::spawn(stretch.serve(UnboundedReceiverStream::new(heard), answer, chance));
            answered.await.unwrap_or_else(|_| Err(Status::unavailable("connection reset")))
        }
        .boxed()
    }

    fn renewed(&self) -> BoxFuture<'_, ()> {
        std::future::pending().boxed()
    }

    fn renew(&self, _: Duration) {}
}

/// A stream of messages that have come.
type Heard = UnboundedReceiverStream<Result<FromAgent, Status>>;

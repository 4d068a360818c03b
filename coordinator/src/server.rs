//! The way in: TCP, a TLS handshake, and who it is. Nobody is trusted here: what those can take who say nothing, little, or
//! much is bounded, and taken from themselves first.

mod connection;
mod crowd;
mod handshake;
mod source;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use rustix::{
    net::sockopt,
    process::{Resource, getrlimit, setrlimit},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc},
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

pub(crate) use connection::Connection;

use crate::{
    identity::{Identity, Peer, tls::ServerTls},
    pace::cores,
};
use connection::Held;
use crowd::{Crowd, Full, Place, Room};
use handshake::shake;
use source::{Owner, Source, source};

/// Handshakes that may work at once, for each core. Each is about a millisecond of it: what else is to be done waits no
/// longer than for these.
const HANDSHAKES: usize = 128;
/// Connections of which it is not known yet whose they are. The peer is silent for most of that time: when there are more,
/// the most silent of whoever has most goes.
const UNKNOWN: Room = Room { all: 4096, each: 2048 };
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);
/// Connections of those without a certificate: they enrol, and go.
const STRANGERS: Room = Room { all: 512, each: 128 };
const STRANGERS_STAY: Duration = Duration::from_secs(60);
/// Connections of one host or operator: an agent has one, and another one for a moment when it comes back.
const HOST_CONNECTIONS: usize = 8;
const OPERATOR_CONNECTIONS: usize = 256;
/// Connections for which there is no place, and that are only told so.
const ANTEROOM: usize = 256;
/// Files besides the connections.
const OTHER_FILES: u64 = 256;
/// Where the kernel does not limit open files.
const CONNECTIONS: usize = 1 << 20;

/// A connection that has been idle for so long is asked by the kernel whether its other end is still there. Agents say
/// so themselves, but the more seldom the more there are; a machine that vanished is found within 30 seconds all the same.
const IDLE: Duration = Duration::from_secs(20);
const ASK_AGAIN: Duration = Duration::from_secs(5);
const ASK: u32 = 2;
const VANISHED: Duration = Duration::from_secs(30);

/// Raises the limit of open files as far as it goes, and says how many connections that leaves.
pub(crate) fn places() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(why) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%why, "the limit of open files can't be raised");
        limit = getrlimit(Resource::Nofile);
    }
    let left =
        |files: u64| usize::try_from(files.saturating_sub(OTHER_FILES)).unwrap_or(CONNECTIONS);
    limit.current.map_or(CONNECTIONS, left).clamp(1, CONNECTIONS)
}

/// Takes connections until `stop`: for so many there is a place.
pub(crate) fn accept(
    listener: TcpListener,
    places: usize,
    tls: Arc<ServerTls>,
    stop: CancellationToken,
) -> ReceiverStream<io::Result<Connection>> {
    let (ready, connections) = mpsc::channel(HANDSHAKES);
    let entrance = Arc::new(Entrance::new(places, tls, ready));
    tokio::spawn(stop.run_until_cancelled_owned(entrance.accept(listener)));
    ReceiverStream::new(connections)
}

/// What those pass who come in.
struct Entrance {
    tls: Arc<ServerTls>,
    ready: mpsc::Sender<io::Result<Connection>>,
    turns: Arc<Semaphore>,
    unknown: Crowd<Source>,
    strangers: Crowd<Owner>,
    hosts: Crowd<Owner>,
    operators: Crowd<Owner>,
    places: Arc<Semaphore>,
    anteroom: Arc<Semaphore>,
}

impl Entrance {
    fn new(
        places: usize,
        tls: Arc<ServerTls>,
        ready: mpsc::Sender<io::Result<Connection>>,
    ) -> Self {
        // Where few files may be open, nobody unknown takes them from those who are known.
        let part = |wanted: usize| wanted.min(places / 4).max(1);
        let (unknown, anteroom) = (part(UNKNOWN.all), part(ANTEROOM));
        let unlimited = |each| Crowd::new(Room { all: usize::MAX, each });
        Self {
            tls,
            ready,
            turns: Arc::new(Semaphore::new(HANDSHAKES * cores())),
            unknown: Crowd::new(Room { all: unknown, each: part(UNKNOWN.each) }),
            strangers: Crowd::new(Room { all: part(STRANGERS.all), each: part(STRANGERS.each) }),
            hosts: unlimited(HOST_CONNECTIONS),
            operators: unlimited(OPERATOR_CONNECTIONS),
            places: Arc::new(Semaphore::new(places.saturating_sub(unknown + anteroom).max(1))),
            anteroom: Arc::new(Semaphore::new(anteroom)),
        }
    }

    async fn accept(self: Arc<Self>, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((tcp, address)) => {
                    let Some(unknown) = self.let_in(address).await else { continue };
                    let entrance = Arc::clone(&self);
                    tokio::spawn(async move {
                        if let Some(connection) = entrance.receive(tcp, address, unknown).await {
                            // Nobody listens any more when the server stops.
                            let _ = entrance.ready.send(Ok(connection)).await;
                        }
                    });
                }
                Err(why) => {
                    // Out of file descriptors, most likely: it passes when a connection ends.
                    tracing::error!(%why, "a connection can't be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    /// A place for somebody unknown. Waits only where all who are there wait for us.
    async fn let_in(&self, address: SocketAddr) -> Option<Place<Source>> {
        loop {
            match self.unknown.enter(source(address.ip())) {
                Ok(place) => return Some(place),
                Err(Full::All) => self.unknown.left().await,
                Err(Full::Own) => {
                    tracing::info!(%address, "too many connections from there: this one is closed");
                    return None;
                }
            }
        }
    }

    /// Finds out who it is.
    async fn receive(
        &self,
        tcp: TcpStream,
        address: SocketAddr,
        unknown: Place<Source>,
    ) -> Option<Connection> {
        let shaken = async {
            tcp.set_nodelay(true)?;
            watch_over(&tcp)?;
            shake(tcp, &self.tls, &self.turns, &unknown).await
        };
        let stream = match tokio::time::timeout(HANDSHAKE_DEADLINE, shaken).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(why)) => {
                tracing::info!(%address, %why, "no TLS connection");
                return None;
            }
            Err(_) => {
                tracing::info!(%address, "the TLS handshake took too long");
                return None;
            }
        };
        drop(unknown);
        let peer = Peer::new(address, stream.get_ref().1.peer_certificates());
        let (crowd, owner) = match &peer.identity {
            None => (&self.strangers, Owner::Stranger(source(address.ip()))),
            Some(ours @ Identity::Host(_)) => (&self.hosts, Owner::Ours(ours.clone())),
            Some(ours @ Identity::Operator(_)) => (&self.operators, Owner::Ours(ours.clone())),
        };
        let counted = crowd.enter(owner).ok()?;
        let (place, crowded) = match Arc::clone(&self.places).try_acquire_owned() {
            Ok(place) => (place, false),
            Err(_) => match Arc::clone(&self.anteroom).try_acquire_owned() {
                Ok(place) => (place, true),
                Err(_) => {
                    tracing::warn!(%address, "there is no room to tell it that there is no room");
                    return None;
                }
            },
        };
        let stay = peer.identity.is_none().then_some(STRANGERS_STAY);
        let peer = Peer { crowded, ..peer };
        Some(Connection::new(stream, peer, Held { counted, _place: place }, stay))
    }
}

/// Has the kernel find connections whose other end has vanished.
fn watch_over(tcp: &TcpStream) -> io::Result<()> {
    sockopt::set_socket_keepalive(tcp, true)?;
    sockopt::set_tcp_keepidle(tcp, IDLE)?;
    sockopt::set_tcp_keepintvl(tcp, ASK_AGAIN)?;
    sockopt::set_tcp_keepcnt(tcp, ASK)?;
    let millis = u32::try_from(VANISHED.as_millis()).unwrap_or(u32::MAX);
    Ok(sockopt::set_tcp_user_timeout(tcp, millis)?)
}

//! The way in: TCP, a TLS handshake under a deadline, and who it is.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use rustix::{
    net::sockopt,
    process::{Resource, getrlimit, setrlimit},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Connected;

use crate::{
    identity::{Peer, tls::ServerTls},
    pace::cores,
};

/// Handshakes at once, for each core. Each is about a millisecond of work; the rest wait in the listen queue.
const HANDSHAKES: usize = 128;
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);
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

/// A connection whose peer is known.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TlsStream<TcpStream>,
    peer: Peer,
    _place: OwnedSemaphorePermit,
}

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
    let at_once = HANDSHAKES * cores();
    let (ready, connections) = mpsc::channel(at_once);
    tokio::spawn(async move {
        let handshakes = Arc::new(Semaphore::new(at_once));
        let anteroom = Arc::new(Semaphore::new(ANTEROOM.min(places)));
        let places = Arc::new(Semaphore::new(places - ANTEROOM.min(places / 2)));
        let accepting = async {
            loop {
                let handshake = Arc::clone(&handshakes).acquire_owned().await;
                let (place, crowded) = match Arc::clone(&places).try_acquire_owned() {
                    Ok(place) => (Ok(place), false),
                    Err(_) => (Arc::clone(&anteroom).acquire_owned().await, true),
                };
                let (Ok(handshake), Ok(place)) = (handshake, place) else { return };
                match listener.accept().await {
                    Ok((tcp, address)) => {
                        let (tls, ready) = (Arc::clone(&tls), ready.clone());
                        tokio::spawn(async move {
                            let shaken =
                                tokio::time::timeout(HANDSHAKE_DEADLINE, shake(tcp, &tls)).await;
                            drop(handshake);
                            match shaken {
                                Ok(Ok(stream)) => {
                                    let certificates = stream.get_ref().1.peer_certificates();
                                    let peer = Peer { crowded, ..Peer::new(address, certificates) };
                                    let connection = Connection { stream, peer, _place: place };
                                    // Nobody listens any more when the server stops.
                                    let _ = ready.send(Ok(connection)).await;
                                }
                                Ok(Err(why)) => tracing::info!(%address, %why, "no TLS connection"),
                                Err(_) => {
                                    tracing::info!(%address, "the TLS handshake took too long");
                                }
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
        };
        tokio::select! {
            () = accepting => {}
            () = stop.cancelled() => {}
        }
    });
    ReceiverStream::new(connections)
}

async fn shake(tcp: TcpStream, tls: &ServerTls) -> io::Result<TlsStream<TcpStream>> {
    tcp.set_nodelay(true)?;
    watch_over(&tcp)?;
    TlsAcceptor::from(tls.config()).accept(tcp).await
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

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

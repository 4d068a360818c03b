//! The way in: TCP, a TLS handshake under a deadline, and who it is.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
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

use crate::identity::{Peer, tls::ServerTls};

/// Handshakes at once. Each is a few milliseconds of work; the rest wait in the listen queue.
const HANDSHAKES: usize = 256;
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);
/// Connections at once.
const CONNECTIONS: usize = 20_000;

/// A connection whose peer is known.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TlsStream<TcpStream>,
    peer: Peer,
    _place: OwnedSemaphorePermit,
}

/// Takes connections until `stop`.
pub(crate) fn accept(
    listener: TcpListener,
    tls: Arc<ServerTls>,
    stop: CancellationToken,
) -> ReceiverStream<io::Result<Connection>> {
    let (ready, connections) = mpsc::channel(HANDSHAKES);
    tokio::spawn(async move {
        let handshakes = Arc::new(Semaphore::new(HANDSHAKES));
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let accepting = async {
            loop {
                let handshake = Arc::clone(&handshakes).acquire_owned().await;
                let place = Arc::clone(&places).acquire_owned().await;
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
                                    let peer = Peer::new(address, certificates);
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
    TlsAcceptor::from(tls.config()).accept(tcp).await
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

//! A connection whose peer is known, until it ends, or must.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::OwnedSemaphorePermit,
};
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use super::{crowd::Place, handshake::Measured, source::Owner};
use crate::identity::Peer;

/// A connection whose peer is known.
pub(crate) struct Connection {
    stream: TlsStream<Measured>,
    peer: Peer,
    /// Resolves when it must end.
    over: Pin<Box<dyn Future<Output = &'static str> + Send>>,
    _held: Held,
}

/// What it holds, until it is dropped.
pub(super) struct Held {
    pub(super) counted: Place<Owner>,
    pub(super) _place: OwnedSemaphorePermit,
}

impl Connection {
    /// One that ends after `stay`, or when it has to give way.
    pub(super) fn new(
        stream: TlsStream<Measured>,
        peer: Peer,
        held: Held,
        stay: Option<Duration>,
    ) -> Self {
        let gone = held.counted.gone().clone();
        let over = Box::pin(async move {
            let gone = async {
                gone.cancelled().await;
                "its owner has too many connections"
            };
            match stay {
                Some(stay) => tokio::time::timeout(stay, gone).await.unwrap_or("its time is up"),
                None => gone.await,
            }
        });
        Self { stream, peer, over, _held: held }
    }
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
        if let Poll::Ready(why) = self.over.as_mut().poll(cx) {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionAborted, why)));
        }
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

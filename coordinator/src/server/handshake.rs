//! A TLS handshake with somebody who may be anybody: it costs little while he is silent, and works in turn with others.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::Semaphore,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::PollSemaphore;

use super::{crowd::Place, source::Source};
use crate::identity::tls::ServerTls;

/// What anybody may say before it is known who he is: a greeting, and a certificate.
const WORDS: usize = 32 << 10;

/// Makes a handshake. The peer may take as long as the place is his.
pub(super) async fn shake(
    tcp: TcpStream,
    tls: &ServerTls,
    turns: &Arc<Semaphore>,
    place: &Place<Source>,
) -> io::Result<TlsStream<Measured>> {
    let accept = TlsAcceptor::from(tls.config()).accept(Measured { tcp, left: Some(WORDS) });
    let turns = PollSemaphore::new(Arc::clone(turns));
    let handshake = InTurn { work: accept, turns, place };
    let mut stream = tokio::select! {
        stream = handshake => stream?,
        () = place.gone().cancelled() => {
            return Err(io::Error::other("it was silent for longest when there was no room for others"));
        }
    };
    stream.get_mut().0.left = None;
    Ok(stream)
}

/// Work that is done only in turn with that of others, and says when it waits for its peer.
struct InTurn<'a, F> {
    work: F,
    turns: PollSemaphore,
    place: &'a Place<Source>,
}

impl<F: Future + Unpin> Future for InTurn<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.place.works();
        let turn = ready!(self.turns.poll_acquire(cx));
        let done = Pin::new(&mut self.work).poll(cx);
        drop(turn);
        if done.is_pending() {
            self.place.waits();
        }
        done
    }
}

/// A stream of which not more than so much is read, until its peer is known.
#[derive(Debug)]
pub(super) struct Measured {
    tcp: TcpStream,
    left: Option<usize>,
}

impl AsyncRead for Measured {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.tcp).poll_read(cx, buffer))?;
        let read = buffer.filled().len() - before;
        if let Some(left) = self.left {
            let left = left.checked_sub(read);
            self.left =
                Some(left.ok_or_else(|| io::Error::other("it says too much for a handshake"))?);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Measured {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

//! A wire between two programs of a test, that can be cut.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// How a wire is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    /// Everything passes.
    Whole,
    /// Nobody is there: connections end, and new ones end as soon as they are made.
    Gone,
    /// Nothing passes, and nobody is told: what is open stays open.
    Silent,
    /// What is asked arrives, and what is answered is lost.
    Mute,
}

/// A wire to one address; it ends with its value.
pub(crate) struct Proxy {
    address: SocketAddr,
    wire: watch::Sender<Wire>,
    accepting: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Proxy {
    pub(crate) async fn to(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let wire = watch::Sender::new(Wire::Whole);
        let state = wire.clone();
        let accepting = tokio::spawn(async move {
            loop {
                let (near, _) = listener.accept().await.unwrap();
                tokio::spawn(connection(near, target.clone(), state.subscribe()));
            }
        });
        Self { address, wire, accepting }
    }

    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn set(&self, wire: Wire) {
        self.wire.send_replace(wire);
    }
}

async fn connection(near: TcpStream, target: String, mut wire: watch::Receiver<Wire>) {
    if wire.wait_for(|wire| *wire != Wire::Silent).await.is_err() || *wire.borrow() == Wire::Gone {
        return;
    }
    let Ok(far) = TcpStream::connect(target).await else { return };
    let _ = near.set_nodelay(true);
    let _ = far.set_nodelay(true);
    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
    let mut gone = wire.clone();
    tokio::select! {
        _ = gone.wait_for(|wire| *wire == Wire::Gone) => {}
        () = pass(near_in, far_out, wire.clone(), |_| true) => {}
        () = pass(far_in, near_out, wire, |wire| wire != Wire::Mute) => {}
    }
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut wire: watch::Receiver<Wire>,
    passes: impl Fn(Wire) -> bool,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        if wire.wait_for(|wire| *wire != Wire::Silent).await.is_err() {
            return;
        }
        let now = *wire.borrow();
        if passes(now) && to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

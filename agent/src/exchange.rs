//! One HTTP request over a connection of its own, and its answer.

use ::http::{Request, Response};
use hyper::{
    body::{Body, Incoming},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::words::innermost;

/// Sends `request` over `wire`, and reads the answer as `read` does.
pub(crate) async fn exchange<B, T, F>(
    wire: impl AsyncRead + AsyncWrite + Unpin,
    request: Request<B>,
    read: impl FnOnce(Response<Incoming>) -> F,
) -> Result<T, String>
where
    B: Body + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    F: Future<Output = Result<T, String>>,
{
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(wire)).await.map_err(|e| innermost(&e))?;
    let exchange = async {
        let answer = sender.send_request(request).await.map_err(|e| innermost(&e))?;
        read(answer).await
    };
    // The connection does its part only while it is polled.
    tokio::pin!(connection, exchange);
    tokio::select! {
        answer = &mut exchange => answer,
        ended = &mut connection => match ended {
            Ok(()) => exchange.await,
            Err(error) => Err(innermost(&error)),
        },
    }
}

//! Why a connection breaks before its first answer. In TLS 1.3 a server refuses a client's certificate after
//! the handshake, and what it says is lost behind HTTP/2's own errors: so it is asked once more, without HTTP/2.

use std::{sync::Arc, time::Duration};

use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{io::AsyncReadExt as _, net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;

/// A coordinator greets at once; longer than this is no answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// What TLS says against a connection to `address`, if anything.
pub(crate) async fn refusal(address: &str, tls: Arc<ClientConfig>) -> Option<rustls::Error> {
    let (host, _) = address.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(host).ok()?;
    let greeted = async {
        let tcp = TcpStream::connect(address).await?;
        let mut stream = TlsConnector::from(tls).connect(name, tcp).await?;
        stream.read_u8().await
    };
    let error = timeout(PATIENCE, greeted).await.ok()?.err()?;
    error.into_inner()?.downcast::<rustls::Error>().ok().map(|error| *error)
}

//! A connection to one member.

use std::{sync::Arc, time::Duration};

use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;

use crate::error::InvalidMember;

/// Time for a connection to come about. A member that is cut off must not hold a lease's renewal up.
const CONNECT: Duration = Duration::from_secs(1);
/// etcd cuts off who asks more often than every five seconds whether it is there.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
const KEEP_ALIVE_ANSWER: Duration = Duration::from_secs(5);

/// One member.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) address: Arc<str>,
    pub(crate) channel: Channel,
}

impl Member {
    /// The member at `host:port`. It is connected to when it is called.
    pub(crate) fn new(
        address: &str,
        tls: Option<&Arc<ClientConfig>>,
    ) -> Result<Self, InvalidMember> {
        let invalid = || InvalidMember(address.to_owned());
        let (host, port) = address.rsplit_once(':').ok_or_else(invalid)?;
        port.parse::<u16>().map_err(|_| invalid())?;
        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .map_err(|_| invalid())?
            .connect_timeout(CONNECT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE_ANSWER)
            .keep_alive_while_idle(true);
        let channel = match tls {
            None => endpoint.connect_lazy(),
            Some(tls) => {
                let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
                let name = ServerName::try_from(host).map_err(|_| invalid())?;
                let tls = TlsConnector::from(Arc::clone(tls));
                let address: Arc<str> = address.into();
                endpoint.connect_with_connector_lazy(service_fn(move |_: http::Uri| {
                    let (tls, name, address) = (tls.clone(), name.clone(), Arc::clone(&address));
                    async move {
                        let tcp = TcpStream::connect(&*address).await?;
                        tcp.set_nodelay(true)?;
                        tls.connect(name, tcp).await.map(TokioIo::new)
                    }
                }))
            }
        };
        Ok(Self { address: address.into(), channel })
    }
}

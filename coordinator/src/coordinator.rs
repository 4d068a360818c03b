//! A reign, served: over TCP and TLS, with an identity in files, until it is stopped.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use dv_proto::v1::{
    agent_link_server::AgentLinkServer, control_server::ControlServer,
    enrolment_server::EnrolmentServer,
};
use dv_types::Timestamp;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;

use crate::{
    config::Config,
    identity::{Authority, IdentityError, context_file, renew_context, tls::ServerTls},
    ports::{Clock, Store, StoreError},
    reign::Reign,
    server,
};

/// Time between two looks at the age of the server's certificate, and of the operator's.
const RENEWAL: Duration = Duration::from_secs(60 * 60);
/// Streams have this long to end when the coordinator stops.
const FAREWELL: Duration = Duration::from_secs(5);
/// Calls at once on one connection.
const CALLS: u32 = 128;

/// The coordinator can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address can't be listened on.
    #[error("can't listen on {address}: {why}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        why: io::Error,
    },
    /// Its identity can't be used.
    #[error("the coordinator's identity can't be used: {0}")]
    Identity(#[from] IdentityError),
    /// Its store can't be used.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// Why a coordinator serves no longer, although nobody stopped it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Down {
    /// The server has ended.
    #[error("the server has ended by itself")]
    Server,
    /// A write to the store has failed: it can't be used until it is opened anew.
    #[error(
        "{0}: nothing more can be kept, so nothing more is done; see whether the disk of the state directory is full or \
         broken. Rollouts go on at the next start"
    )]
    Store(StoreError),
}

/// A coordinator that serves.
pub struct Coordinator {
    address: SocketAddr,
    operator: PathBuf,
    reign: Reign,
    stop: CancellationToken,
    /// Cancelled when the server has ended.
    down: CancellationToken,
    serving: JoinHandle<()>,
}

impl Coordinator {
    /// Takes up what the store holds, and serves.
    pub async fn start(
        config: &Config,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        let address = config.listen;
        let refuse = |why| StartError::Listen { address, why };
        let listener = TcpListener::bind(address).await.map_err(refuse)?;
        let address = listener.local_addr().map_err(refuse)?;

        let directory = config.state_dir.join("identity");
        let now = clock.now();
        let authority = Arc::new(Authority::open(&directory, now)?);
        let names = config.server_names();
        let dial = format!("{}:{}", names.first().map_or("localhost", |n| n), address.port());
        let operator = config.state_dir.join("operator").join("admin.yaml");
        let operator = context_file(&authority, operator, "admin", &dial, now)?;
        renew_operator(&authority, &operator, now);
        let tls = Arc::new(ServerTls::open(&directory, names, Arc::clone(&authority), now)?);

        let reign = Reign::begin(config, store, Arc::clone(&clock), Arc::clone(&authority)).await?;
        let stop = CancellationToken::new();
        let serving = Server::builder()
            .max_concurrent_streams(CALLS)
            .add_service(EnrolmentServer::new(reign.enrolment()))
            .add_service(AgentLinkServer::new(reign.agent_link()))
            .add_service(ControlServer::new(reign.control()))
            .serve_with_incoming_shutdown(
                server::accept(listener, server::places(), Arc::clone(&tls), stop.clone()),
                stop.clone().cancelled_owned(),
            );
        let down = CancellationToken::new();
        let guard = down.clone().drop_guard();
        let serving = tokio::spawn(async move {
            let _guard = guard;
            if let Err(why) = serving.await {
                tracing::error!(%why, "the server ended");
            }
        });
        tokio::spawn(stop.clone().run_until_cancelled_owned(renew(
            tls,
            authority,
            operator.clone(),
            clock,
        )));
        Ok(Self { address, operator, reign, stop, down, serving })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The first operator's context file.
    #[must_use]
    pub fn operator(&self) -> &Path {
        &self.operator
    }

    /// One line on how it stands.
    #[must_use]
    pub fn status(&self) -> String {
        self.reign.status()
    }

    /// Resolves when it serves no longer, or can't.
    pub async fn down(&self) -> Down {
        tokio::select! {
            () = self.down.cancelled() => Down::Server,
            why = self.reign.broken() => Down::Store(why),
        }
    }

    /// Stops: streams are told first, rollouts wait in the store for the next start.
    pub async fn stop(self) {
        self.reign.end();
        self.stop.cancel();
        let ended = async {
            let _ = self.serving.await;
            self.reign.at_rest().await;
        };
        if tokio::time::timeout(FAREWELL, ended).await.is_err() {
            tracing::warn!("some connections did not end in time");
        }
    }
}

async fn renew(
    tls: Arc<ServerTls>,
    authority: Arc<Authority>,
    operator: PathBuf,
    clock: Arc<dyn Clock>,
) {
    loop {
        tokio::time::sleep(RENEWAL).await;
        renew_operator(&authority, &operator, clock.now());
        if let Err(why) = tls.refresh(clock.now()) {
            tracing::error!(%why, "the server's certificate can't be renewed");
        }
    }
}

/// A context file that a person has spoilt keeps nobody else from work.
fn renew_operator(authority: &Authority, operator: &Path, now: Timestamp) {
    if let Err(why) = renew_context(authority, operator, now) {
        tracing::error!(%why, "the operator's certificate can't be renewed: to have a new one, take the file away and restart");
    }
}

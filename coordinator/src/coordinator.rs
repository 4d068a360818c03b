//! A coordinator, served: over TCP and TLS, with an identity in files, until it is stopped.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use dv_types::Timestamp;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tonic::{service::Routes, transport::Server};

use crate::{
    config::Config,
    identity::{Authority, IdentityError, context_file, renew_context, tls::ServerTls},
    leader::{AuthorityError, Cluster},
    office::{Means, Office},
    ports::{Clock, Store, StoreError},
    server,
};

/// Time between two looks at the age of the server's certificate, and of the operator's; less, where one lives a short time.
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
    /// Its certificate authority is not the fleet's.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
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
    /// It was the leader, and is not any more.
    #[error(
        "it leads no longer: {0}. It commands nothing more, and stands by when it is started again"
    )]
    Deposed(String),
}

/// A coordinator that serves.
pub struct Coordinator {
    address: SocketAddr,
    operator: PathBuf,
    office: Office,
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
        let site = Site::open(config, clock).await?;
        let office = Office::alone(site.means.clone(), store).await?;
        Ok(site.serve(office))
    }

    /// Serves as one of several: it stands by until it leads.
    pub async fn stand(
        config: &Config,
        cluster: Cluster,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        let is_there = Authority::is_in(&identity_of(config));
        cluster.expect_authority(is_there).await?;
        let site = Site::open(config, clock).await?;
        cluster.agree_on_authority(&site.means.authority).await?;
        let office = Office::among(site.means.clone(), cluster, site.dial.clone());
        Ok(site.serve(office))
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
        self.office.status()
    }

    /// Resolves when it serves no longer, or can't.
    pub async fn down(&self) -> Down {
        tokio::select! {
            () = self.down.cancelled() => Down::Server,
            why = self.office.down() => why,
        }
    }

    /// Stops: streams are told first, rollouts wait in the store for whoever leads next.
    pub async fn stop(self) {
        self.office.leave().await;
        self.stop.cancel();
        let ended = async {
            let _ = self.serving.await;
            self.office.at_rest().await;
        };
        if tokio::time::timeout(FAREWELL, ended).await.is_err() {
            tracing::warn!("some connections did not end in time");
        }
    }
}

/// What is there before anybody is served: an address that is listened on, and an identity.
struct Site {
    listener: TcpListener,
    address: SocketAddr,
    /// By which others reach it.
    dial: String,
    tls: Arc<ServerTls>,
    operator: PathBuf,
    means: Means,
}

impl Site {
    async fn open(config: &Config, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        let address = config.listen;
        let refuse = |why| StartError::Listen { address, why };
        let listener = TcpListener::bind(address).await.map_err(refuse)?;
        let address = listener.local_addr().map_err(refuse)?;

        let directory = identity_of(config);
        let now = clock.now();
        let authority = Authority::open(&directory, now)?.with_lives(config.certificates);
        let authority = Arc::new(authority);
        let names = config.server_names();
        let dial = format!("{}:{}", names.first().map_or("localhost", |n| n), address.port());
        let operator = config.state_dir.join("operator").join("admin.yaml");
        let operator = context_file(&authority, operator, "admin", &dial, now)?;
        renew_operator(&authority, &operator, now);
        let tls = Arc::new(ServerTls::open(
            &directory,
            names,
            Arc::clone(&authority),
            Arc::clone(&clock),
        )?);

        let means = Means { config: config.clone(), clock, authority };
        Ok(Self { listener, address, dial, tls, operator, means })
    }

    fn serve(self, office: Office) -> Coordinator {
        let Self { listener, address, tls, operator, means, .. } = self;
        let stop = CancellationToken::new();
        let serving = Server::builder()
            .max_concurrent_streams(CALLS)
            .layer(office.service())
            .add_routes(Routes::default())
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
            means.authority,
            operator.clone(),
            means.clock,
        )));
        Coordinator { address, operator, office, stop, down, serving }
    }
}

fn identity_of(config: &Config) -> PathBuf {
    config.state_dir.join("identity")
}

async fn renew(
    tls: Arc<ServerTls>,
    authority: Arc<Authority>,
    operator: PathBuf,
    clock: Arc<dyn Clock>,
) {
    let pause = RENEWAL.min(authority.lives().shortest().get() / 10);
    loop {
        tokio::time::sleep(pause).await;
        renew_operator(&authority, &operator, clock.now());
        if let Err(why) = tls.refresh() {
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

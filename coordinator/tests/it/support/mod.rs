//! A coordinator in a runtime of its own, operators' and hosts' clients, and scripted agents.

mod agent;
pub(crate) mod etcd;
pub(crate) mod fleet;
pub(crate) mod operator;
mod port;
pub(crate) mod prometheus;
pub(crate) mod proxy;

use std::{path::Path, sync::Arc, time::Duration};

use dv_coordinator::{
    clock::SystemClock,
    config::Config,
    coordinator::{Coordinator, Down},
    monitor::PrometheusConfig,
    ports::{Clock, Store},
    store::MemoryStore,
};
use dv_proto::{
    dial,
    v1::{
        CreateTokenRequest, EnrolRequest, agent_link_client::AgentLinkClient,
        control_client::ControlClient, enrolment_client::EnrolmentClient,
    },
};
use dv_types::Span;
use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tonic::{Status, transport::Channel};

pub(crate) use agent::{Agent, Traffic, World};
pub(crate) use operator::{manifest, started};

/// Within this time everything happens that a test waits for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until `look` finds something.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let search = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    match tokio::time::timeout(PATIENCE, search).await {
        Ok(found) => found,
        Err(_) => panic!("waited {PATIENCE:?} in vain: {what}"),
    }
}

/// What outlives a coordinator: its store, its state directory and its address.
pub(crate) struct Site {
    _directory: TempDir,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    config: Config,
}

impl Site {
    pub(crate) fn new() -> Self {
        Self::with(Arc::new(MemoryStore::default()), Arc::new(SystemClock))
    }

    pub(crate) fn with(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = Config {
            listen: ([127, 0, 0, 1], 0).into(),
            state_dir: directory.path().join("state"),
            names: vec!["localhost".to_owned()],
            // An agent that stalls for a while is not silent yet.
            heartbeat: Span::from_secs(2),
            ..Config::default()
        };
        Self { _directory: directory, store, clock, config }
    }

    /// From the next start on, manifests may name this Prometheus.
    pub(crate) fn knows_prometheus(&mut self, name: &str, prometheus: PrometheusConfig) {
        self.config.prometheus.insert(name.to_owned(), prometheus);
    }

    /// From the next start on, agents say so often that they are there.
    pub(crate) fn beat_every(&mut self, heartbeat: Span) {
        self.config.heartbeat = heartbeat;
    }

    /// From the next start on, this is its configuration.
    pub(crate) fn configure(&mut self, change: impl FnOnce(&mut Config)) {
        change(&mut self.config);
    }

    /// Starts a coordinator; after the first time, at the same address.
    pub(crate) async fn start(&mut self) -> Running {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let (config, store, clock) =
            (self.config.clone(), Arc::clone(&self.store), Arc::clone(&self.clock));
        let coordinator = runtime
            .spawn(async move { Coordinator::start(&config, store, clock).await.unwrap() })
            .await
            .unwrap();
        self.config.listen = coordinator.address();
        Running { coordinator: Some(coordinator), runtime: Some(runtime) }
    }

    pub(crate) fn address(&self) -> String {
        format!("localhost:{}", self.config.listen.port())
    }

    pub(crate) fn state_dir(&self) -> &Path {
        &self.config.state_dir
    }

    fn channel(&self, ca: &str, identity: Option<dial::Identity<'_>>) -> Channel {
        dial::channel(&self.address(), dial::client_tls(ca, identity).unwrap()).unwrap()
    }

    fn context(&self) -> operator::Context {
        let file = self.config.state_dir.join("operator").join("admin.yaml");
        serde_saphyr::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
    }

    /// The certificate of the coordinator's CA.
    pub(crate) fn ca(&self) -> String {
        self.context().ca
    }

    /// The channel of the first operator.
    pub(crate) fn operator_channel(&self) -> Channel {
        let context = self.context();
        let identity = dial::Identity { certificate: &context.certificate, key: &context.key };
        self.channel(&context.ca, Some(identity))
    }

    /// The first operator.
    pub(crate) fn operator(&self) -> ControlClient<Channel> {
        ControlClient::new(self.operator_channel()).max_decoding_message_size(64 << 20)
    }

    /// The channel of somebody without a certificate.
    pub(crate) fn stranger(&self) -> Channel {
        self.channel(&self.context().ca, None)
    }

    /// The channel of somebody who trusts our CA and shows this certificate.
    pub(crate) fn channel_as(&self, identity: &HostIdentity) -> Channel {
        let identity = dial::Identity { certificate: &identity.certificate, key: &identity.key };
        self.channel(&self.context().ca, Some(identity))
    }

    pub(crate) async fn token(&self, host: &str, labels: &[(&str, &str)]) -> String {
        let labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let request = CreateTokenRequest { host: host.to_owned(), labels, ttl_seconds: 0 };
        self.operator().create_token(request).await.unwrap().into_inner().token
    }

    /// Lets a host in.
    pub(crate) async fn enrol(&self, host: &str, labels: &[(&str, &str)]) -> HostIdentity {
        let token = self.token(host, labels).await;
        self.enrol_with(&token, host).await.unwrap()
    }

    pub(crate) async fn enrol_with(&self, token: &str, host: &str) -> Result<HostIdentity, Status> {
        let key = KeyPair::generate().unwrap();
        let csr_pem = csr(&key);
        let request = EnrolRequest { token: token.to_owned(), csr_pem, host: host.to_owned() };
        let reply = EnrolmentClient::new(self.stranger()).enrol(request).await?.into_inner();
        assert_eq!(reply.host, host);
        Ok(HostIdentity { certificate: reply.certificate_pem, key: key.serialize_pem() })
    }

    pub(crate) fn link(&self, identity: &HostIdentity) -> AgentLinkClient<Channel> {
        AgentLinkClient::new(self.channel_as(identity))
    }
}

pub(crate) fn csr(key: &KeyPair) -> String {
    CertificateParams::default().serialize_request(key).unwrap().pem().unwrap()
}

/// A host's certificate and key, PEM.
#[derive(Clone)]
pub(crate) struct HostIdentity {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// A coordinator that runs. Dropped, it is killed.
pub(crate) struct Running {
    coordinator: Option<Coordinator>,
    runtime: Option<Runtime>,
}

impl Running {
    /// Resolves when it can't serve any more.
    pub(crate) fn down(&self) -> impl Future<Output = Down> {
        self.coordinator.as_ref().unwrap().down()
    }

    /// Ends it as if by `kill -9`: every task stops where it is.
    pub(crate) fn kill(self) {
        drop(self);
    }

    /// Ends it as SIGTERM does.
    pub(crate) async fn stop(mut self) {
        let coordinator = self.coordinator.take().unwrap();
        self.runtime.as_ref().unwrap().spawn(coordinator.stop()).await.unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.coordinator = None;
        if let Some(runtime) = self.runtime.take() {
            // Its sockets and its store are free when this returns.
            std::thread::spawn(move || runtime.shutdown_timeout(Duration::from_secs(5)))
                .join()
                .unwrap();
        }
    }
}

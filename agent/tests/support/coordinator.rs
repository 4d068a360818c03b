//! The coordinator's end of the wire, in the hands of a test.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll},
};

use dv_proto::v1::{
    self, EnrolReply, EnrolRequest, FromAgent, Hello, RenewReply, RenewRequest, ToAgent,
    agent_link_server::{AgentLink, AgentLinkServer},
    enrolment_server::{Enrolment, EnrolmentServer},
    from_agent, to_agent,
};
use dv_types::{Command, Finding, Operation, Outcome, Span, Subject, Timestamp, probe::Probing};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
    version::TLS13,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Request, Response, Status, Streaming,
    transport::{Server, server::Connected},
};

use super::{Authority, PATIENCE};

pub struct Coordinator {
    pub authority: Arc<Authority>,
    pub address: String,
    pub seen: Arc<Seen>,
    sessions: mpsc::Receiver<Session>,
}

/// What came in besides sessions.
#[derive(Default)]
pub struct Seen {
    pub tokens: Mutex<Vec<String>>,
    pub renewals: Mutex<u32>,
    /// What it says of the CAs that its fleet has had.
    pub lineage: Mutex<Vec<String>>,
    pub failed_handshakes: AtomicU32,
}

/// One agent's stream, from Hello on.
pub struct Session {
    pub hello: Hello,
    pub certificate: Vec<u8>,
    pub epoch: u64,
    /// When its commands are given.
    pub given: Option<Timestamp>,
    orders: mpsc::Sender<Result<ToAgent, Status>>,
    words: Streaming<FromAgent>,
}

#[derive(Clone)]
struct Api {
    authority: Arc<Authority>,
    seen: Arc<Seen>,
    sessions: mpsc::Sender<Session>,
}

impl Coordinator {
    pub async fn start() -> Self {
        let authority = Arc::new(Authority::new());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (sender, sessions) = mpsc::channel(16);
        let seen = Arc::new(Seen::default());
        let api =
            Api { authority: Arc::clone(&authority), seen: Arc::clone(&seen), sessions: sender };
        let acceptor = TlsAcceptor::from(Arc::new(tls(&authority)));
        let (connections, incoming) = mpsc::channel(16);
        let handshakes = Arc::clone(&seen);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, connections) = (acceptor.clone(), connections.clone());
                let seen = Arc::clone(&handshakes);
                tokio::spawn(async move {
                    match acceptor.accept(stream).await {
                        Ok(stream) => {
                            let _ = connections.send(Ok::<_, io::Error>(Io(stream))).await;
                        }
                        Err(_) => {
                            seen.failed_handshakes.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        tokio::spawn(
            Server::builder()
                .add_service(AgentLinkServer::new(api.clone()))
                .add_service(EnrolmentServer::new(api))
                .serve_with_incoming(ReceiverStream::new(incoming)),
        );
        Self { authority, address, seen, sessions }
    }

    /// The next agent that connects.
    pub async fn session(&mut self) -> Session {
        tokio::time::timeout(PATIENCE, self.sessions.recv())
            .await
            .expect("an agent connects")
            .unwrap()
    }

    /// The next agent that connects, welcomed.
    pub async fn welcomed(&mut self, epoch: u64) -> Session {
        let mut session = self.session().await;
        session.welcome(epoch).await;
        session
    }

    /// Waits until somebody was turned away; then nobody else may have come in.
    pub async fn turned_away(&mut self) {
        let seen = Arc::clone(&self.seen);
        let some = || seen.failed_handshakes.load(Ordering::Relaxed) > 1;
        super::eventually("somebody is turned away twice", some).await;
        assert!(self.sessions.try_recv().is_err(), "a stranger came in");
    }

    pub fn token(&self) -> String {
        format!("dv1.h1.7.c2VjcmV0.{}", self.authority.pin())
    }
}

impl Session {
    pub async fn welcome(&mut self, epoch: u64) {
        self.epoch = epoch;
        let welcome = v1::Welcome { heartbeat_ms: 100, host: "h1".to_owned(), spread_ms: 0 };
        self.say(to_agent::Message::Welcome(welcome)).await;
    }

    pub async fn say(&self, message: to_agent::Message) {
        let _ = self.orders.send(Ok(ToAgent { epoch: self.epoch, message: Some(message) })).await;
    }

    pub async fn run(&self, id: &str, argv: &[String], repeatable: bool) {
        let timeout = Span::from_secs(60);
        self.command(id, Operation::Run { argv: argv.to_vec(), timeout, repeatable }).await;
    }

    pub async fn command(&self, id: &str, operation: Operation) {
        let given = self.given;
        let command = Command { id: id.parse().unwrap(), attempt: 1, given, operation };
        let command_json = dv_proto::to_json(&command);
        self.say(to_agent::Message::Command(v1::Command { command_json, ..Default::default() }))
            .await;
    }

    pub async fn cancel(&self, id: &str) {
        self.say(to_agent::Message::Cancel(v1::Cancel { command: id.to_owned() })).await;
    }

    pub async fn acknowledge(&self, id: &str) {
        self.say(to_agent::Message::Acknowledge(v1::Acknowledge { command: id.to_owned() })).await;
    }

    pub async fn inspect(
        &mut self,
        subjects: &[Subject],
        probing: Option<&Probing>,
    ) -> (Vec<Finding>, Option<bool>) {
        let subjects_json = dv_proto::to_json(&subjects);
        let probing_json = probing.map(dv_proto::to_json).unwrap_or_default();
        self.say(to_agent::Message::Inspect(v1::Inspect {
            request: 5,
            subjects_json,
            probing_json,
        }))
        .await;
        let facts = self.hear(|message| match message {
            from_agent::Message::Facts(facts) => Some(facts),
            _ => None,
        });
        let facts = facts.await;
        assert_eq!(facts.request, 5);
        (dv_proto::from_json("findings_json", &facts.findings_json).unwrap(), facts.healthy)
    }

    /// The next message that `wanted` is looking for.
    pub async fn hear<T>(&mut self, wanted: impl Fn(from_agent::Message) -> Option<T>) -> T {
        let hear = async {
            loop {
                let word =
                    self.words.message().await.expect("the link holds").expect("the link holds");
                if let Some(found) = word.message.and_then(&wanted) {
                    return found;
                }
            }
        };
        tokio::time::timeout(PATIENCE, hear).await.expect("the agent says it")
    }

    /// The next outcome, as it is on the wire.
    pub async fn outcome_json(&mut self) -> String {
        self.hear(|message| match message {
            from_agent::Message::Outcome(outcome) => Some(outcome.outcome_json),
            _ => None,
        })
        .await
    }

    pub async fn outcome(&mut self) -> Outcome {
        dv_proto::from_json("outcome_json", &self.outcome_json().await).unwrap()
    }

    pub async fn heartbeat(&mut self) -> u32 {
        self.hear(|message| match message {
            from_agent::Message::Heartbeat(heartbeat) => Some(heartbeat.unacknowledged),
            _ => None,
        })
        .await
    }

    /// Waits until the agent has ended the link.
    pub async fn ended(mut self) {
        let end = async { while let Ok(Some(_)) = self.words.message().await {} };
        tokio::time::timeout(PATIENCE, end).await.expect("the agent ends the link");
    }
}

#[tonic::async_trait]
impl AgentLink for Api {
    type LinkStream = ReceiverStream<Result<ToAgent, Status>>;

    async fn link(
        &self,
        request: Request<Streaming<FromAgent>>,
    ) -> Result<Response<Self::LinkStream>, Status> {
        let certificate = certificate(&request)?;
        let mut words = request.into_inner();
        let first = words.message().await?.and_then(|word| word.message);
        let Some(from_agent::Message::Hello(hello)) = first else {
            return Err(Status::invalid_argument("no Hello"));
        };
        let (orders, stream) = mpsc::channel(16);
        let session = Session { hello, certificate, epoch: 0, given: None, orders, words };
        self.sessions.send(session).await.map_err(|_| Status::unavailable("the test is over"))?;
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn renew(&self, request: Request<RenewRequest>) -> Result<Response<RenewReply>, Status> {
        certificate(&request)?;
        *self.seen.renewals.lock().unwrap() += 1;
        let certificate_pem = self.authority.sign_request("h1", &request.into_inner().csr_pem);
        Ok(Response::new(RenewReply { certificate_pem, ca_pem: self.authority.ca().to_owned() }))
    }
}

#[tonic::async_trait]
impl Enrolment for Api {
    async fn enrol(&self, request: Request<EnrolRequest>) -> Result<Response<EnrolReply>, Status> {
        let EnrolRequest { token, csr_pem, host } = request.into_inner();
        let mut tokens = self.seen.tokens.lock().unwrap();
        if tokens.contains(&token) {
            return Err(Status::permission_denied("this token was used before; make a new one"));
        }
        tokens.push(token);
        let certificate_pem = self.authority.sign_request(&host, &csr_pem);
        Ok(Response::new(EnrolReply {
            certificate_pem,
            ca_pem: self.authority.ca().to_owned(),
            host,
            lineage: self.seen.lineage.lock().unwrap().clone(),
        }))
    }
}

fn certificate<T>(request: &Request<T>) -> Result<Vec<u8>, Status> {
    let shown = request.extensions().get::<Option<Vec<u8>>>().cloned().flatten();
    shown.ok_or_else(|| Status::unauthenticated("no certificate was shown"))
}

fn tls(authority: &Authority) -> ServerConfig {
    let (chain, key) = authority.server();
    let chain: Vec<_> =
        CertificateDer::pem_slice_iter(chain.as_bytes()).map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.ca().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .allow_unauthenticated()
        .build()
        .unwrap();
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

/// A connection that tells who is at its other end.
struct Io(TlsStream<TcpStream>);

impl Connected for Io {
    type ConnectInfo = Option<Vec<u8>>;

    fn connect_info(&self) -> Self::ConnectInfo {
        let (_, connection) = self.0.get_ref();
        Some(connection.peer_certificates()?.first()?.to_vec())
    }
}

impl AsyncRead for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

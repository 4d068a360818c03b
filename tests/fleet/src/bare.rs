//! What there is to compare with: a tonic server that does nothing but echo, over connections like the coordinator's
//! (the same certificates, TLS 1.3, no tickets, one stream of the same service for each host).
//!
//! It is a process of its own: `dv-fleet bare --identity DIR`. It says its address on its standard output; `go` on its
//! standard input sends one command to all, and when every one was echoed it says how many and how long that took.

use std::{
    convert::Infallible,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    pin::Pin,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use dv_proto::v1::{self, FromAgent, ToAgent, from_agent, to_agent};
use futures_util::{Stream, StreamExt as _, future::BoxFuture, stream};
use http::uri::PathAndQuery;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{NoServerSessionStorage, WebPkiClientVerifier},
    version::TLS13,
};
use tokio::{
    io::AsyncBufReadExt as _,
    net::TcpListener,
    sync::{Notify, mpsc},
};
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Request, Response, Status, Streaming,
    body::Body,
    server::{NamedService, StreamingService},
    transport::Server,
};
use tonic_prost::ProstCodec;
use tower::Service;

use crate::{Result, agent::Target, host::Host};

type Orders = mpsc::Sender<std::result::Result<ToAgent, Status>>;

/// All streams, and how many have echoed.
#[derive(Clone, Default)]
struct Echo(Arc<State>);

#[derive(Default)]
struct State {
    streams: Mutex<Vec<Orders>>,
    echoed: AtomicUsize,
    all: Notify,
}

impl StreamingService<FromAgent> for Echo {
    type Response = ToAgent;
    type ResponseStream = Pin<Box<dyn Stream<Item = std::result::Result<ToAgent, Status>> + Send>>;
    type Future = BoxFuture<'static, std::result::Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Streaming<FromAgent>>) -> Self::Future {
        let mut words = request.into_inner();
        let (orders, waiting) = mpsc::channel(2);
        self.0.streams.lock().unwrap_or_else(PoisonError::into_inner).push(orders);
        let state = Arc::clone(&self.0);
        tokio::spawn(async move {
            while let Ok(Some(word)) = words.message().await {
                if let Some(from_agent::Message::Outcome(_)) = word.message {
                    state.echoed.fetch_add(1, Ordering::AcqRel);
                    state.all.notify_one();
                }
            }
        });
        let welcome = to_agent::Message::Welcome(v1::Welcome::default());
        let welcome = ToAgent { epoch: 1, message: Some(welcome) };
        let orders = stream::iter([Ok(welcome)]).chain(ReceiverStream::new(waiting));
        Box::pin(async move { Ok(Response::new(Box::pin(orders) as Self::ResponseStream)) })
    }
}

/// With tonic's own codec and settings.
impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, std::result::Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::result::Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let echo = self.clone();
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(ProstCodec::<ToAgent, FromAgent>::default());
            Ok(grpc.streaming(echo, request).await)
        })
    }
}

impl NamedService for Echo {
    const NAME: &'static str = "bare.Echo";
}

/// Serves until standard input ends.
pub async fn serve(identity: &Path) -> Result<()> {
    let tls = TlsAcceptor::from(Arc::new(server_tls(identity)?));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let (ready, connections) = mpsc::channel::<std::io::Result<_>>(256);
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let (tls, ready) = (tls.clone(), ready.clone());
            tokio::spawn(async move {
                tcp.set_nodelay(true)?;
                let _ = ready.send(Ok(tls.accept(tcp).await?)).await;
                Ok::<_, std::io::Error>(())
            });
        }
    });
    let echo = Echo::default();
    let serving = Server::builder()
        .add_service(echo.clone())
        .serve_with_incoming(ReceiverStream::new(connections));
    tokio::spawn(serving);
    let mut said = tokio::io::BufReader::new(tokio::io::stdin()).lines();
    while let Some(text) = said.next_line().await? {
        let began = Instant::now();
        let streams = echo.0.streams.lock().unwrap_or_else(PoisonError::into_inner).clone();
        echo.0.echoed.store(0, Ordering::Release);
        for stream in &streams {
            let command = v1::Command { command_json: text.clone(), ..Default::default() };
            let command = ToAgent { epoch: 1, message: Some(to_agent::Message::Command(command)) };
            let _ = stream.send(Ok(command)).await;
        }
        while echo.0.echoed.load(Ordering::Acquire) < streams.len() {
            echo.0.all.notified().await;
        }
        println!("{} {}", streams.len(), began.elapsed().as_secs_f64());
    }
    Ok(())
}

/// The coordinator's own certificate and settings.
fn server_tls(identity: &Path) -> Result<ServerConfig> {
    let pem = std::fs::read(identity.join("server.pem"))?;
    let chain = CertificateDer::pem_slice_iter(&pem).collect::<std::result::Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(&pem)?;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(identity.join("ca.pem"))?)?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)?;
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

/// The other end: answers each command with its own text.
pub(crate) async fn answer(
    host: &Host,
    target: &Target,
    connected: mpsc::Sender<()>,
) -> Result<()> {
    let (words, outbound) = mpsc::channel(2);
    let hello = from_agent::Message::Hello(v1::Hello::default());
    words.try_send(FromAgent { message: Some(hello) })?;
    let mut client = tonic::client::Grpc::new(target.channel(host)?);
    client.ready().await?;
    let codec = ProstCodec::<FromAgent, ToAgent>::default();
    let path = PathAndQuery::from_static("/bare.Echo/Link");
    let request = Request::new(ReceiverStream::new(outbound));
    let mut inbound = client.streaming(request, path, codec).await?.into_inner();
    while let Some(order) = inbound.message().await? {
        match order.message {
            Some(to_agent::Message::Command(command)) => {
                let outcome = v1::Outcome { outcome_json: command.command_json };
                let message = Some(from_agent::Message::Outcome(outcome));
                words.send(FromAgent { message }).await?;
            }
            _ => connected.send(()).await?,
        }
    }
    Ok(())
}

/// The bare server, in a process of its own. Killed when dropped.
pub struct Bare {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    /// Where it listens.
    pub address: String,
}

impl Bare {
    /// Starts `program`, which is this one, with the certificates in `identity`.
    pub fn start(program: &Path, identity: &Path) -> Result<Self> {
        let mut child = Command::new(program)
            .args(["bare", "--identity"])
            .arg(identity)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdin = child.stdin.take().ok_or("it has a standard input")?;
        let stdout = child.stdout.take().ok_or("it has a standard output")?;
        let mut bare =
            Self { child, stdin, stdout: BufReader::new(stdout), address: String::new() };
        bare.address = bare.line()?;
        Ok(bare)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        match line.trim() {
            "" => Err("the bare server has ended".into()),
            line => Ok(line.to_owned()),
        }
    }

    /// Sends `text` to all, and waits until all have echoed it: to how many, and how long that took.
    pub fn echo(&mut self, text: &str) -> Result<(usize, Duration)> {
        writeln!(self.stdin, "{text}")?;
        let line = self.line()?;
        let (count, seconds) = line.split_once(' ').ok_or("a count and a time")?;
        Ok((count.parse()?, Duration::from_secs_f64(seconds.parse()?)))
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

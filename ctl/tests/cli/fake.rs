//! A coordinator that plays what a test wrote, over real mutual TLS.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use dv_proto::{
    to_json, v1,
    v1::{
        control_server::{Control, ControlServer},
        watch_rollout_reply::Message,
    },
};
use dv_types::{Plan, Record, Release, Report, release::ReleaseReport};
use tokio::{io::copy_bidirectional, net::TcpListener, runtime::Runtime, sync::broadcast};
use tokio_rustls::TlsAcceptor;
use tokio_stream::{Stream, StreamExt as _, wrappers::ReceiverStream};
use tonic::{Request, Response, Status};

use crate::trust::Trust;

/// What the stream of a rollout does next.
#[derive(Clone)]
pub(crate) enum Beat {
    Record(Record),
    Report(Box<Report>),
    Progress {
        host: String,
        text: String,
    },
    /// Every connection is cut.
    Cut,
    /// Every connection is cut, and no new one is taken.
    Gone,
    /// Nothing more comes, and the stream stays.
    Silence,
}

/// A rollout that can be looked at.
pub(crate) struct Scene {
    pub(crate) plan: Plan,
    pub(crate) beats: Vec<Beat>,
    /// What is answered to each look; the last one again and again.
    pub(crate) looks: VecDeque<Report>,
}

impl Scene {
    pub(crate) fn new(plan: Plan, records: Vec<Record>, report: Report) -> Self {
        let beats = records.into_iter().map(Beat::Record).collect();
        Self { plan, beats, looks: VecDeque::from([report]) }
    }

    pub(crate) fn beat(mut self, beat: Beat) -> Self {
        self.beats.push(beat);
        self
    }
}

/// The script: what is answered, and what was asked.
#[derive(Default)]
pub(crate) struct Script {
    pub(crate) scenes: Mutex<BTreeMap<String, Scene>>,
    pub(crate) list: Mutex<Vec<Report>>,
    pub(crate) hosts: Mutex<Vec<v1::Host>>,
    pub(crate) operators: Mutex<Vec<v1::Operator>>,
    pub(crate) authority: Mutex<v1::GetAuthorityReply>,
    /// Whether the operator's certificate is called old.
    pub(crate) is_old: AtomicBool,
    /// What is answered to each look at a release; the last one again and again.
    pub(crate) releases: Mutex<VecDeque<ReleaseReport>>,
    /// The release of which what would be taken back is part.
    pub(crate) part_of: Mutex<String>,
    /// What every call is refused with.
    pub(crate) refusal: Mutex<Option<Status>>,
    /// Whether a call that changes something is cut off before its answer.
    pub(crate) cut_answers: AtomicBool,
    /// What was asked, in words.
    pub(crate) asked: Mutex<Vec<String>>,
    gone: AtomicBool,
}

/// The coordinator, and the file by which `dvctl` finds it.
pub(crate) struct Fake {
    pub(crate) script: Arc<Script>,
    pub(crate) address: SocketAddr,
    pub(crate) trust: Arc<Trust>,
    // The server ends with it.
    _runtime: Runtime,
}

impl Fake {
    pub(crate) fn new() -> Self {
        Self::with(Trust::new())
    }

    pub(crate) fn with(trust: impl Into<Arc<Trust>>) -> Self {
        let trust = trust.into();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let script = Arc::new(Script::default());
        let (cut, _) = broadcast::channel(4);
        let service =
            Service { script: Arc::clone(&script), trust: Arc::clone(&trust), cut: cut.clone() };
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(trust.server()));
        let incoming = connections(listener, acceptor, Arc::clone(&script), cut, &runtime);
        runtime.spawn(
            tonic::transport::Server::builder()
                .add_service(ControlServer::new(service))
                .serve_with_incoming(incoming),
        );
        Self { script, address, trust, _runtime: runtime }
    }

    pub(crate) fn scene(&self, id: &str, scene: Scene) {
        self.script.scenes.lock().unwrap().insert(id.to_owned(), scene);
    }

    /// The context file's text for an operator of this coordinator.
    pub(crate) fn context(&self) -> String {
        self.trust.context(&self.address.to_string())
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.script.asked.lock().unwrap().clone()
    }
}

/// Plain streams for tonic, with TLS behind them, that can all be cut.
fn connections(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    script: Arc<Script>,
    cut: broadcast::Sender<()>,
    runtime: &Runtime,
) -> impl Stream<Item = std::io::Result<tokio::io::DuplexStream>> + use<> {
    let (sender, receiver) = tokio::sync::mpsc::channel(4);
    runtime.spawn(async move {
        loop {
            let Ok((tcp, _)) = listener.accept().await else { return };
            if script.gone.load(Ordering::SeqCst) {
                continue;
            }
            let (acceptor, sender, mut cut) = (acceptor.clone(), sender.clone(), cut.subscribe());
            tokio::spawn(async move {
                let Ok(mut tls) = acceptor.accept(tcp).await else { return };
                let (mut ours, theirs) = tokio::io::duplex(1 << 16);
                if sender.send(Ok(theirs)).await.is_ok() {
                    tokio::select! {
                        _ = copy_bidirectional(&mut tls, &mut ours) => {}
                        _ = cut.recv() => {}
                    }
                }
            });
        }
    });
    ReceiverStream::new(receiver)
}

struct Service {
    script: Arc<Script>,
    trust: Arc<Trust>,
    cut: broadcast::Sender<()>,
}

impl Service {
    fn asked(&self, what: String) -> Result<(), Status> {
        self.script.asked.lock().unwrap().push(what);
        match &*self.script.refusal.lock().unwrap() {
            Some(refusal) => Err(refusal.clone()),
            None => Ok(()),
        }
    }

    /// The connection may break before the answer to a call that changed something.
    async fn answer<T>(&self, reply: T) -> Result<Response<T>, Status> {
        if self.script.cut_answers.load(Ordering::SeqCst) {
            let _ = self.cut.send(());
            std::future::pending::<()>().await;
        }
        Ok(Response::new(reply))
    }
}

fn not_found(id: &str) -> Status {
    Status::not_found(format!("there is no rollout {id}"))
}

fn members(release: &Release) -> String {
    let members = release.members.iter().map(|m| format!("{}={}", m.service(), m.version));
    format!("{} {}", release.name, members.collect::<Vec<_>>().join(" "))
}

#[tonic::async_trait]
impl Control for Service {
    async fn plan_rollout(
        &self,
        request: Request<v1::PlanRolloutRequest>,
    ) -> Result<Response<v1::PlanRolloutReply>, Status> {
        self.asked(format!("plan {}", request.get_ref().version))?;
        let scenes = self.script.scenes.lock().unwrap();
        let plan = &scenes.get("plan").ok_or_else(|| not_found("plan"))?.plan;
        let (plan_json, hash, release) = (to_json(plan), plan.hash(), String::new());
        Ok(Response::new(v1::PlanRolloutReply { plan_json, hash, release }))
    }

    async fn plan_release(
        &self,
        request: Request<v1::PlanReleaseRequest>,
    ) -> Result<Response<v1::PlanReleaseReply>, Status> {
        let release: Release =
            dv_proto::from_json("release_json", &request.get_ref().release_json).unwrap();
        self.asked(format!("plan release {}", members(&release)))?;
        let scenes = self.script.scenes.lock().unwrap();
        let plan = &scenes.get("plan").ok_or_else(|| not_found("plan"))?.plan;
        let plan_json = release.members.iter().map(|_| to_json(plan)).collect();
        Ok(Response::new(v1::PlanReleaseReply { plan_json, hash: "5".repeat(64) }))
    }

    async fn start_release(
        &self,
        request: Request<v1::StartReleaseRequest>,
    ) -> Result<Response<v1::StartReleaseReply>, Status> {
        let asked = request.into_inner();
        let release: Release = dv_proto::from_json("release_json", &asked.release_json).unwrap();
        self.asked(format!(
            "start release {} force={} reason={:?} plan={:?}",
            members(&release),
            asked.force,
            asked.reason,
            asked.plan_hash
        ))?;
        self.answer(v1::StartReleaseReply { release: "rel7".to_owned() }).await
    }

    async fn roll_back_release(
        &self,
        request: Request<v1::RollBackReleaseRequest>,
    ) -> Result<Response<v1::RollBackReleaseReply>, Status> {
        let asked = request.into_inner();
        self.asked(format!("rollback {} reason={:?}", asked.release, asked.reason))?;
        Ok(Response::new(v1::RollBackReleaseReply {}))
    }

    async fn abort_release(
        &self,
        request: Request<v1::AbortReleaseRequest>,
    ) -> Result<Response<v1::AbortReleaseReply>, Status> {
        let asked = request.into_inner();
        self.asked(format!("abort {} reason={:?}", asked.release, asked.reason))?;
        self.answer(v1::AbortReleaseReply {}).await
    }

    async fn get_release(
        &self,
        request: Request<v1::GetReleaseRequest>,
    ) -> Result<Response<v1::GetReleaseReply>, Status> {
        let id = request.into_inner().release;
        self.asked(format!("get {id}"))?;
        let mut looks = self.script.releases.lock().unwrap();
        let report = if looks.len() > 1 { looks.pop_front() } else { looks.front().cloned() };
        let report = report.ok_or_else(|| not_found(&id))?;
        Ok(Response::new(v1::GetReleaseReply { report_json: to_json(&report) }))
    }

    async fn list_releases(
        &self,
        request: Request<v1::ListReleasesRequest>,
    ) -> Result<Response<v1::ListReleasesReply>, Status> {
        self.asked(format!("list releases {:?}", request.into_inner().service))?;
        let report_json = self.script.releases.lock().unwrap().iter().map(to_json).collect();
        Ok(Response::new(v1::ListReleasesReply { report_json }))
    }

    async fn start_rollout(
        &self,
        request: Request<v1::StartRolloutRequest>,
    ) -> Result<Response<v1::StartRolloutReply>, Status> {
        let v1::StartRolloutRequest { version, force, reason, plan_hash, overrides, .. } =
            request.into_inner();
        let overrides =
            if overrides.is_empty() { String::new() } else { format!(" overrides={overrides:?}") };
        self.asked(format!(
            "start {version} force={force} reason={reason:?} plan={plan_hash:?}{overrides}"
        ))?;
        self.answer(v1::StartRolloutReply { rollout: "r42".to_owned() }).await
    }

    async fn operate_rollout(
        &self,
        request: Request<v1::OperateRolloutRequest>,
    ) -> Result<Response<v1::OperateRolloutReply>, Status> {
        let v1::OperateRolloutRequest { rollout, verb_json, reason } = request.into_inner();
        self.asked(format!("{rollout} {verb_json} reason={reason:?}"))?;
        self.answer(v1::OperateRolloutReply {}).await
    }

    async fn plan_roll_back(
        &self,
        request: Request<v1::RollBackRequest>,
    ) -> Result<Response<v1::PlanRolloutReply>, Status> {
        let asked = request.into_inner();
        self.asked(format!("plan rollback {}{}", asked.rollout, asked.service))?;
        let scenes = self.script.scenes.lock().unwrap();
        let plan = match scenes.get("r43") {
            Some(scene) => scene.plan.clone(),
            None => crate::sample::reversal(),
        };
        let (plan_json, hash) = (to_json(&plan), plan.hash());
        let release = self.script.part_of.lock().unwrap().clone();
        Ok(Response::new(v1::PlanRolloutReply { plan_json, hash, release }))
    }

    async fn roll_back(
        &self,
        request: Request<v1::RollBackRequest>,
    ) -> Result<Response<v1::RollBackReply>, Status> {
        let v1::RollBackRequest {
            rollout,
            service,
            all_at_once,
            reason,
            code_only,
            accept_data_loss,
            restore_backup,
            ..
        } = request.into_inner();
        let ways = [
            (code_only, " code_only"),
            (accept_data_loss, " accept_data_loss"),
            (restore_backup, " restore_backup"),
        ];
        let ways: String = ways.iter().filter(|(way, _)| *way).map(|(_, name)| *name).collect();
        self.asked(format!(
            "rollback rollout={rollout:?} service={service:?} all_at_once={all_at_once} reason={reason:?}{ways}"
        ))?;
        self.answer(v1::RollBackReply { rollout: "r43".to_owned(), of: "r42".to_owned() }).await
    }

    async fn get_rollout(
        &self,
        request: Request<v1::GetRolloutRequest>,
    ) -> Result<Response<v1::GetRolloutReply>, Status> {
        let id = request.into_inner().rollout;
        self.asked(format!("get {id}"))?;
        let mut scenes = self.script.scenes.lock().unwrap();
        let scene = scenes.get_mut(&id).ok_or_else(|| not_found(&id))?;
        let report = if scene.looks.len() > 1 {
            scene.looks.pop_front()
        } else {
            scene.looks.front().cloned()
        };
        let report_json = to_json(&report.unwrap());
        Ok(Response::new(v1::GetRolloutReply { report_json, plan_json: to_json(&scene.plan) }))
    }

    type WatchRolloutStream =
        Pin<Box<dyn Stream<Item = Result<v1::WatchRolloutReply, Status>> + Send>>;

    async fn watch_rollout(
        &self,
        request: Request<v1::WatchRolloutRequest>,
    ) -> Result<Response<Self::WatchRolloutStream>, Status> {
        let v1::WatchRolloutRequest { rollout: id, after } = request.into_inner();
        self.asked(format!("watch {id} after {after}"))?;
        let beats: Vec<Beat> = {
            let mut scenes = self.script.scenes.lock().unwrap();
            let scene = scenes.get_mut(&id).ok_or_else(|| not_found(&id))?;
            // A cut happens once: what comes after it is for the next stream.
            let until = scene.beats.iter().position(|b| matches!(b, Beat::Cut | Beat::Gone));
            let beats = match until {
                Some(at) => {
                    let now = scene.beats[..=at].to_vec();
                    scene.beats.remove(at);
                    now
                }
                None => scene.beats.clone(),
            };
            beats
                .into_iter()
                .filter(|b| !matches!(b, Beat::Record(r) if r.number <= after))
                .collect()
        };
        let (script, cut) = (Arc::clone(&self.script), self.cut.clone());
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        tokio::spawn(async move {
            for beat in beats {
                let message = match beat {
                    Beat::Record(record) => Message::RecordJson(to_json(&record)),
                    Beat::Report(report) => Message::ReportJson(to_json(&report)),
                    Beat::Progress { host, text } => {
                        Message::Progress(v1::HostProgress { host, command: String::new(), text })
                    }
                    Beat::Silence => std::future::pending().await,
                    Beat::Cut | Beat::Gone => {
                        script.gone.store(matches!(beat, Beat::Gone), Ordering::SeqCst);
                        let _ = cut.send(());
                        return;
                    }
                };
                let reply = v1::WatchRolloutReply { message: Some(message) };
                if sender.send(Ok(reply)).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver).map(|reply| reply))))
    }

    async fn list_rollouts(
        &self,
        request: Request<v1::ListRolloutsRequest>,
    ) -> Result<Response<v1::ListRolloutsReply>, Status> {
        self.asked(format!("list {:?}", request.into_inner().service))?;
        let report_json = self.script.list.lock().unwrap().iter().map(to_json).collect();
        Ok(Response::new(v1::ListRolloutsReply { report_json, dropped: 0 }))
    }

    async fn list_hosts(
        &self,
        _: Request<v1::ListHostsRequest>,
    ) -> Result<Response<v1::ListHostsReply>, Status> {
        self.asked("hosts".to_owned())?;
        let hosts = self.script.hosts.lock().unwrap().clone();
        let mut reply = Response::new(v1::ListHostsReply { hosts });
        if self.script.is_old.load(Ordering::SeqCst) {
            reply.metadata_mut().insert(dv_proto::RENEW, "1".parse().unwrap());
        }
        Ok(reply)
    }

    async fn create_token(
        &self,
        request: Request<v1::CreateTokenRequest>,
    ) -> Result<Response<v1::CreateTokenReply>, Status> {
        let v1::CreateTokenRequest { host, labels, ttl_seconds } = request.into_inner();
        let labels: BTreeMap<_, _> = labels.into_iter().collect();
        self.asked(format!("token {host} {labels:?} {ttl_seconds}s"))?;
        let (token, expires) = (format!("dv1.{host}.secret"), "2026-01-02T03:34:05Z".to_owned());
        self.answer(v1::CreateTokenReply { token, expires }).await
    }

    async fn revoke_host(
        &self,
        request: Request<v1::RevokeHostRequest>,
    ) -> Result<Response<v1::RevokeHostReply>, Status> {
        let v1::RevokeHostRequest { host, reason } = request.into_inner();
        self.asked(format!("revoke host {host}: {reason}"))?;
        self.answer(v1::RevokeHostReply { was_connected: true }).await
    }

    async fn list_operators(
        &self,
        _: Request<v1::ListOperatorsRequest>,
    ) -> Result<Response<v1::ListOperatorsReply>, Status> {
        self.asked("operators".to_owned())?;
        let operators = self.script.operators.lock().unwrap().clone();
        Ok(Response::new(v1::ListOperatorsReply { operators }))
    }

    async fn add_operator(
        &self,
        request: Request<v1::AddOperatorRequest>,
    ) -> Result<Response<v1::AddOperatorReply>, Status> {
        let v1::AddOperatorRequest { name, csr_pem } = request.into_inner();
        self.asked(format!("add operator {name}"))?;
        let (certificate_pem, ca_pem) = self.trust.certify(&csr_pem);
        self.answer(v1::AddOperatorReply { certificate_pem, ca_pem }).await
    }

    async fn revoke_operator(
        &self,
        request: Request<v1::RevokeOperatorRequest>,
    ) -> Result<Response<v1::RevokeOperatorReply>, Status> {
        let v1::RevokeOperatorRequest { name, reason } = request.into_inner();
        self.asked(format!("revoke operator {name}: {reason}"))?;
        self.answer(v1::RevokeOperatorReply {}).await
    }

    async fn renew_operator(
        &self,
        request: Request<v1::RenewOperatorRequest>,
    ) -> Result<Response<v1::RenewOperatorReply>, Status> {
        self.asked("renew".to_owned())?;
        let (certificate_pem, ca_pem) = self.trust.certify(&request.into_inner().csr_pem);
        Ok(Response::new(v1::RenewOperatorReply { certificate_pem, ca_pem }))
    }

    async fn get_authority(
        &self,
        _: Request<v1::GetAuthorityRequest>,
    ) -> Result<Response<v1::GetAuthorityReply>, Status> {
        self.asked("authority".to_owned())?;
        Ok(Response::new(self.script.authority.lock().unwrap().clone()))
    }

    async fn rotate_authority(
        &self,
        _: Request<v1::RotateAuthorityRequest>,
    ) -> Result<Response<v1::GetAuthorityReply>, Status> {
        self.asked("rotate".to_owned())?;
        let authority = self.script.authority.lock().unwrap().clone();
        self.answer(authority).await
    }

    async fn retire_authority(
        &self,
        request: Request<v1::RetireAuthorityRequest>,
    ) -> Result<Response<v1::GetAuthorityReply>, Status> {
        self.asked(format!("retire {}", request.into_inner().force))?;
        let authority = self.script.authority.lock().unwrap().clone();
        self.answer(authority).await
    }
}

//! Whom the coordinator lets in no more, and how one authority follows another while everything goes on.

use dv_proto::{
    dial,
    v1::{
        self, agent_link_client::AgentLinkClient, control_client::ControlClient,
        enrolment_client::EnrolmentClient,
    },
};
use dv_types::{
    Span, Timestamp,
    record::Verdict,
    report::{Phase, State},
};
use rcgen::KeyPair;
use tonic::{Code, Status, transport::Channel};

use super::support::{
    Agent, HostIdentity, Running, Site, World, csr, eventually, manifest, operator::Operator as _,
};

fn revoke(host: &str) -> v1::RevokeHostRequest {
    v1::RevokeHostRequest { host: host.to_owned(), reason: "stolen".to_owned() }
}

/// TLS did not come about.
fn broke_off(status: &Status) -> bool {
    std::error::Error::source(status).is_some()
}

async fn host(site: &Site, name: &str) -> v1::Host {
    let hosts = site.operator().list_hosts(v1::ListHostsRequest {}).await.unwrap();
    hosts.into_inner().hosts.into_iter().find(|host| host.name == name).unwrap()
}

async fn connected(site: &Site, name: &str) {
    eventually("it is in contact", async || host(site, name).await.connected.then_some(())).await;
}

/// What `renew` says to this certificate.
async fn renew(site: &Site, identity: &HostIdentity) -> Result<v1::RenewReply, Status> {
    let request = v1::RenewRequest { csr_pem: csr(&KeyPair::generate().unwrap()) };
    site.link(identity).renew(request).await.map(tonic::Response::into_inner)
}

#[tokio::test]
async fn a_host_that_is_revoked_is_cut_off_at_once_and_let_in_by_a_new_token_only() {
    let mut site = Site::new();
    let running = site.start().await;
    let world = World::default();
    let (_agent, identity) = Agent::join(&site, &world, "web1").await;
    connected(&site, "web1").await;
    // Made before, for whoever stole the host's disk.
    let early = site.token("web1", &[]).await;

    let nobody = site.operator().revoke_host(revoke("web2")).await.unwrap_err();
    assert_eq!(nobody.code(), Code::NotFound);
    let without = v1::RevokeHostRequest { host: "web1".to_owned(), reason: " ".to_owned() };
    let without = site.operator().revoke_host(without).await.unwrap_err();
    assert_eq!(without.code(), Code::InvalidArgument);

    assert!(site.operator().revoke_host(revoke("web1")).await.unwrap().into_inner().was_connected);
    let cut = async || (!host(&site, "web1").await.connected).then_some(());
    eventually("its stream is cut", cut).await;
    let shown = host(&site, "web1").await.revoked.unwrap();
    assert_eq!((shown.by.as_str(), shown.reason.as_str()), ("admin", "stolen"));
    let refused = renew(&site, &identity).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert!(refused.message().contains("revoked by admin"), "{refused}");
    let refused = site.enrol_with(&early, "web1").await.err().unwrap();
    assert!(refused.message().contains("before its host was revoked"), "{refused}");

    // Also after a restart.
    running.stop().await;
    let _running = site.start().await;
    assert_eq!(renew(&site, &identity).await.unwrap_err().code(), Code::PermissionDenied);

    let new = site.enrol("web1", &[]).await;
    renew(&site, &new).await.unwrap();
    assert!(host(&site, "web1").await.revoked.is_none());
    assert_eq!(renew(&site, &identity).await.unwrap_err().code(), Code::PermissionDenied);
}

#[tokio::test]
async fn a_host_that_is_revoked_is_no_part_of_a_plan() {
    let mut site = Site::new();
    let _running = site.start().await;
    let _agents = super::rollout::fleet(&site, &World::default(), 3).await;
    let plan = async || {
        let request = v1::PlanRolloutRequest {
            manifest_json: dv_proto::to_json(&manifest(|_| ())),
            version: "1.0".to_owned(),
        };
        site.operator().plan_rollout(request).await.unwrap().into_inner().plan_json
    };
    let name = host_names(&site).await.remove(0);
    assert!(plan().await.contains(&name));
    site.operator().revoke_host(revoke(&name)).await.unwrap();
    assert!(!plan().await.contains(&format!("\"{name}\"")));
}

async fn host_names(site: &Site) -> Vec<String> {
    let hosts = site.operator().list_hosts(v1::ListHostsRequest {}).await.unwrap();
    hosts.into_inner().hosts.into_iter().map(|host| host.name).collect()
}

#[tokio::test]
async fn a_token_gives_its_labels_and_no_others() {
    let mut site = Site::new();
    let _running = site.start().await;
    // The host says nothing of labels: there is no way to ask for others.
    site.enrol("web1", &[("role", "web")]).await;
    let labels = host(&site, "web1").await.labels;
    assert_eq!(labels.into_iter().collect::<Vec<_>>(), [("role".to_owned(), "web".to_owned())]);
    // Only a new token changes them.
    let identity = site.enrol("web1", &[("role", "db")]).await;
    renew(&site, &identity).await.unwrap();
    assert_eq!(host(&site, "web1").await.labels["role"], "db");
}

/// A further operator, over a connection of its own.
async fn operator(site: &Site, name: &str) -> (ControlClient<Channel>, HostIdentity) {
    let key = KeyPair::generate().unwrap();
    let request = v1::AddOperatorRequest { name: name.to_owned(), csr_pem: csr(&key) };
    let reply = site.operator().add_operator(request).await.unwrap().into_inner();
    let identity = HostIdentity { certificate: reply.certificate_pem, key: key.serialize_pem() };
    (ControlClient::new(site.channel_as(&identity)), identity)
}

async fn hosts(client: &mut ControlClient<Channel>) -> Result<(), Status> {
    client.list_hosts(v1::ListHostsRequest {}).await.map(drop)
}

#[tokio::test]
async fn an_operator_that_is_revoked_is_refused_at_once_also_what_it_watches() {
    let mut site = Site::new();
    let running = site.start().await;
    let world = World::default();
    let _agents = super::rollout::fleet(&site, &world, 1).await;
    let (mut bob, identity) = operator(&site, "bob").await;
    hosts(&mut bob).await.unwrap();
    let name = host_names(&site).await.remove(0);
    world.close_gate(&name);
    let id = bob.begin(&manifest(|_| ()), "1.0").await.unwrap();
    let request = v1::WatchRolloutRequest { rollout: id, after: 0 };
    let mut watched = bob.watch_rollout(request).await.unwrap().into_inner();
    watched.message().await.unwrap().unwrap();

    let revoke = |name: &str| v1::RevokeOperatorRequest {
        name: name.to_owned(),
        reason: "has left".to_owned(),
    };
    let nobody = site.operator().revoke_operator(revoke("carol")).await.unwrap_err();
    assert_eq!(nobody.code(), Code::NotFound);
    site.operator().revoke_operator(revoke("bob")).await.unwrap();
    let refusal = loop {
        match watched.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the stream ended without a word"),
            Err(why) => break why,
        }
    };
    assert_eq!(refusal.code(), Code::PermissionDenied);
    assert!(refusal.message().contains("revoked by admin"), "{refusal}");
    let csr_pem = csr(&KeyPair::generate().unwrap());
    let renewed = bob.renew_operator(v1::RenewOperatorRequest { csr_pem }).await;
    assert_eq!(renewed.unwrap_err().code(), Code::PermissionDenied);
    world.open_gate(&name);

    // Others go on; and a restart forgets nothing.
    hosts(&mut site.operator()).await.unwrap();
    running.stop().await;
    let _running = site.start().await;
    let mut bob = ControlClient::new(site.channel_as(&identity));
    assert_eq!(hosts(&mut bob).await.unwrap_err().code(), Code::PermissionDenied);

    // Added again, the new certificate is good and the old one is not.
    let (mut new, _) = operator(&site, "bob").await;
    hosts(&mut new).await.unwrap();
    assert_eq!(hosts(&mut bob).await.unwrap_err().code(), Code::PermissionDenied);
}

#[tokio::test]
async fn operators_are_known_by_name_and_a_name_is_given_once() {
    let mut site = Site::new();
    let _running = site.start().await;
    let _bob = operator(&site, "bob").await;
    let known = async || {
        let all = site.operator().list_operators(v1::ListOperatorsRequest {}).await.unwrap();
        let all = all.into_inner().operators;
        let names: Vec<_> = all.iter().map(|one| (one.name.clone(), one.by.clone())).collect();
        let expected = [("admin", ""), ("bob", "admin")];
        let expected = expected.map(|(name, by)| (name.to_owned(), by.to_owned()));
        (names == expected).then_some(all)
    };
    let all = eventually("both are known", known).await;
    assert!(all.iter().all(|one| !one.certificate_until.is_empty()), "{all:?}");
    for (name, code) in [
        ("bob", Code::FailedPrecondition),
        ("", Code::InvalidArgument),
        ("a/b", Code::InvalidArgument),
    ] {
        let csr_pem = csr(&KeyPair::generate().unwrap());
        let request = v1::AddOperatorRequest { name: name.to_owned(), csr_pem };
        let refused = site.operator().add_operator(request).await.unwrap_err();
        assert_eq!(refused.code(), code, "{name:?}");
    }
}

/// A host, as an agent with the renewed certificate and the authorities that it was told.
struct Known {
    identity: HostIdentity,
    ca: String,
}

impl Known {
    async fn enrol(site: &Site, name: &str, token: &str) -> Result<Self, Status> {
        let key = KeyPair::generate().unwrap();
        let request =
            v1::EnrolRequest { token: token.to_owned(), csr_pem: csr(&key), host: name.to_owned() };
        let mut client = EnrolmentClient::new(site.stranger());
        let reply = client.enrol(request).await?.into_inner();
        let (certificate, key) = (reply.certificate_pem, key.serialize_pem());
        Ok(Self { identity: HostIdentity { certificate, key }, ca: reply.ca_pem })
    }

    fn channel(&self, site: &Site) -> Channel {
        let HostIdentity { certificate, key } = &self.identity;
        let shown = dial::Identity { certificate, key };
        dial::channel(&site.address(), dial::client_tls(&self.ca, Some(shown)).unwrap()).unwrap()
    }

    /// As it knows the fleet, and as the fleet knows it.
    async fn renew(&mut self, site: &Site) -> Result<(), Status> {
        let key = KeyPair::from_pem(&self.identity.key).unwrap();
        let mut client = AgentLinkClient::new(self.channel(site));
        let reply = client.renew(v1::RenewRequest { csr_pem: csr(&key) }).await?.into_inner();
        self.identity.certificate = reply.certificate_pem;
        self.ca = reply.ca_pem;
        Ok(())
    }

    /// The server, and nothing more, is trusted.
    async fn trusts(&self, site: &Site) -> bool {
        let config = dial::client_tls(&self.ca, None).unwrap();
        let channel = dial::channel(&site.address(), config).unwrap();
        let mut client = EnrolmentClient::new(channel);
        let refused = client.enrol(v1::EnrolRequest::default()).await.unwrap_err();
        !broke_off(&refused)
    }
}

async fn authority(site: &Site) -> Vec<v1::Authority> {
    let reply = site.operator().get_authority(v1::GetAuthorityRequest {}).await.unwrap();
    reply.into_inner().authorities
}

async fn rotate(site: &Site) {
    site.operator().rotate_authority(v1::RotateAuthorityRequest {}).await.unwrap();
}

async fn retire(site: &Site, force: bool) -> Result<(), Status> {
    site.operator().retire_authority(v1::RetireAuthorityRequest { force }).await.map(drop)
}

#[tokio::test]
async fn one_authority_follows_another_and_those_of_both_are_let_in_until_the_old_is_retired() {
    let mut site = Site::new();
    let running = site.start().await;
    let mut old = Known::enrol(&site, "web1", &site.token("web1", &[]).await).await.unwrap();
    let mut away = Known::enrol(&site, "web2", &site.token("web2", &[]).await).await.unwrap();
    let early = site.token("web3", &[]).await;
    let [first] = authority(&site).await.try_into().unwrap();
    assert_eq!(first.hosts, 2);

    rotate(&site).await;
    let again = site.operator().rotate_authority(v1::RotateAuthorityRequest {}).await;
    assert_eq!(again.unwrap_err().code(), Code::FailedPrecondition);
    let [second, former] = authority(&site).await.try_into().unwrap();
    assert_eq!(former.pin, first.pin);
    assert_ne!(second.pin, first.pin);

    // Who knows only the old one, and shows its certificate, is let in, and learns the new one.
    assert!(old.trusts(&site).await);
    old.renew(&site).await.unwrap();
    // A token of before names the old one, and one of now the new one; both are good.
    let mut third = Known::enrol(&site, "web3", &early).await.unwrap();
    let late = site.token("web4", &[]).await;
    assert!(early.ends_with(&first.pin) && late.ends_with(&second.pin));
    let mut fourth = Known::enrol(&site, "web4", &late).await.unwrap();
    for host in [&mut old, &mut third, &mut fourth] {
        assert_eq!(host.ca.matches("BEGIN CERTIFICATE").count(), 2);
        host.renew(&site).await.unwrap();
    }

    // Also after a restart.
    running.stop().await;
    let running = site.start().await;
    old.renew(&site).await.unwrap();

    // One has not been there since.
    let refused = retire(&site, false).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("host web2"), "{refused}");
    assert!(!refused.message().contains("host web1"), "{refused}");
    away.renew(&site).await.unwrap();
    // It was given a new one, and has not shown it: it may have got lost.
    assert!(retire(&site, false).await.unwrap_err().message().contains("host web2"));
    away.renew(&site).await.unwrap();
    retire(&site, false).await.unwrap();

    let [only] = authority(&site).await.try_into().unwrap();
    assert_eq!(only.pin, second.pin);
    running.stop().await;
    let _running = site.start().await;
    for host in [&mut old, &mut away, &mut third, &mut fourth] {
        host.renew(&site).await.unwrap();
        assert_eq!(host.ca.matches("BEGIN CERTIFICATE").count(), 1);
    }
}

#[tokio::test]
async fn an_authority_that_is_retired_by_force_shuts_out_who_depends_on_it_also_live_links() {
    let mut site = Site::new();
    let _running = site.start().await;
    let world = World::default();
    // It does not do what it is asked: it renews nothing.
    let (_agent, identity) = Agent::join(&site, &world, "web1").await;
    connected(&site, "web1").await;
    let (mut bob, _) = operator(&site, "bob").await;
    hosts(&mut bob).await.unwrap();

    rotate(&site).await;
    hosts(&mut bob).await.unwrap();
    // admin's own context was renewed by the coordinator, which is what a restart or an hour does.
    let refused = retire(&site, false).await.unwrap_err();
    assert!(refused.message().contains("host web1"), "{refused}");
    assert!(refused.message().contains("operator bob"), "{refused}");
    site.operator().retire_authority(v1::RetireAuthorityRequest { force: true }).await.unwrap();

    let refused = hosts(&mut bob).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert!(refused.message().contains("retired"), "{refused}");
    assert!(broke_off(&renew(&site, &identity).await.unwrap_err()));
}

/// A coordinator over this configuration, with certificates of this life.
async fn short(site: &mut Site, seconds: u64) -> Running {
    site.configure(|config| {
        config.certificates.hosts = Span::from_secs(seconds);
    });
    site.start().await
}

#[tokio::test]
async fn a_host_whose_certificate_has_expired_is_refused_also_on_an_old_connection() {
    let mut site = Site::new();
    let _running = short(&mut site, 2).await;
    let mut known = Known::enrol(&site, "web1", &site.token("web1", &[]).await).await.unwrap();
    let mut client = AgentLinkClient::new(known.channel(&site));
    let request = || v1::RenewRequest { csr_pem: csr(&KeyPair::generate().unwrap()) };
    // Whether it is in time depends on this machine; the connection is made in any case.
    let _ = client.renew(request()).await;
    let (_, pem) = x509_parser::pem::parse_x509_pem(known.identity.certificate.as_bytes()).unwrap();
    let end = pem.parse_x509().unwrap().validity().not_after.timestamp();
    let expired = async || (Timestamp::now().as_second() > end).then_some(());
    eventually("it expires", expired).await;

    let refused = client.renew(request()).await.unwrap_err();
    assert!(refused.message().contains("expired") || broke_off(&refused), "{refused}");
    assert!(broke_off(&known.renew(&site).await.unwrap_err()));
    // A token is the way back.
    Known::enrol(&site, "web1", &site.token("web1", &[]).await).await.unwrap();
}

/// A host with the agent as it is, in a thread of its own.
struct Real {
    directory: tempfile::TempDir,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Real {
    async fn start(site: &Site, name: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| {
            let path = directory.path().join(file);
            std::fs::write(&path, text).unwrap();
            path
        };
        let policy = write("policy.yaml", "commands: [[/bin/sh, '**']]\n");
        let state = directory.path().join("state").display().to_string();
        let text = format!(
            "coordinator: {}\nstate_dir: {state}\npolicy: {}\nunprivileged: true\n",
            site.address(),
            policy.display()
        );
        let config = dv_agent::config::Config::load(&write("agent.yaml", &text)).unwrap();
        let token = site.token(name, &[("role", "web")]).await;
        dv_agent::identity::enrol::enrol(&config, &token, None).await.unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let (stop, retire) = (std::future::pending(), std::future::pending());
            runtime.block_on(async {
                tokio::select! {
                    ended = dv_agent::run(config, dv_agent::Until { stop, retire }) => ended.unwrap(),
                    _ = stopped => {}
                }
            });
            runtime.shutdown_background();
        });
        Self { directory, stop: Some(stop), thread: Some(thread) }
    }

    /// One of the files by which it knows the fleet, and the fleet it.
    fn identity(&self, name: &str) -> String {
        let file = self.directory.path().join("state/identity").join(name);
        std::fs::read_to_string(file).unwrap()
    }

    fn certificate_until(&self) -> i64 {
        let text = self.identity("certificate.pem");
        let (_, pem) = x509_parser::pem::parse_x509_pem(text.as_bytes()).unwrap();
        pem.parse_x509().unwrap().validity().not_after.timestamp()
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || std::thread::panicking(), "the agent panicked");
    }
}

/// Every host's certificate expires in the middle, the authority is rotated and retired in the middle, and nothing is
/// lost or done twice.
#[tokio::test]
async fn certificates_expire_and_the_authority_changes_in_the_middle_of_a_rollout_and_nobody_notices()
 {
    let mut site = Site::new();
    let _running = short(&mut site, 12).await;
    let mut hosts = Vec::new();
    for name in ["web1", "web2", "web3"] {
        hosts.push(Real::start(&site, name).await);
    }
    super::rollout::in_contact(&site, 3).await;
    let first_ends: Vec<_> = hosts.iter().map(Real::certificate_until).collect();
    let pin = authority(&site).await[0].pin.clone();

    // Each host in its turn says that it begins, and takes its time.
    let shared = tempfile::tempdir().unwrap();
    let done = shared.path().join("done");
    let script = format!("echo $0 >> {}; sleep 6", done.display());
    let begun = || std::fs::read_to_string(&done).unwrap_or_default().lines().count();
    let mut manifest = manifest(|strategy| {
        strategy.max_parallel = Some(dv_types::Quota::parse("1").unwrap());
        strategy.lost_after = Span::from_secs(60);
    });
    manifest.steps.truncate(1);
    manifest.health = None;
    if let dv_types::manifest::Step::Run(run) = &mut manifest.steps[0] {
        run.argv = ["/bin/sh", "-c", &script, "${version}"].map(str::to_owned).into();
        run.undo = None;
        run.repeatable = false;
    }
    let id = site.operator().begin(&manifest, "1.0").await.unwrap();
    eventually("the first is told", async || (begun() == 1).then_some(())).await;
    rotate(&site).await;
    eventually("the second is told", async || (begun() == 2).then_some(())).await;
    let retired = async || retire(&site, false).await.ok();
    eventually("nobody depends on the old one", retired).await;

    let (_, report) = site.operator().follow(&id).await;
    assert_eq!(report.state, State::Ended(Verdict::Succeeded), "{report:#?}");
    assert!(report.hosts.iter().all(|host| host.phase == Phase::Healthy), "{report:#?}");
    assert_eq!(begun(), 3);
    let current = async || {
        let moved = |host: &Real| host.identity("ca.pem").matches("BEGIN CERTIFICATE").count() == 1;
        hosts.iter().all(moved).then_some(())
    };
    eventually("all trust the new one alone", current).await;
    for (host, end) in hosts.iter().zip(first_ends) {
        assert!(Timestamp::now().as_second() > end, "its first certificate is good still");
        assert!(host.certificate_until() > end);
    }
    assert_ne!(authority(&site).await[0].pin, pin);
    super::rollout::in_contact(&site, 3).await;
}

//! Who may call what.

use dv_proto::v1::{
    self, agent_link_client::AgentLinkClient, control_client::ControlClient,
    enrolment_client::EnrolmentClient,
};
use rcgen::KeyPair;
use tonic::{Code, Status, transport::Channel};

use super::support::{HostIdentity, Site, csr};

/// Every call of operators, with a request that says nothing.
async fn control(channel: &Channel) -> Vec<(&'static str, Result<(), Status>)> {
    let mut client = ControlClient::new(channel.clone());
    macro_rules! calls {
        ($($call:ident($request:ident)),* $(,)?) => {
            vec![$((
                stringify!($call),
                client.$call(v1::$request::default()).await.map(drop),
            )),*]
        };
    }
    calls![
        plan_rollout(PlanRolloutRequest),
        start_rollout(StartRolloutRequest),
        operate_rollout(OperateRolloutRequest),
        roll_back(RollBackRequest),
        get_rollout(GetRolloutRequest),
        watch_rollout(WatchRolloutRequest),
        list_rollouts(ListRolloutsRequest),
        list_hosts(ListHostsRequest),
        create_token(CreateTokenRequest),
        revoke_host(RevokeHostRequest),
        list_operators(ListOperatorsRequest),
        add_operator(AddOperatorRequest),
        revoke_operator(RevokeOperatorRequest),
        renew_operator(RenewOperatorRequest),
        get_authority(GetAuthorityRequest),
        retire_authority(RetireAuthorityRequest),
        rotate_authority(RotateAuthorityRequest),
    ]
}

async fn agent_link(channel: &Channel) -> Vec<(&'static str, Result<(), Status>)> {
    let mut client = AgentLinkClient::new(channel.clone());
    let key = KeyPair::generate().unwrap();
    let renew = client.renew(v1::RenewRequest { csr_pem: csr(&key) }).await.map(drop);
    let link = client.link(tokio_stream::iter([v1::FromAgent::default()])).await.map(drop);
    vec![("renew", renew), ("link", link)]
}

fn code(result: &Result<(), Status>) -> Option<Code> {
    result.as_ref().err().map(Status::code)
}

#[tokio::test]
async fn each_call_takes_one_kind_of_certificate() {
    let mut site = Site::new();
    let _running = site.start().await;
    let host = site.channel_as(&site.enrol("web1", &[]).await);
    let (operator, stranger) = (site.operator_channel(), site.stranger());

    for (call, result) in control(&operator).await {
        let refused = [Some(Code::Unauthenticated), Some(Code::PermissionDenied)];
        assert!(!refused.contains(&code(&result)), "{call} by an operator: {result:?}");
    }
    for (call, result) in control(&host).await {
        assert_eq!(code(&result), Some(Code::PermissionDenied), "{call} by a host");
    }
    for (call, result) in control(&stranger).await {
        assert_eq!(code(&result), Some(Code::Unauthenticated), "{call} by a stranger");
    }
    for (call, result) in agent_link(&host).await {
        let refused = [Some(Code::Unauthenticated), Some(Code::PermissionDenied)];
        assert!(!refused.contains(&code(&result)), "{call} by a host: {result:?}");
    }
    for (call, result) in agent_link(&operator).await {
        assert_eq!(code(&result), Some(Code::PermissionDenied), "{call} by an operator");
    }
    for (call, result) in agent_link(&stranger).await {
        assert_eq!(code(&result), Some(Code::Unauthenticated), "{call} by a stranger");
    }
}

#[tokio::test]
async fn a_certificate_of_another_ca_gets_nothing() {
    let (mut site, mut foreign) = (Site::new(), Site::new());
    let (_running, _other) = (site.start().await, foreign.start().await);
    let identity = foreign.enrol("web1", &[]).await;
    let channel = site.channel_as(&identity);
    for (call, result) in control(&channel).await.into_iter().chain(agent_link(&channel).await) {
        let why = result.expect_err(call);
        assert!(broke_off(&why), "{call}: {why:?}");
    }
    // Not even what is open to everybody.
    let enrolled = EnrolmentClient::new(channel).enrol(v1::EnrolRequest::default()).await;
    assert!(broke_off(&enrolled.unwrap_err()));
}

/// The connection broke: no call was looked at. (The client may see that before it sees why.)
fn broke_off(status: &Status) -> bool {
    std::error::Error::source(status).is_some()
}

#[tokio::test]
async fn a_host_that_was_never_enrolled_here_is_refused() {
    let mut site = Site::new();
    let running = site.start().await;
    let identity = site.enrol("web1", &[]).await;
    running.stop().await;
    // Another store with the same CA: the host is unknown there.
    site.store = std::sync::Arc::new(dv_coordinator::store::MemoryStore::default());
    let _running = site.start().await;
    for (call, result) in agent_link(&site.channel_as(&identity)).await {
        assert_eq!(code(&result), Some(Code::PermissionDenied), "{call}");
    }
}

#[tokio::test]
async fn only_tls_1_3_is_spoken() {
    let mut site = Site::new();
    let _running = site.start().await;
    let HostIdentity { .. } = site.enrol("web1", &[]).await;
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let channel = dv_proto::dial::channel(&site.address(), config).unwrap();
    let refused = EnrolmentClient::new(channel).enrol(v1::EnrolRequest::default()).await;
    assert!(format!("{refused:?}").contains("ProtocolVersion"), "{refused:?}");
}

//! The store is one of before: what was done since, only the hosts know. Whatever the way there was.

use std::sync::Arc;

use dv_coordinator::{
    clock::{ManualClock, SystemClock},
    config::Config,
    identity::Authority,
    ports::{Clock as _, Store as _},
    reign::Reign,
    store::{Batch, Held, HostRecord, Journal, MemoryStore},
};
use dv_proto::v1::{FromAgent, Hello, RenewRequest, from_agent::Message};
use dv_types::{
    RolloutId, Span, Timestamp,
    record::Verdict,
    report::{Phase, State},
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use rcgen::KeyPair;

use super::{
    rollout::{fleet, in_contact},
    support::{Agent, HostIdentity, Site, World, csr, manifest, operator::Operator as _},
};

/// The store as it is now.
async fn copy(store: &MemoryStore) -> MemoryStore {
    let copy = MemoryStore::default();
    let pages: Vec<_> = store.snapshot().await.unwrap().try_collect().await.unwrap();
    for (key, value) in pages.into_iter().flatten() {
        copy.commit(Batch::default().put(key, value)).await.unwrap();
    }
    for name in store.documents(None, 1_000).await.unwrap() {
        copy.save_document(store.document(name).await.unwrap().unwrap()).await.unwrap();
    }
    copy
}

#[tokio::test]
async fn no_number_that_a_host_remembers_is_given_again() {
    let store = MemoryStore::default();
    let mut site = Site::with(Arc::new(store.clone()), Arc::new(SystemClock));
    let running = site.start().await;
    let world = World::default();
    let _agents = fleet(&site, &world, 2).await;
    let mut operator = site.operator();
    let mut begin = async |version: &str| {
        let id = operator.begin(&manifest(|_| ()), version).await.unwrap();
        let (_, report) = operator.follow(&id).await;
        assert_eq!(report.state, State::Ended(Verdict::Succeeded), "{report:#?}");
        id
    };
    begin("1.0").await;
    let before = copy(&store).await;
    begin("2.0").await;
    assert_eq!(begin("3.0").await, "r3");

    running.stop().await;
    site.store = Arc::new(before);
    let _running = site.start().await;
    in_contact(&site, 2).await;
    // It was said to be done, and nothing was.
    assert_eq!(begin("2.0").await, "r4");
    assert_eq!(world.versions(), ["2.0"; 2]);
    world.nothing_ran_twice();
}

#[tokio::test]
async fn what_a_host_did_under_a_number_in_a_forgotten_time_does_not_count() {
    let store = MemoryStore::default();
    let mut site = Site::with(Arc::new(store.clone()), Arc::new(SystemClock));
    let running = site.start().await;
    let world = World::default();
    let (web1, of_web1) = Agent::join(&site, &world, "web1").await;
    let (web2, of_web2) = Agent::join(&site, &world, "web2").await;
    in_contact(&site, 2).await;
    let mut operator = site.operator();
    let before = copy(&store).await;
    let id = operator.begin(&manifest(|_| ()), "1.0").await.unwrap();
    operator.follow(&id).await;

    // Nobody is there who remembers it: one has lost its disk, and the other comes in the middle.
    running.stop().await;
    let web2 = web2.cut_off();
    drop(web1);
    site.store = Arc::new(before);
    let _running = site.start().await;
    let _web1 = Agent::start(&site, &world, "web1", &of_web1);
    in_contact(&site, 1).await;
    world.close_gate("web1");
    let mut operator = site.operator();
    let again = operator.begin(&manifest(|_| ()), "2.0").await.unwrap();
    assert_eq!(again, id);
    let _web2 = web2.reconnect(&site, &of_web2);
    in_contact(&site, 2).await;
    world.open_gate("web1");
    let (_, report) = operator.follow(&id).await;
    let web2 = report.hosts.iter().find(|host| host.name.as_str() == "web2").unwrap();
    assert_eq!(web2.phase, Phase::Failed, "{report:#?}");
    assert!(web2.why.as_ref().unwrap().contains("forgotten"), "{web2:?}");
    assert_eq!(world.version("web2").unwrap(), "1.0");
}

/// The number that the next rollout gets after a host has said this.
async fn next_after(hello: Hello) -> RolloutId {
    let store = Arc::new(MemoryStore::default());
    let now = SystemClock.now();
    let journal = Journal::open(store.clone(), now).await.unwrap();
    let host = "web1".parse().unwrap();
    let record = HostRecord {
        name: "web1".parse().unwrap(),
        labels: [].into(),
        enrolled: now,
        certificates: vec![Held::of_serial("1")],
        revoked: None,
    };
    journal.save_host(&record).await.unwrap();
    let authority = Arc::new(Authority::passing(now).unwrap());
    let clock = Arc::new(SystemClock);
    let reign = Reign::begin(&Config::default(), store.clone(), clock, authority).await.unwrap();
    let hello = Ok(FromAgent { message: Some(Message::Hello(hello)) });
    let words = stream::iter([hello]).chain(stream::pending());
    let _orders = reign.agent_link().open(&host, "1", words).await.unwrap();
    Journal::open(store, now).await.unwrap().next_rollout().await.unwrap()
}

#[tokio::test]
async fn a_host_says_up_to_where_numbers_are_used_and_one_alone_can_not_use_them_up() {
    let commands = vec!["r3-2".to_owned(), "r9-1".to_owned()];
    for (newest, commands, next) in [
        (0, Vec::new(), 1),
        (7, Vec::new(), 8),
        // As an agent of the first version says it.
        (0, commands.clone(), 10),
        (12, commands, 13),
        (u64::MAX, Vec::new(), 1),
    ] {
        let hello = Hello { newest, commands, ..Hello::default() };
        assert_eq!(next_after(hello.clone()).await, RolloutId(next), "{hello:?}");
    }
}

#[tokio::test]
async fn a_host_that_has_renewed_its_certificate_since_is_let_in_and_one_that_was_replaced_is_not()
{
    let store = MemoryStore::default();
    let clock = ManualClock::new(Timestamp::now());
    let mut site = Site::with(Arc::new(store.clone()), Arc::new(clock.clone()));
    let running = site.start().await;
    let hour = Span::from_secs(60 * 60);
    let first = site.enrol("web1", &[]).await;
    let before = copy(&store).await;
    let key = KeyPair::generate().unwrap();
    let renew = async |site: &Site, identity: &HostIdentity| {
        let request = RenewRequest { csr_pem: csr(&key) };
        let reply = site.link(identity).renew(request).await?.into_inner();
        Ok::<_, tonic::Status>(HostIdentity {
            certificate: reply.certificate_pem,
            key: key.serialize_pem(),
        })
    };
    clock.advance(hour);
    let second = renew(&site, &first).await.unwrap();
    clock.advance(hour);
    let third = renew(&site, &second).await.unwrap();

    running.stop().await;
    site.store = Arc::new(before);
    let running = site.start().await;
    clock.advance(hour);
    renew(&site, &third).await.unwrap();
    for replaced in [&first, &second] {
        let refused = renew(&site, replaced).await.err().unwrap();
        assert!(refused.message().contains("was replaced"), "{refused:?}");
    }
    // What was replaced on purpose stays out, also after a start.
    let fourth = site.enrol("web1", &[]).await;
    running.stop().await;
    let _running = site.start().await;
    assert!(renew(&site, &third).await.is_err());
    renew(&site, &fourth).await.unwrap();
}

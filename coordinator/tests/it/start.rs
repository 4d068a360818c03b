//! A start reads what it needs, and not the reports of all rollouts that ever were.

use std::sync::Arc;

use dv_coordinator::{
    clock::SystemClock,
    ports::Store as _,
    store::{MemoryStore, check},
};
use dv_proto::v1::ListHostsRequest;
use dv_types::{record::Verdict, report::State};

use super::{
    rollout::fleet,
    support::{Site, World, manifest, operator::Operator as _},
};

/// What is known of each host: the service, its version, and the rollout that left it there.
async fn left(site: &Site) -> Vec<String> {
    let hosts = site.operator().list_hosts(ListHostsRequest {}).await.unwrap().into_inner().hosts;
    let services = hosts.iter().flat_map(|host| &host.services);
    services.map(|at| format!("{} {} {}", at.service, at.version, at.rollout)).collect()
}

/// Forgets the documents that have a field of this name.
async fn forget(store: &MemoryStore, field: &str) -> usize {
    let mut forgotten = 0;
    for name in store.documents(None, 1_000).await.unwrap() {
        let text = store.document(name.clone()).await.unwrap().unwrap();
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        if document.get(field).is_some() {
            store.forget_document(name).await.unwrap();
            forgotten += 1;
        }
    }
    forgotten
}

#[tokio::test]
async fn a_start_reads_no_report_of_a_rollout_that_has_ended() {
    let store = MemoryStore::default();
    let mut site = Site::with(Arc::new(store.clone()), Arc::new(SystemClock));
    let running = site.start().await;
    let world = World::default();
    let agents = fleet(&site, &world, 2).await;
    let mut operator = site.operator();
    for version in ["1.0", "2.0"] {
        let id = operator.begin(&manifest(|_| ()), version).await.unwrap();
        let (_, report) = operator.follow(&id).await;
        assert_eq!(report.state, State::Ended(Verdict::Succeeded), "{report:#?}");
    }
    let expected = ["web 2.0 r2"; 2];
    assert_eq!(left(&site).await, expected);
    running.stop().await;
    drop(agents);

    // As an earlier version left it, or a backup that was made meanwhile: the reports say it, and it is kept anew.
    assert!(forget(&store, "known").await > 0);
    let running = site.start().await;
    assert_eq!(left(&site).await, expected);
    assert_eq!(check(&store).await.unwrap().damage, [""; 0]);
    running.stop().await;

    assert_eq!(forget(&store, "totals").await, 2);
    let _running = site.start().await;
    assert_eq!(left(&site).await, expected);
    // It goes on from there.
    let _agents = fleet(&site, &world, 2).await;
    let mut operator = site.operator();
    let id = operator.begin(&manifest(|_| ()), "3.0").await.unwrap();
    operator.follow(&id).await;
    assert_eq!(left(&site).await, ["web 3.0 r3"; 2]);
}

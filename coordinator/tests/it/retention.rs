//! Old rollouts are dropped, and what anything still needs is not.

use std::sync::Arc;

use dv_coordinator::{
    clock::SystemClock,
    ports::{Entries, Shortage, Store as _},
    store::{Batch, Key, MemoryStore, check, check_backup},
};
use dv_proto::v1::{ListRolloutsRequest, RollBackRequest};
use dv_types::{Span, record::Verdict, report::State};
use tokio::io::AsyncReadExt as _;

use super::{
    rollout::fleet,
    support::{Site, World, eventually, manifest, operator::Operator as _},
};

/// The rollouts that are listed, the newest first, and how many more there were.
async fn listed(site: &Site) -> (usize, u32) {
    let request = ListRolloutsRequest { service: "web".to_owned(), limit: 100 };
    let reply = site.operator().list_rollouts(request).await.unwrap().into_inner();
    (reply.report_json.len(), reply.dropped)
}

#[tokio::test]
async fn what_is_old_is_dropped_and_what_is_needed_is_kept() {
    let store = MemoryStore::default();
    let mut site = Site::with(Arc::new(store.clone()), Arc::new(SystemClock));
    let running = site.start().await;
    let world = World::default();
    let agents = fleet(&site, &world, 1).await;
    let mut operator = site.operator();
    // The third is taken back, and stays marked.
    for n in 1..=14 {
        let id = operator.begin(&manifest(|_| ()), &format!("{n}.0")).await.unwrap();
        let (_, report) = operator.follow(&id).await;
        assert_eq!(report.state, State::Ended(Verdict::Succeeded), "{report:#?}");
        if n == 3 {
            let back = RollBackRequest { service: "web".to_owned(), ..RollBackRequest::default() };
            let back = operator.roll_back(back).await.unwrap().into_inner().rollout;
            operator.follow(&back).await;
        }
    }
    let documents = store.documents(None, 1_000).await.unwrap().len();
    let records = store.scan(Key::from_bytes(b"record/"), None, 10_000).await.unwrap();
    // A backup is made meanwhile: it has all that it names, and what it has come to is not forgotten before its end.
    let (mut out, mut backup) = tokio::io::duplex(1);
    let source = store.clone();
    let backing_up = tokio::spawn(async move {
        dv_coordinator::store::backup(&source, Vec::new(), &mut out).await.unwrap();
    });
    let mut text = vec![backup.read_u8().await.unwrap()];
    for _ in 0..200 {
        text.push(backup.read_u8().await.unwrap());
    }
    running.stop().await;
    drop(agents);
    site.configure(|config| config.keep_rollouts = Span::ZERO);
    let running = site.start().await;
    // Fifteen there were: the newest ten stay, and the third with what took it back.
    let (kept, dropped) = eventually("old rollouts are dropped", async || {
        let (kept, dropped) = listed(&site).await;
        (dropped > 0).then_some((kept, dropped))
    })
    .await;
    assert_eq!((kept, dropped), (12, 3));
    eventually("their records are deleted", async || {
        let left = store.scan(Key::from_bytes(b"record/"), None, 10_000).await.unwrap();
        (left.len() < records.len()).then_some(())
    })
    .await;
    assert_eq!(store.documents(None, 1_000).await.unwrap().len(), documents);
    backup.read_to_end(&mut text).await.unwrap();
    backing_up.await.unwrap();
    let (checked, contents) = check_backup(text.as_slice()).unwrap();
    assert_eq!(checked.damage, [""; 0]);
    assert_eq!((contents.hosts, contents.documents), (1, documents as u64));
    let left = eventually("their records are gone", async || {
        let checked = check(&store).await.unwrap();
        (checked.documents < documents as u64).then_some(checked)
    })
    .await;
    assert_eq!(left.damage, [""; 0]);
    assert_eq!(left.rollouts, 12);
    check_in_the_middle(&store, &records).await;
    let mut operator = site.operator();
    let gone = dv_proto::v1::GetRolloutRequest { rollout: "r1".to_owned() };
    let why = operator.get_rollout(gone).await.unwrap_err();
    assert!(why.message().contains("r1 (1.0 of web, begun"), "{why}");
    assert!(why.message().contains("was dropped on"), "{why}");
    for kept in ["r3", "r4", "r15"] {
        operator.look(kept).await;
    }

    // What was kept is enough to go on with: the mark counts, and the last good version is the way back.
    running.stop().await;
    let _running = site.start().await;
    assert_eq!(listed(&site).await, (12, 3));
    let _agents = fleet(&site, &world, 1).await;
    let mut operator = site.operator();
    let refused = operator.begin(&manifest(|_| ()), "3.0").await.unwrap_err();
    assert!(refused.message().contains("was rolled back by r3"), "{refused}");
    let back = RollBackRequest { service: "web".to_owned(), ..RollBackRequest::default() };
    let back = operator.roll_back(back).await.unwrap().into_inner().rollout;
    let (_, report) = operator.follow(&back).await;
    assert_eq!(report.state, State::Ended(Verdict::Succeeded));
    assert_eq!(world.versions(), ["13.0"]);
}

#[tokio::test]
async fn on_a_disk_that_is_nearly_full_nothing_begins_and_what_is_under_way_ends() {
    let store = MemoryStore::default();
    let mut site = Site::with(Arc::new(store.clone()), Arc::new(SystemClock));
    let _running = site.start().await;
    let world = World::default();
    let _agents = fleet(&site, &world, 2).await;
    let mut operator = site.operator();
    world.close_gate("web1");
    let id = operator.begin(&manifest(|_| ()), "1.0").await.unwrap();
    let place = "/var/lib/dv-coordinator".to_owned();
    store.run_short(Some(Shortage { place, free: 100 << 20, floor: 256 << 20 }));
    world.open_gate("web1");
    let (_, report) = operator.follow(&id).await;
    assert_eq!(report.state, State::Ended(Verdict::Succeeded));
    let refused = operator.begin(&manifest(|_| ()), "2.0").await.unwrap_err();
    let said = refused.message();
    assert_eq!(refused.code(), tonic::Code::ResourceExhausted, "{refused}");
    assert!(said.contains("100 MiB are free") && said.contains("157 MiB more"), "{said}");
    store.run_short(None);
    let id = operator.begin(&manifest(|_| ()), "2.0").await.unwrap();
    let (_, report) = operator.follow(&id).await;
    assert_eq!(report.state, State::Ended(Verdict::Succeeded));
}

/// Where records of a dropped rollout are left, that is damage, unless they are about to be deleted.
async fn check_in_the_middle(store: &MemoryStore, records: &Entries) {
    let lines = store.scan(Key::from_bytes(b"dropped/"), None, 1).await.unwrap();
    let (line, cleared) = lines[0].clone();
    let text = String::from_utf8(cleared.clone()).unwrap();
    let clearing = text.replace("\"cleared\":true", "\"cleared\":false").into_bytes();
    assert_ne!(clearing, cleared);
    let (key, value) = records[0].clone();
    let write = async |batch: Batch| store.commit(batch).await.unwrap();
    write(Batch::default().put(line.clone(), clearing).put(key.clone(), value)).await;
    assert_eq!(check(store).await.unwrap().damage, [""; 0]);
    write(Batch::default().put(line, cleared)).await;
    let damage = check(store).await.unwrap().damage;
    assert!(damage[0].contains("nothing says of what"), "{damage:?}");
    write(Batch::default().delete(key)).await;
}

#[tokio::test]
async fn a_backup_that_has_not_all_that_it_names_is_damaged() {
    let store = MemoryStore::default();
    let mut site = Site::with(Arc::new(store.clone()), Arc::new(SystemClock));
    let _running = site.start().await;
    let _agents = fleet(&site, &World::default(), 1).await;
    let mut operator = site.operator();
    let id = operator.begin(&manifest(|_| ()), "1.0").await.unwrap();
    operator.follow(&id).await;
    for name in store.documents(None, 10).await.unwrap() {
        assert!(store.forget_document(name).await.unwrap());
    }
    let mut text = Vec::new();
    dv_coordinator::store::backup(&store, Vec::new(), &mut text).await.unwrap();
    let damage = check_backup(text.as_slice()).unwrap().0.damage;
    assert_eq!(damage.len(), 3, "{damage:?}");
    assert!(damage[0].contains("r1: its plan: document") && damage[0].contains("is missing"));
}

//! A thousand agents over real connections, with all that a large fleet meets in one rollout: batches, a coordinator that
//! is killed in the middle, and people who watch and do not read.

use std::{path::PathBuf, time::Duration};

use dv_fleet::{
    coordinator::Coordinator,
    enrol::enrol,
    fleet::Fleet,
    limits,
    operator::{OPERATIONS, Operator, in_batches},
};
use dv_types::{
    record::Verdict,
    report::{Phase, State},
};

const HOSTS: usize = 1000;
const PACE: Duration = Duration::from_millis(5);

/// Built along with the tests, beside them.
fn program() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let program = own.parent().and_then(|deps| deps.parent()).unwrap().join("dv-coordinator");
    assert!(program.exists(), "{} is not built: cargo build -p dv-coordinator", program.display());
    program
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_hosts_do_each_operation_once_whatever_becomes_of_the_coordinator() {
    limits::make_room(HOSTS).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mut coordinator = Coordinator::new(&program(), directory.path()).unwrap();
    let context = coordinator.start().await.unwrap();
    let enrolled = enrol(&context, HOSTS).await.unwrap();
    let mut fleet = Fleet::new(context.target(), enrolled, PACE);
    fleet.connect().await;

    let manifest = in_batches("web", ("role", "web"), 100).unwrap();
    let rollout = Operator::new(&context).unwrap().begin(&manifest, "v1").await.unwrap();
    // Each has a connection of its own, and never reads.
    let mut stuck = Operator::new(&context).unwrap();
    let _stuck = stuck.watch(&rollout).await.unwrap();
    fleet.tally.recorded(HOSTS).await;

    coordinator.kill().unwrap();
    fleet.tally.lost().await;
    let done = fleet.tally.outcomes();
    assert!(done < OPERATIONS * HOSTS, "it was killed in the middle");
    let context = coordinator.start().await.unwrap();
    let mut stuck = Operator::new(&context).unwrap();
    let _stuck = stuck.watch(&rollout).await.unwrap();
    fleet.tally.reach(HOSTS).await;

    let told = Operator::new(&context).unwrap().follow(&rollout).await.unwrap();
    assert_eq!(told.report.state, State::Ended(Verdict::Succeeded), "{:?}", told.report.totals);
    assert!(told.report.hosts.iter().all(|host| host.phase == Phase::Healthy));
    assert_eq!(told.report.hosts.len(), HOSTS);
    assert!(told.records.iter().map(|record| record.number).eq(1..=told.report.record));
    fleet.assert_each_did(OPERATIONS).unwrap();
}

//! Several coordinators: whatever becomes of the one that leads, another goes on, and nothing runs twice.
//!
//! Each test prints how long it took from the fault to the first command after it:
//! `cargo nextest run -p dv-coordinator -E 'test(/several::/)' --success-output final`.

use std::time::Duration;

use dv_proto::{from_json, to_json, v1};
use dv_types::{Report, record::Verdict, report::State};
use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use super::support::{
    eventually,
    fleet::{Fleet, HOSTS},
    proxy::Wire,
};

/// A rollout, in the middle of which `fault` strikes the coordinator that leads.
struct Story {
    fleet: Fleet,
    leader: usize,
    rollout: String,
}

impl Story {
    /// Until one host has been told, and works.
    async fn begin() -> Self {
        let fleet = Fleet::start().await;
        let leader = fleet.leader().await.expect("one leads");
        let request = v1::StartRolloutRequest {
            manifest_json: to_json(&fleet.manifest()),
            version: "1.0".to_owned(),
            ..v1::StartRolloutRequest::default()
        };
        let rollout = fleet.operator().start_rollout(request).await.unwrap().into_inner().rollout;
        eventually("the second host is told", async || (fleet.begun() >= 2).then_some(())).await;
        Self { fleet, leader, rollout }
    }

    fn other(&self) -> usize {
        1 - self.leader
    }

    /// Waits for the first command after a fault, and says how long that took.
    async fn goes_on(&self, what: &str) {
        let (began, before) = (Instant::now(), self.fleet.begun());
        let patience = Duration::from_secs(90);
        while self.fleet.begun() == before {
            assert!(began.elapsed() < patience, "{what}: no command within {patience:?}");
            sleep(Duration::from_millis(5)).await;
        }
        println!("{what}: first command after {:.1} s", began.elapsed().as_secs_f64());
    }

    /// The rollout ends well, and every host was told once.
    async fn ends(&self) {
        let mut operator = self.fleet.operator();
        let report = eventually("the rollout ends", async || {
            let request = v1::GetRolloutRequest { rollout: self.rollout.clone() };
            let reply = operator.get_rollout(request).await.ok()?.into_inner();
            let report: Report = from_json("report_json", &reply.report_json).unwrap();
            matches!(report.state, State::Ended(_)).then_some(report)
        })
        .await;
        assert_eq!(report.state, State::Ended(Verdict::Succeeded), "{report:#?}");
        for host in HOSTS {
            assert_eq!(self.fleet.told(host), ["1.0"], "{host}");
        }
    }

    async fn is_led_by(&self, number: usize) {
        eventually("the other leads", async || {
            (self.fleet.leader().await == Some(number)).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_is_killed() {
    let story = Story::begin().await;
    story.fleet.coordinators[story.leader].signal(Signal::KILL);
    story.goes_on("killed").await;
    story.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_is_stopped() {
    let story = Story::begin().await;
    story.fleet.coordinators[story.leader].signal(Signal::TERM);
    story.goes_on("stopped").await;
    story.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_is_cut_off_from_etcd() {
    let story = Story::begin().await;
    for wire in &story.fleet.to_etcd[story.leader] {
        wire.set(Wire::Silent);
    }
    story.goes_on("cut off from etcd").await;
    story.is_led_by(story.other()).await;
    let said = story.fleet.coordinators[story.leader].said();
    assert!(said.contains("it leads no longer"), "{said}");
    for wire in &story.fleet.to_etcd[story.leader] {
        wire.set(Wire::Whole);
    }
    story.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_is_cut_off_from_the_hosts() {
    let story = Story::begin().await;
    story.fleet.to_coordinator[story.leader].set(Wire::Silent);
    story.goes_on("cut off from the hosts").await;
    story.is_led_by(story.other()).await;
    story.ends().await;
    let said = story.fleet.coordinators[story.leader].said();
    assert!(said.contains("it resigns"), "{said}");
}

/// It sleeps beyond its lease, and wakes in the belief that it leads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_sleeps_and_wakes() {
    let story = Story::begin().await;
    let leader = &story.fleet.coordinators[story.leader];
    leader.signal(Signal::STOP);
    story.goes_on("paused").await;
    leader.signal(Signal::CONT);
    eventually("it sees that it leads no longer", async || {
        leader.said().contains("it leads no longer").then_some(())
    })
    .await;
    story.is_led_by(story.other()).await;
    story.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_of_etcd_is_killed() {
    let mut story = Story::begin().await;
    let member = story.fleet.servers.leading().await;
    story.fleet.servers.kill(member);
    story.goes_on("etcd's own leader killed").await;
    story.ends().await;
    assert_eq!(story.fleet.leader().await, Some(story.leader), "it led all the time");
}

/// Run as a process of its own by the tests above.
#[tokio::test]
#[ignore = "it is an agent, not a test"]
async fn agent_of_a_host() {
    super::support::fleet::agent_of_a_host().await;
}

//! What is asked of the hosts before anything is touched: whether they are there, and find the image.

use std::time::Duration;

use dv_e2e::{
    machine::Machine,
    manifest::{Manifest, Shape},
    scenario::Scenario,
    wait::until,
};
use dv_types::{Timestamp, record::PauseWhy, report::State};
use jiff::ToSpan as _;

const PATIENCE: Duration = Duration::from_secs(30);

fn quick(scenario: &Scenario, shape: Shape, gates: &str) -> Manifest {
    let manifest = scenario.manifest(shape).with("max_parallel", "100%");
    manifest.with("min_healthy_time", "0s").section("gates", gates)
}

#[test]
fn a_host_out_of_contact_fails_a_gate_and_can_be_gone_without() {
    let scenario = Scenario::begin("before-away");
    let manifest = quick(&scenario, Shape::Unit, "{reachable: true}")
        .with("max_unreachable", "0")
        .with("lost_after", "2s");
    scenario.baseline(&manifest, "v1");
    let away = scenario.host("h5");
    away.exec(&["systemctl", "stop", "dv-agent"]).ok();
    until(PATIENCE, "h5 to be lost", || {
        let hosts = scenario.dvctl.json(&["hosts"]);
        let all = hosts.as_array().expect("a list of hosts");
        let host = all.iter().find(|host| host["name"] == "h5").expect("h5 is known");
        let since = host["since"].as_str().and_then(|since| since.parse::<Timestamp>().ok());
        match since {
            Some(at) if host["connected"] == false && at + 2.seconds() < Timestamp::now() => Ok(()),
            _ => Err(host.to_string()),
        }
    });

    let ran = scenario.rollout(&manifest, "v2").exits(4);
    let why = "gate reachable: fail: h5: out of contact, and max_unreachable is 0";
    assert!(ran.stdout.contains(why), "{ran}");
    scenario.all_run(Shape::Unit, "v1");

    let mut start = scenario.starting(&manifest, "v2");
    start.extend(["--override", "reachable", "--reason", "h5 is in repair"].map(str::to_owned));
    let ran = scenario.dvctl.run(&start).exits(0);
    assert!(ran.stdout.contains("OVERRIDDEN") && ran.stdout.contains("h5 is in repair"), "{ran}");
    assert_eq!(scenario.versions(Shape::Unit), ["v2", "v2", "v2", "v2", "v1"]);

    // It follows when it is back.
    away.exec(&["systemctl", "start", "dv-agent"]).ok();
    until(PATIENCE, "h5 to follow", || match scenario.versions(Shape::Unit) {
        versions if versions.iter().all(|version| version == "v2") => Ok(()),
        versions => Err(versions.join(", ")),
    });
}

#[test]
fn a_host_that_can_not_see_the_registry_waits_for_a_person() {
    let scenario = Scenario::begin("before-image");
    let manifest = quick(&scenario, Shape::Image, "{image: true}");
    scenario.baseline(&manifest, "v1");
    let host = scenario.host("h3");
    let registry = Hidden::begin(host);

    scenario.rollout(&manifest, "v2").exits(7);
    let state = scenario.report().state;
    let State::Paused(PauseWhy::Gate { gate, why }) = &state else {
        panic!("it waits because of the image: {state:?}");
    };
    assert_eq!(gate, "image");
    assert!(why.starts_with("h3: can't tell about image registry.bed:5000/"), "{why}");
    scenario.all_run(Shape::Image, "v1");

    drop(registry);
    let id = scenario.report().rollout.to_string();
    let say = ["rollout", "override", &id, "image", "--reason", "h3 sees it again"];
    scenario.dvctl.run(&say).exits(0);
    scenario.dvctl.run(&["rollout", "watch", &id]).exits(0);
    scenario.all_run(Shape::Image, "v2");
}

/// A host that nobody lets speak to a registry.
struct Hidden<'h>(&'h Machine);

const RULE: &str = "OUTPUT --protocol tcp --dport 5000 --jump REJECT --reject-with tcp-reset";

impl<'h> Hidden<'h> {
    fn begin(host: &'h Machine) -> Self {
        host.script(&format!("iptables --insert {RULE}")).ok();
        Self(host)
    }
}

impl Drop for Hidden<'_> {
    fn drop(&mut self) {
        self.0.script(&format!("iptables --delete {RULE}"));
    }
}

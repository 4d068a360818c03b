//! What a host's policy does not list is refused there, whatever the coordinator says.

use dv_e2e::{manifest::Shape, scenario::Scenario};

/// The bed's policy without debvisor.service.
const WITHOUT_UNIT: &str = "units: [debvisor-git.service]\n\
    commands: [[/usr/local/bin/debvisor-release, install, \"*\"]]\n";

#[test]
fn a_plan_is_refused_where_a_host_does_not_allow_a_step() {
    let scenario = Scenario::begin("policy");
    scenario.host("h4").write("/etc/dv-agent/policy.yaml", WITHOUT_UNIT).expect("written");

    let mark = scenario.mark();
    let ran = scenario.rollout(&scenario.manifest(Shape::Unit), "v2").exits(3);
    assert!(ran.stderr.contains("h4") && ran.stderr.contains("debvisor.service"), "{ran}");
    scenario.all_run(Shape::Unit, "v1");
    for host in &scenario.bed.hosts {
        assert_eq!(mark.starts(host, Shape::Unit), 0, "starts on {}", host.name);
    }
}

#[test]
fn a_policy_that_was_narrowed_after_the_plan_is_obeyed_too() {
    let scenario = Scenario::begin("narrowed");
    let manifest = scenario.manifest(Shape::Unit).with("canary", "1");
    scenario.baseline(&manifest, "v1");

    let mark = scenario.mark();
    // The canary waits for a person: time to change a policy behind the plan's back.
    scenario.rollout(&manifest, "v2").exits(7);
    let report = scenario.report();
    let next = report.hosts.iter().find(|host| host.wave == 2).expect("a second batch");
    let next = scenario.host(next.name.as_str());
    next.write("/etc/dv-agent/policy.yaml", "units: []\n").expect("written");
    let id = report.rollout.to_string();
    scenario.dvctl.run(&["rollout", "promote", &id]).exits(0);
    let ran = scenario.dvctl.run(&["rollout", "watch", &id]).exits(6);
    assert!(ran.stdout.contains("refused on the host"), "{ran}");
    assert_eq!(mark.starts(next, Shape::Unit), 0, "starts on {}", next.name);
    // Nothing of it was begun there, so nothing is to be taken back there; the canary is.
    scenario.all_run(Shape::Unit, "v1");
}

#[test]
fn a_policy_that_others_may_write_allows_nothing() {
    let scenario = Scenario::begin("writable");
    scenario.host("h2").exec(&["chmod", "666", "/etc/dv-agent/policy.yaml"]).ok();

    let ran = scenario.rollout(&scenario.manifest(Shape::Unit), "v2").exits(3);
    assert!(ran.stderr.contains("h2") && ran.stderr.contains("policy.yaml"), "{ran}");
    scenario.host("h2").exec(&["chmod", "644", "/etc/dv-agent/policy.yaml"]).ok();
    scenario.all_run(Shape::Unit, "v1");
}

//! The dead-man's switch: a host that has just changed its version, and is confirmed by nobody, goes back by itself.

use std::time::Duration;

use dv_e2e::{
    held::{hold, in_the_middle_of_its_restart, release},
    manifest::Shape,
    scenario::Scenario,
    wait::until,
};
use dv_types::{
    record::Verdict,
    report::{Phase, State},
};

const SOON: Duration = Duration::from_secs(60);
const COORDINATOR: &str = "dv-coordinator.service";

#[test]
fn a_host_that_nobody_confirms_goes_back_and_the_coordinator_does_not_fight_it() {
    let scenario = Scenario::begin("dead-man");
    let coordinator = &scenario.bed.coordinator;
    let manifest = scenario.manifest(Shape::Unit).with("confirm_within", "8s");
    scenario.baseline(&scenario.manifest(Shape::Unit), "v1");
    let host = scenario.host("h1");
    hold(host);

    let mark = scenario.mark();
    let following = scenario.start(&manifest, "v2");
    in_the_middle_of_its_restart(host);
    coordinator.kill9(COORDINATOR);
    // Nor does another begin.
    coordinator.exec(&["systemctl", "stop", COORDINATOR]).ok();
    release(host);
    until(SOON, "h1 to have gone back by itself", || match &scenario.versions(Shape::Unit)[0] {
        version if version == "v1" && mark.starts(host, Shape::Unit) == 2 => Ok(()),
        version => Err(version.clone()),
    });
    assert_ne!(coordinator.property(COORDINATOR, "ActiveState"), "active", "nobody told it to");

    coordinator.exec(&["systemctl", "start", COORDINATOR]).ok();
    let ran = following.end().exits(6);
    assert!(ran.stdout.contains("went back by itself"), "it says so\n{ran}");
    let report = scenario.report();
    assert_eq!(report.state, State::Ended(Verdict::Failed));
    let h1 = &report.hosts[0];
    assert!(h1.reverted && h1.phase == Phase::Failed, "{h1:?}");
    scenario.all_run(Shape::Unit, "v1");
    let starts: Vec<_> =
        scenario.bed.hosts.iter().map(|host| mark.starts(host, Shape::Unit)).collect();
    assert_eq!(starts, [2, 0, 0, 0, 0], "there and back on h1, and nothing else anywhere");
}

#[test]
fn a_host_that_is_confirmed_stays_where_it_is() {
    let scenario = Scenario::begin("confirmed");
    let manifest =
        scenario.manifest(Shape::Unit).with("confirm_within", "60s").with("max_parallel", "100%");
    scenario.baseline(&scenario.manifest(Shape::Unit), "v1");

    let armed = scenario.rollout(&manifest, "v2").exits(0);
    assert!(armed.stdout.contains("arm the way back"), "{armed}");
    scenario.all_run(Shape::Unit, "v2");
    for host in &scenario.bed.hosts {
        // Nothing is left that could go off.
        let files = host.exec(&["ls", "/var/lib/dv-agent/switches"]).ok();
        assert_eq!(files, "", "switches on {}", host.name);
    }
}

#[test]
fn no_switch_is_armed_where_the_old_code_cannot_live_with_the_migration() {
    let scenario = Scenario::begin("unarmed");
    let manifest = scenario.playbook(["{}", "{}"]).with("confirm_within", "15s");
    scenario.baseline(&manifest, "v2");
    let path = scenario.file("manifest.yaml", &manifest.to_string());
    let plan = scenario.dvctl.run(&["plan", &path, "--version", "v3-reversible"]).ok();
    assert!(plan.contains("no dead-man's switch is armed"), "the plan says so:\n{plan}");
    let plan = scenario.dvctl.run(&["plan", &path, "--version", "v2"]).ok();
    assert!(!plan.contains("no dead-man's switch is armed"), "{plan}");
}

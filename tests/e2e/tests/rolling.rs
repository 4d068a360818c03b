//! A new version goes through the fleet one host at a time, and back, while the service goes on answering.

use dv_e2e::{manifest::Shape, outside::STEADY, scenario::Scenario};
use dv_types::record::Verdict;
use dv_types::report::{Phase, State};

#[test]
fn restarted_units_go_from_v1_to_v2_and_back() {
    there_and_back("rolling-unit", Shape::Unit);
}

#[test]
fn images_by_compose_go_from_v1_to_v2_and_back() {
    there_and_back("rolling-image", Shape::Image);
}

#[test]
fn git_trees_go_from_v1_to_v2_and_back() {
    there_and_back("rolling-git", Shape::Git);
}

/// v1 to v2 and, with one command, back to v1. A client from outside sees at least four hosts answer all the time.
#[track_caller]
fn there_and_back(name: &str, shape: Shape) {
    let scenario = Scenario::begin(name);
    let manifest =
        scenario.manifest(shape).with("min_available", "4").with("min_healthy_time", STEADY);
    scenario.baseline(&manifest, "v1");

    let (mark, client) = (scenario.mark(), scenario.watch(shape));
    scenario.rollout(&manifest, "v2").exits(0);
    let seen = client.stop();
    seen.always_at_least(4);
    assert!(
        !seen.outages().is_empty(),
        "a client that sees no restart sees nothing:\n{}",
        seen.story()
    );
    scenario.all_run(shape, "v2");
    for host in &scenario.bed.hosts {
        assert_eq!(mark.starts(host, shape), 1, "starts on {}", host.name);
    }
    let report = scenario.report();
    assert_eq!(report.state, State::Ended(Verdict::Succeeded));
    assert!(report.hosts.iter().all(|host| host.phase == Phase::Healthy), "{report:#?}");

    let (mark, client) = (scenario.mark(), scenario.watch(shape));
    scenario.dvctl.run(&["rollback", &scenario.service]).exits(0);
    client.stop().always_at_least(4);
    scenario.all_run(shape, "v1");
    for host in &scenario.bed.hosts {
        assert_eq!(mark.starts(host, shape), 1, "starts on {}", host.name);
    }
}

#[test]
fn a_rollback_can_take_all_hosts_back_at_once() {
    let scenario = Scenario::begin("at-once");
    let manifest = scenario.manifest(Shape::Unit).with("min_healthy_time", "2s");
    scenario.baseline(&manifest, "v1");
    scenario.baseline(&manifest, "v2");

    scenario.dvctl.run(&["rollback", &scenario.service, "--all-at-once"]).exits(0);
    scenario.all_run(Shape::Unit, "v1");
    let report = scenario.report();
    assert!(report.hosts.iter().all(|host| host.wave == 1), "one wave: {report:#?}");
    // Each is under way for min_healthy_time at least: all had begun before the first was done.
    let last_begun = report.hosts.iter().map(|host| host.began.expect("begun")).max();
    let first_done = report.hosts.iter().map(|host| host.ended.expect("ended")).min();
    assert!(last_begun < first_done, "all under way together: {report:#?}");
}

#[test]
fn a_rollback_takes_only_the_hosts_back_that_were_changed() {
    let scenario = Scenario::begin("untouched");
    let all = scenario.manifest(Shape::Unit);
    scenario.baseline(&all, "v1");
    let two = scenario.manifest(Shape::Unit).hosts("names: [h2, h4]");
    scenario.rollout(&two, "v2").exits(0);
    assert_eq!(scenario.versions(Shape::Unit), ["v1", "v2", "v1", "v2", "v1"]);

    let mark = scenario.mark();
    scenario.dvctl.run(&["rollback", &scenario.service]).exits(0);
    scenario.all_run(Shape::Unit, "v1");
    let starts: Vec<_> =
        scenario.bed.hosts.iter().map(|host| mark.starts(host, Shape::Unit)).collect();
    assert_eq!(starts, [0, 1, 0, 1, 0]);
}

#[test]
fn batches_grow_and_keep_enough_hosts_available() {
    let scenario = Scenario::begin("batches");
    let manifest = scenario
        .manifest(Shape::Unit)
        .hosts("labels: {role: web}\n  spread: zone")
        .without("max_parallel")
        .with("batches", "[1, 60%, 100%]")
        .with("min_available", "3")
        .with("min_healthy_time", STEADY);
    scenario.baseline(&manifest, "v1");

    let client = scenario.watch(Shape::Unit);
    scenario.rollout(&manifest, "v2").exits(0);
    client.stop().always_at_least(3);
    scenario.all_run(Shape::Unit, "v2");
    let waves: Vec<u32> = scenario.report().hosts.iter().map(|host| host.wave).collect();
    let sizes = [1, 2, 3].map(|wave| waves.iter().filter(|w| **w == wave).count());
    assert_eq!(sizes, [1, 2, 2], "hosts by batch");
}

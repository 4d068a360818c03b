//! Bad input: one clear line that says what to do, and nothing changed.

use std::{fs, os::unix::fs::PermissionsExt as _};

use dv_e2e::{manifest::Shape, scenario::Scenario, shell::Ran, wait::until};

/// It was refused with this code, in few words, among them these; and every host is as before.
#[track_caller]
fn refused(scenario: &Scenario, ran: Ran, code: i32, words: &[&str]) {
    let ran = ran.exits(code);
    for word in words {
        assert!(ran.stderr.contains(word), "it does not say {word:?}\n{ran}");
    }
    let errors = ran.stderr.lines().filter(|line| line.starts_with("error")).count();
    assert_eq!(errors, 1, "one error is said\n{ran}");
    scenario.all_run(Shape::Unit, "v1");
}

#[test]
fn a_manifest_with_errors() {
    let scenario = Scenario::begin("manifest-errors");
    let good = scenario.manifest(Shape::Unit).to_string();
    let unknown_key = good.replace("max_parallel", "max_paralel");
    let path = scenario.file("manifest.yaml", &unknown_key);
    let line = unknown_key.lines().position(|l| l.contains("max_paralel")).expect("there") + 1;
    for verb in [&["validate"][..], &["plan"], &["rollout", "start"]] {
        let mut arguments = [verb, &[path.as_str()]].concat();
        if verb != ["validate"] {
            arguments.extend(["--version", "v2"]);
        }
        let place = format!("manifest.yaml:{line}:");
        refused(&scenario, scenario.dvctl.run(&arguments), 3, &[&place, "max_parallel"]);
    }
}

#[test]
fn a_version_that_does_not_exist() {
    let scenario = Scenario::begin("no-version");
    for shape in [Shape::Image, Shape::Git] {
        let ran = scenario.rollout(&scenario.manifest(shape), "v99");
        refused(&scenario, ran, 3, &["v99"]);
        scenario.all_run(shape, "v1");
    }
}

#[test]
fn hosts_that_do_not_exist() {
    let scenario = Scenario::begin("no-hosts");
    let manifest = scenario.manifest(Shape::Unit).hosts("labels: {role: database}");
    refused(&scenario, scenario.rollout(&manifest, "v2"), 3, &["dvctl hosts"]);
    let manifest = scenario.manifest(Shape::Unit).hosts("names: [h1, h9]");
    refused(&scenario, scenario.rollout(&manifest, "v2"), 3, &["h9"]);
}

#[test]
fn two_rollouts_of_one_service_at_once() {
    let scenario = Scenario::begin("two");
    let manifest = scenario.manifest(Shape::Unit).with("canary", "1");
    scenario.baseline(&manifest, "v1");
    // The first waits for its canary to be promoted.
    scenario.rollout(&manifest, "v2").exits(7);
    let first = scenario.report().rollout.to_string();
    let path = scenario.file("manifest.yaml", &manifest.to_string());
    let second = scenario.dvctl.run(&["rollout", "start", &path, "--version", "v2"]).exits(3);
    assert!(second.stderr.contains(&first), "it names the one that is under way\n{second}");
    assert_eq!(scenario.report().rollout.to_string(), first, "no second one was made");
}

#[test]
fn a_rollout_that_does_not_exist() {
    let scenario = Scenario::begin("no-rollout");
    for verb in ["status", "pause", "resume", "promote", "abort", "explain", "watch"] {
        let ran = scenario.dvctl.run(&["rollout", verb, "r999999"]);
        refused(&scenario, ran, 3, &["r999999"]);
    }
}

#[test]
fn a_coordinator_that_is_away() {
    let scenario = Scenario::begin("away");
    let path = scenario.file("manifest.yaml", &scenario.manifest(Shape::Unit).to_string());
    scenario.bed.coordinator.exec(&["systemctl", "stop", "dv-coordinator.service"]).ok();
    let ran = scenario.dvctl.run(&["rollout", "start", &path, "--version", "v2"]);
    scenario.bed.coordinator.exec(&["systemctl", "start", "dv-coordinator.service"]).ok();
    refused(&scenario, ran, 9, &[&scenario.bed.coordinator.address]);
    until(std::time::Duration::from_secs(30), "the agents to come back by themselves", || {
        scenario.dvctl.all_connected()
    });
}

#[test]
fn a_context_of_another_fleet() {
    let scenario = Scenario::begin("wrong-certificate");
    let path = scenario.file("manifest.yaml", &scenario.manifest(Shape::Unit).to_string());
    let ours = fs::read_to_string(scenario.dvctl.context()).expect("the context can be read");
    let foreign = super::strangers::foreign_context(&ours);
    let context = scenario.file("foreign.yaml", &foreign);
    let start = || {
        let dvctl = scenario.dvctl.with_context(context.clone().into());
        dvctl.run(&["rollout", "start", &path, "--version", "v2"])
    };
    refused(&scenario, start(), 2, &["others can read it", "chmod 600"]);
    fs::set_permissions(&context, fs::Permissions::from_mode(0o600)).expect("it is ours");
    refused(&scenario, start(), 9, &["certificate", "context"]);
}

#[test]
fn ctrl_c_detaches_and_the_rollout_goes_on() {
    let scenario = Scenario::begin("ctrl-c");
    let manifest = scenario.manifest(Shape::Unit);
    scenario.baseline(&manifest, "v1");
    let following = scenario.start(&manifest, "v2");
    following.until_line("h1 to be under way", |line| line.contains("h1"));
    following.signal("INT");
    let ran = following.end().exits(130);
    let id = scenario.report().rollout.to_string();
    assert!(ran.stderr.contains(&format!("rollout watch {id}")), "it says how to follow on\n{ran}");
    scenario.dvctl.run(&["rollout", "watch", &id]).exits(0);
    scenario.all_run(Shape::Unit, "v2");
}

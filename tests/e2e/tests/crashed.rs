//! Programs that die in the middle: the rollout ends as if nothing had happened, and nothing ran twice.

use std::time::Duration;

use dv_e2e::{
    counts::{Mark, works},
    machine::Machine,
    manifest::Shape,
    scenario::Scenario,
    wait::until,
};
use dv_types::{record::Verdict, report::State};

const SOON: Duration = Duration::from_secs(30);

#[test]
fn a_coordinator_that_is_killed_twice_goes_on_where_it_was() {
    let scenario = Scenario::begin("coordinator-killed");
    let manifest =
        scenario.manifest(Shape::Unit).without("max_parallel").with("batches", "[2, 100%]");
    scenario.baseline(&manifest, "v1");
    slow_start(&scenario, "h1 h2 h3 h4 h5");

    let mark = scenario.mark();
    let following = scenario.start(&manifest, "v2");
    // In the first batch, then in the second.
    for batch in [1..=2, 3..=5] {
        let host = until(SOON, "a host of the batch to be in the middle of its restart", || {
            let restarting = |host: &&Machine| state(host, Shape::Unit) == "activating";
            let hosts: Vec<_> = batch.clone().map(|n| scenario.host(&format!("h{n}"))).collect();
            hosts.iter().copied().find(restarting).ok_or("none is")
        });
        scenario.bed.coordinator.kill9("dv-coordinator.service");
        println!("killed the coordinator while {} restarted", host.name);
        until(SOON, "the restart to end", || match state(host, Shape::Unit).as_str() {
            "active" => Ok(()),
            state => Err(state.to_owned()),
        });
    }
    following.end().exits(0);
    succeeded_once(&scenario, &mark, Shape::Unit);
}

#[test]
fn an_agent_that_is_killed_in_the_middle_of_a_restart_does_not_restart_twice() {
    let scenario = Scenario::begin("agent-killed");
    let manifest = scenario.manifest(Shape::Unit);
    scenario.baseline(&manifest, "v1");
    slow_start(&scenario, "h2");

    let mark = scenario.mark();
    let following = scenario.start(&manifest, "v2");
    in_the_middle_of_its_restart(scenario.host("h2"));
    scenario.host("h2").kill9("dv-agent.service");
    following.end().exits(0);
    succeeded_once(&scenario, &mark, Shape::Unit);
}

#[test]
fn an_agent_that_is_killed_while_compose_runs_brings_the_project_up_once() {
    let scenario = Scenario::begin("agent-killed-image");
    let manifest = scenario.manifest(Shape::Image);
    scenario.baseline(&manifest, "v1");

    let mark = scenario.mark();
    let following = scenario.start(&manifest, "v2");
    let host = scenario.host("h2");
    until(SOON, "h2 to run compose", || {
        let found = host.exec(&["pgrep", "--full", "--exact", ".*docker-compose.* up .*"]);
        if found.code == Some(0) { Ok(()) } else { Err("it does not") }
    });
    host.kill9("dv-agent.service");
    following.end().exits(0);
    succeeded_once(&scenario, &mark, Shape::Image);
}

#[test]
fn a_command_that_may_not_be_repeated_is_not_when_its_agent_is_killed() {
    let scenario = Scenario::begin("work");
    let manifest = scenario
        .manifest(Shape::Unit)
        .first("run: {argv: [/usr/local/sbin/bed-work, once, \"5\"]}");
    scenario.baseline(&scenario.manifest(Shape::Unit), "v1");

    let following = scenario.start(&manifest, "v2");
    let host = scenario.host("h1");
    until(SOON, "h1 to begin its work", || match works(host, "once") {
        0 => Err("not begun"),
        _ => Ok(()),
    });
    host.kill9("dv-agent.service");
    let ran = following.end();
    assert_eq!(works(host, "once"), 1, "how often it ran on h1\n{ran}");
    assert!(ran.stdout.contains("unknown"), "it says that the outcome is unknown\n{ran}");
    assert_ne!(ran.code, Some(0), "nobody knows whether it was done\n{ran}");
    for other in &scenario.bed.hosts[1..] {
        assert_eq!(works(other, "once"), 0, "the rollout went on to {}\n{ran}", other.name);
    }
}

#[test]
fn a_host_that_loses_power_in_its_turn_is_finished_when_it_is_back() {
    let scenario = Scenario::begin("power");
    let manifest = scenario.manifest(Shape::Unit).with("lost_after", "30s");
    scenario.baseline(&manifest, "v1");
    slow_start(&scenario, "h3");

    let following = scenario.start(&manifest, "v2");
    let host = scenario.host("h3");
    in_the_middle_of_its_restart(host);
    host.power_off();
    host.power_on().expect("h3 boots");
    following.end().exits(0);
    scenario.all_run(Shape::Unit, "v2");
}

/// The service takes its time to start on these hosts, so that something can happen in the middle.
fn slow_start(scenario: &Scenario, hosts: &str) {
    for host in hosts.split(' ') {
        scenario.host(host).write("/etc/debvisor/knobs/start-delay", "2").expect("the knob is set");
    }
}

#[track_caller]
fn in_the_middle_of_its_restart(host: &Machine) {
    until(SOON, &format!("{} to be in the middle of its restart", host.name), || {
        match state(host, Shape::Unit).as_str() {
            "activating" => Ok(()),
            state => Err(state.to_owned()),
        }
    });
}

fn state(host: &Machine, shape: Shape) -> String {
    host.property(shape.unit(), "ActiveState")
}

/// All hosts run v2, and the service was started once on each since the mark.
#[track_caller]
fn succeeded_once(scenario: &Scenario, mark: &Mark, shape: Shape) {
    scenario.all_run(shape, "v2");
    assert_eq!(scenario.report().state, State::Ended(Verdict::Succeeded));
    let starts: Vec<_> = scenario.bed.hosts.iter().map(|host| mark.starts(host, shape)).collect();
    assert_eq!(starts, [1; 5], "starts on h1 to h5");
}

//! Programs that die in the middle: the rollout ends as if nothing had happened, and nothing ran twice.

use std::time::Duration;

use dv_e2e::{
    counts::{Mark, works},
    held::{hold, in_the_middle_of_its_restart, is_starting, release},
    machine::Machine,
    manifest::Shape,
    scenario::Scenario,
    wait::until,
};
use dv_types::{
    Fact, Record,
    record::Verdict,
    report::{Phase, State},
};

const SOON: Duration = Duration::from_secs(60);
const AGENT: &str = "dv-agent.service";

#[test]
fn a_coordinator_that_is_killed_twice_goes_on_where_it_was() {
    let scenario = Scenario::begin("coordinator-killed");
    let manifest =
        scenario.manifest(Shape::Unit).without("max_parallel").with("batches", "[2, 100%]");
    scenario.baseline(&manifest, "v1");
    scenario.bed.hosts.iter().for_each(hold);

    let mark = scenario.mark();
    let following = scenario.start(&manifest, "v2");
    // In the first batch, then in the second.
    let (first, second) = scenario.bed.hosts.split_at(2);
    let killed_in = [first, second].map(|batch| {
        let host = until(SOON, "a host of the batch to be in the middle of its restart", || {
            batch.iter().find(|host| is_starting(host).is_ok()).ok_or("none is")
        });
        scenario.bed.coordinator.kill9("dv-coordinator.service");
        batch.iter().for_each(release);
        host
    });
    following.end().exits(0);
    succeeded_once(&scenario, &mark, Shape::Unit);
    let journal = scenario.journal(scenario.report().rollout);
    for host in killed_in {
        let during = during_its_restart(&journal, host);
        assert!(
            during.contains(&&Fact::Recovered),
            "{} restarted in one reign: {journal:#?}",
            host.name
        );
    }
}

#[test]
fn an_agent_that_is_killed_in_the_middle_of_a_restart_does_not_restart_twice() {
    let scenario = Scenario::begin("agent-killed");
    let manifest = scenario.manifest(Shape::Unit);
    scenario.baseline(&manifest, "v1");
    let host = scenario.host("h2");
    hold(host);

    let mark = scenario.mark();
    let following = scenario.start(&manifest, "v2");
    in_the_middle_of_its_restart(host);
    host.replace(AGENT);
    release(host);
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
    // Stopped where it was found, it can't come to its end before the agent dies, and then it dies with it.
    until(SOON, "h2 to run compose", || {
        let stop = ["pkill", "--signal", "STOP", "--full", "--exact", ".*docker-compose.* up .*"];
        host.exec(&stop).result().map(drop)
    });
    host.replace(AGENT);
    following.end().exits(0);
    succeeded_once(&scenario, &mark, Shape::Image);
}

#[test]
fn a_command_that_may_not_be_repeated_is_not_when_its_agent_is_killed() {
    let scenario = Scenario::begin("work");
    let manifest = scenario
        .manifest(Shape::Unit)
        .first("run: {argv: [/usr/local/sbin/bed-work, once, \"60\"]}");
    scenario.baseline(&scenario.manifest(Shape::Unit), "v1");

    let following = scenario.start(&manifest, "v2");
    let host = scenario.host("h1");
    until(SOON, "h1 to begin its work", || match works(host, "once") {
        0 => Err("not begun"),
        _ => Ok(()),
    });
    host.replace(AGENT);
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
    let manifest = scenario.manifest(Shape::Unit).with("lost_after", "120s");
    scenario.baseline(&manifest, "v1");
    let host = scenario.host("h3");
    hold(host);

    let following = scenario.start(&manifest, "v2");
    in_the_middle_of_its_restart(host);
    host.power_off();
    host.power_on();
    release(host);
    host.booted().expect("h3 boots");
    following.end().exits(0);
    scenario.all_run(Shape::Unit, "v2");
    let report = scenario.report();
    assert!(report.hosts.iter().all(|host| host.phase == Phase::Healthy), "{report:#?}");
    let journal = scenario.journal(report.rollout);
    let lost = |fact: &Fact| matches!(fact, Fact::Disconnected { host } if host.as_str() == "h3");
    assert!(during_its_restart(&journal, host).into_iter().any(lost), "{journal:#?}");
}

/// What the journal says between a host's command to restart its unit and the outcome.
#[track_caller]
fn during_its_restart<'j>(journal: &'j [Record], host: &Machine) -> Vec<&'j Fact> {
    // The program of this shape: install, restart, verify.
    const RESTART: u32 = 1;
    let facts = || journal.iter().map(|record| &record.fact);
    let told = facts().find_map(|fact| match fact {
        Fact::Commanded { host: to, command, step: RESTART, .. } if to.as_str() == host.name => {
            Some(*command)
        }
        _ => None,
    });
    let told = told.expect("the host was told to restart its unit");
    let is_command =
        |fact: &&Fact| matches!(fact, Fact::Commanded { command, .. } if *command == told);
    let is_outcome =
        |fact: &&Fact| matches!(fact, Fact::Reported { outcome, .. } if outcome.command == told);
    assert!(facts().any(|fact| is_outcome(&fact)), "the restart has an outcome: {journal:#?}");
    facts().skip_while(|f| !is_command(f)).take_while(|f| !is_outcome(f)).collect()
}

/// All hosts run v2, and the service was started once on each since the mark.
#[track_caller]
fn succeeded_once(scenario: &Scenario, mark: &Mark, shape: Shape) {
    scenario.all_run(shape, "v2");
    assert_eq!(scenario.report().state, State::Ended(Verdict::Succeeded));
    let starts: Vec<_> = scenario.bed.hosts.iter().map(|host| mark.starts(host, shape)).collect();
    assert_eq!(starts, [1; 5], "starts on h1 to h5");
}

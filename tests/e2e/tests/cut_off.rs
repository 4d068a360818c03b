//! A host whose network is cut in its turn: the rollout neither hangs nor fails wrongly, and the host follows later.

use std::time::Duration;

use dv_e2e::{
    held::{hold, in_the_middle_of_its_restart, release},
    manifest::Shape,
    scenario::Scenario,
    wait::until,
};
use dv_types::{
    Report,
    record::Verdict,
    report::{Phase, State},
};

const SOON: Duration = Duration::from_secs(60);

#[test]
fn a_host_that_is_cut_off_for_a_moment_goes_on_where_it_was() {
    let scenario = Scenario::begin("moment");
    let manifest = scenario.manifest(Shape::Unit).with("lost_after", "60s");
    scenario.baseline(&manifest, "v1");
    let host = scenario.host("h3");
    hold(host);

    let mark = scenario.mark();
    let following = scenario.start(&manifest, "v2");
    in_the_middle_of_its_restart(host);
    host.cut_off();
    let report = until(SOON, "the coordinator to miss h3", || {
        said_of(&scenario, "h3", |host| !host.connected)
    });
    assert_eq!(report.state, State::Running);
    let explained = scenario.dvctl.run(&["rollout", "explain", &report.rollout.to_string()]).ok();
    assert!(explained.contains("h3") && explained.contains("contact"), "{explained}");

    host.plug_in();
    release(host);
    following.end().exits(0);
    scenario.all_run(Shape::Unit, "v2");
    let starts: Vec<_> = scenario.bed.hosts.iter().map(|h| mark.starts(h, Shape::Unit)).collect();
    assert_eq!(starts, [1; 5], "starts on h1 to h5");
}

#[test]
fn a_host_that_stays_cut_off_is_left_out_and_follows_when_it_is_back() {
    let scenario = Scenario::begin("cut");
    let manifest =
        scenario.manifest(Shape::Unit).with("lost_after", "3s").with("max_unreachable", "1");
    scenario.baseline(&manifest, "v1");
    let host = scenario.host("h3");
    hold(host);

    let mark = scenario.mark();
    let following = scenario.start(&manifest, "v2");
    in_the_middle_of_its_restart(host);
    host.cut_off();
    let ran = following.end().exits(0);
    assert!(
        ran.stdout.contains("h3") && ran.stdout.contains("outcome unknown"),
        "what is known is said\n{ran}"
    );
    let report = scenario.report();
    assert_eq!(report.state, State::Ended(Verdict::Succeeded));
    let phases: Vec<_> = report.hosts.iter().map(|host| host.phase).collect();
    assert_eq!(
        phases,
        [Phase::Healthy, Phase::Healthy, Phase::Unreachable, Phase::Healthy, Phase::Healthy]
    );

    release(host);
    host.plug_in();
    let caught_up = until(SOON, "h3 to be caught up with", || {
        let report = scenario.report();
        match report.state {
            State::Ended(Verdict::Succeeded) if report.hosts.len() == 1 => Ok(report),
            state => Err(format!("{} is {state:?}", report.rollout)),
        }
    });
    assert_eq!(caught_up.hosts[0].name.as_str(), "h3");
    scenario.all_run(Shape::Unit, "v2");
    for other in scenario.bed.hosts.iter().filter(|other| other.name != "h3") {
        assert_eq!(mark.starts(other, Shape::Unit), 1, "starts on {}", other.name);
    }
}

#[test]
fn more_hosts_out_of_reach_than_tolerated_make_it_wait_for_a_person() {
    let scenario = Scenario::begin("many-cut");
    let manifest =
        scenario.manifest(Shape::Unit).with("lost_after", "2s").with("max_unreachable", "1");
    scenario.baseline(&manifest, "v1");
    let host = scenario.host("h1");
    hold(host);

    let following = scenario.start(&manifest, "v2");
    in_the_middle_of_its_restart(host);
    scenario.host("h4").cut_off();
    scenario.host("h5").cut_off();
    following.end().exits(7);

    release(host);
    scenario.host("h4").plug_in();
    scenario.host("h5").plug_in();
    until(SOON, "h4 and h5 to be back", || scenario.dvctl.all_connected());
    let id = scenario.report().rollout.to_string();
    scenario.dvctl.run(&["rollout", "resume", &id, "--reason", "they are back"]).exits(0);
    scenario.dvctl.run(&["rollout", "watch", &id]).exits(0);
    scenario.all_run(Shape::Unit, "v2");
}

/// The report, once it says this of a host.
fn said_of(
    scenario: &Scenario,
    host: &str,
    said: impl Fn(&dv_types::report::HostReport) -> bool,
) -> Result<Report, String> {
    let report = scenario.report();
    let found = report.hosts.iter().find(|h| h.name.as_str() == host).expect("it is in the plan");
    if said(found) { Ok(report) } else { Err(format!("{found:?}")) }
}

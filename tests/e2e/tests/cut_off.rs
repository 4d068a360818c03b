//! A host whose network is cut in its turn: the rollout neither hangs nor fails wrongly, and the host follows later.

use std::time::Duration;

use dv_e2e::{
    bed::{HOSTS, POLICY},
    held::{hold, in_the_middle_of_its_restart, release},
    manifest::Shape,
    scenario::Scenario,
    wait::until,
};
use dv_types::{
    Report,
    plan::Kind,
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

/// Enrolled first and set up afterwards, as people do.
#[test]
fn a_new_host_joins_at_the_version_that_the_service_is_at_when_it_is_ready() {
    let scenario = Scenario::begin("joins");
    let group = scenario.service.as_str();
    let enrol = |name: &str| {
        let zone = HOSTS.iter().find(|(host, _)| *host == name).expect("a host").1;
        let labels = [("role", "web"), ("zone", zone), ("group", group)];
        let token = scenario.dvctl.token(name, &labels).expect("a token");
        let enrol = "dv-agent enrol --token-file -";
        scenario.host(name).exec_with(&["sh", "-c", enrol], token.as_bytes()).ok();
        scenario.host(name).exec(&["systemctl", "restart", "dv-agent.service"]).ok();
        until(SOON, &format!("{name} to be back"), || scenario.dvctl.all_connected());
    };
    enrol("h4");
    let manifest = scenario.manifest(Shape::Unit).hosts(&format!("labels: {{group: {group}}}"));
    scenario.rollout(&manifest, "v2").exits(0);

    let host = scenario.host("h5");
    host.write("/etc/dv-agent/policy.yaml", "units: []\n").expect("written");
    enrol("h5");
    // What it lacks is said, and no failed rollout tells of it.
    until(SOON, "the coordinator to say why h5 waits", || {
        let log = ["journalctl", "--unit", "dv-coordinator", "--lines", "200", "--no-pager"];
        let log = scenario.bed.coordinator.exec(&log).stdout;
        let said = log.lines().any(|line| line.contains("held back"));
        if said { Ok(()) } else { Err("nothing is said") }
    });
    assert_eq!(scenario.report().hosts[0].name.as_str(), "h4");
    host.write("/etc/dv-agent/policy.yaml", POLICY).expect("written");
    let joined = until(SOON, "h5 to join", || {
        let report = scenario.report();
        match (&report.kind, &report.state) {
            (Kind::CatchUp { .. }, State::Ended(Verdict::Succeeded)) => Ok(report),
            other => Err(format!("{other:?}")),
        }
    });
    assert_eq!((joined.hosts.len(), joined.hosts[0].name.as_str()), (1, "h5"));
    assert_eq!(scenario.versions(Shape::Unit), ["v1", "v1", "v1", "v2", "v2"]);
}

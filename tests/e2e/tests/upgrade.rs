//! The agent upgrades itself by a rollout, and goes back likewise. What users of other tools reported: an agent's own
//! upgrade kills the deployment that is under way.

use std::{fs, thread};

use dv_e2e::{machine::Machine, manifest::Shape, scenario::Scenario};
use dv_types::{Fact, OpResult};

const NEW: &str = "9.0.0";

#[test]
fn the_agent_upgrades_itself_by_a_rollout_and_goes_back() {
    let scenario = Scenario::begin("upgrade");
    let old = installed(scenario.host("h1"));
    assert_ne!(old, NEW, "an earlier test has left it");
    thread::scope(|scope| {
        for host in &scenario.bed.hosts {
            scope.spawn(|| host.script(&packages()).ok());
        }
    });
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/examples/dv-agent.yaml");
    let example = fs::read_to_string(example).expect("it is there");
    let quick = example
        .replace("service: dv-agent", &format!("service: {}", scenario.service))
        .replace("min_healthy_time: 30s", "min_healthy_time: 1s");
    let file = scenario.file("dv-agent.yaml", &quick);
    let rollout = |version: &str| {
        let ran = scenario.dvctl.run(&["rollout", "start", &file, "--version", version]);
        ran.exits(0);
        scenario.report().rollout
    };
    rollout(&old);

    let mark = scenario.mark();
    let id = rollout(NEW);
    assert_eq!(agents(&scenario), [NEW; 5]);
    for host in &scenario.bed.hosts {
        assert_eq!(installed(host), NEW);
        // It makes room when the package is there, and restarts its own unit when it is told to.
        let starts = mark.unit_starts(host, "dv-agent.service");
        assert!((1..=2).contains(&starts), "{} started its agent {starts} times", host.name);
    }
    // No operation was lost with the agent that did it.
    let results = scenario.journal(id).into_iter().filter_map(|record| match record.fact {
        Fact::Reported { outcome, .. } => Some(outcome.result),
        _ => None,
    });
    let results: Vec<_> = results.collect();
    assert!(results.iter().all(OpResult::is_done), "{results:?}");

    let gated =
        scenario.manifest(Shape::Unit).section("gates", &format!("{{agent_version: \"{NEW}\"}}"));
    let gated = scenario.file("gated.yaml", &gated.to_string().replace(&scenario.service, "gated"));
    let start = ["rollout", "start", &gated, "--version", "v2"];
    scenario.dvctl.run(&start).exits(0);

    scenario.dvctl.run(&["rollback", &scenario.service]).exits(0);
    assert_eq!(agents(&scenario), [old.as_str(); 5]);
    for host in &scenario.bed.hosts {
        assert_eq!(installed(host), old);
    }
    let refused = scenario.dvctl.run(&start);
    assert_ne!(refused.code, Some(0), "{refused}");
    assert!(refused.stdout.contains("upgrade dv-agent"), "{refused}");
}

/// The package that is installed, and the same once more with a higher version.
fn packages() -> String {
    format!(
        "old=$(ls /root/dv-agent_*.deb)\n\
         to=/var/lib/dv-agent/packages\n\
         mkdir -p $to && rm -rf /root/new\n\
         cp \"$old\" $to\n\
         dpkg-deb --raw-extract \"$old\" /root/new\n\
         sed -i 's/^Version: .*/Version: {NEW}/' /root/new/DEBIAN/control\n\
         echo {NEW} >/root/new/usr/lib/dv-agent/version\n\
         dpkg-deb -Znone --root-owner-group --build /root/new $to/dv-agent_{NEW}_all.deb"
    )
}

fn installed(host: &Machine) -> String {
    host.exec(&["dpkg-query", "--show", "--showformat=${Version}", "dv-agent"]).ok()
}

/// The versions that the agents of the five hosts say they have. Others may have enrolled in an earlier test.
fn agents(scenario: &Scenario) -> Vec<String> {
    let hosts = scenario.dvctl.json(&["hosts"]);
    let version = |name: &str| {
        let host = hosts.as_array()?.iter().find(|host| host["name"] == name)?;
        host["agent_version"].as_str().map(str::to_owned)
    };
    let versions = scenario.bed.hosts.iter().map(|host| version(&host.name));
    versions.map(Option::unwrap_or_default).collect()
}

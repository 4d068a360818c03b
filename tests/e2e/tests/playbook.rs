//! The playbook in one rollout: a backup with proof, the migrations, the release, and the log-in that shows that it works.

use std::fs;

use dv_e2e::{database, forge::Forge, load::Load, manifest::Shape, scenario::Scenario};
use dv_types::{
    Evidence, MigrationKind, Report,
    record::Verdict,
    report::{OnceState, State},
};

#[test]
fn one_rollout_carries_out_the_playbook_and_what_happens_once_happened_once() {
    let scenario = Scenario::begin("playbook");
    let bed = &scenario.bed;
    let manifest = scenario
        .playbook(["{}", "{}"])
        .with("canary", "1")
        .with("auto_promote", "true")
        .with("max_parallel", "2");
    scenario.baseline(&manifest, "v1");

    let path = scenario.file("manifest.yaml", &manifest.to_string());
    let plan = scenario.dvctl.run(&["plan", &path, "--version", "v2"]).exits(0).stdout;
    for part in ["backup create", "0002-user-email", "expand", "db upgrade", "smoke"] {
        assert!(plan.contains(part), "the plan says `{part}`:\n{plan}");
    }
    assert_eq!(database::operations(bed), [], "a plan changes nothing");

    let mark = scenario.mark();
    scenario.rollout(&manifest, "v2").exits(0);
    scenario.all_run(Shape::Unit, "v2");
    let starts: Vec<_> = bed.hosts.iter().map(|h| mark.starts(h, Shape::Unit)).collect();
    assert_eq!(starts, [1; 5], "starts on h1 to h5");

    let report = scenario.report();
    assert_eq!(report.state, State::Ended(Verdict::Succeeded));
    let done: Vec<_> =
        database::operations(bed).into_iter().map(|o| (o.what, o.arg, o.done)).collect();
    let tag = format!("pre-deploy-v2-{}", report.rollout);
    let of = |what: &str, arg: &str| (what.to_owned(), arg.to_owned(), true);
    assert_eq!(done, [of("backup create", &tag), of("db upgrade", "v2")]);
    assert_eq!(database::migrations(bed), ["0001-users", "0002-user-email"]);
    assert_eq!(database::addresses(bed, "email"), ["ada@example.com", "grace@example.com"]);
    the_record_has_proof(&scenario, &report);
}

/// P1 to P10 by the example that users begin with, and by its policy. Only its windows are shorter.
#[test]
fn the_example_carries_out_the_whole_playbook() {
    let scenario = Scenario::begin("example");
    let bed = &scenario.bed;
    scenario.baseline(&scenario.manifest(Shape::Unit), "v1");
    let read = |name| {
        let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/examples");
        fs::read_to_string(format!("{examples}/{name}")).expect("it is there")
    };
    for host in &bed.hosts {
        host.write("/etc/dv-agent/policy.yaml", &read("policy.yaml")).expect("written");
    }
    let mut manifest = read("debvisor.yaml");
    for (from, to) in [
        ("service: debvisor", format!("service: {}", scenario.service)),
        ("canary: 5m", "canary: 6s".to_owned()),
        ("duration: 15m", "duration: 5s".to_owned()),
        ("  interval: 10s", "  interval: 500ms".to_owned()),
        ("min_requests: 500", "min_requests: 50".to_owned()),
        ("min_healthy_time: 10s", "min_healthy_time: 1s".to_owned()),
    ] {
        assert!(manifest.contains(from), "the example has `{from}`");
        manifest = manifest.replace(from, &to);
    }
    let path = scenario.file("example.yaml", &manifest);
    let _forge = Forge::begin(bed, "v2");
    let _load = Load::start(bed, 20);

    // It may be a weekend.
    let start = ["rollout", "start", &path, "--version", "v2", "--override", "freeze"];
    let reason = ["--reason", "tests run at any time"];
    scenario.dvctl.run(&[&start[..], &reason[..]].concat()).exits(0);
    scenario.all_run(Shape::Unit, "v2");
    assert_eq!(database::counts(bed, "backup create"), (1, 1));
    assert_eq!(database::counts(bed, "db upgrade"), (1, 1));
    let report = scenario.report();
    let gates: Vec<_> = report.gates.iter().map(|gate| gate.gate.as_str()).collect();
    for gate in ["freeze", "reachable", "clock_skew", "disk", "reviewed", "tests"] {
        assert!(gates.contains(&gate), "it was asked: {gates:?}");
    }
    assert_eq!(report.monitor.len(), 2, "canary and fleet: {:?}", report.monitor);
    the_record_has_proof(&scenario, &report);
    a_ticket_gets_all_of_it(&scenario, &report);
}

/// In each form the report says what was done, shown and overridden.
#[track_caller]
fn a_ticket_gets_all_of_it(scenario: &Scenario, report: &Report) {
    let id = report.rollout.to_string();
    for format in ["text", "json", "html"] {
        let ran = scenario.dvctl.run(&["rollout", "report", &id, "--format", format]).exits(0);
        for part in [
            "tests run at any time",
            "acme/debvisor",
            "0002-user-email",
            &format!("pre-deploy-v2-{id}.dump"),
            &report.plan,
        ] {
            assert!(ran.stdout.contains(part), "the {format} says `{part}`\n{ran}");
        }
    }
}

/// What the rollout's own record says of what happened once is what the hosts say.
#[track_caller]
fn the_record_has_proof(scenario: &Scenario, report: &Report) {
    let names: Vec<_> = report.once.iter().map(|once| once.name.as_str()).collect();
    assert_eq!(names, ["backup", "migrate", "smoke-canary", "smoke"]);
    assert!(report.once.iter().all(|once| once.state == OnceState::Done), "{:#?}", report.once);

    let [backup, migrate, canary, fleet] = &report.once[..] else { unreachable!("as named") };
    let Some(Evidence::Backup { size, sha256: Some(sum), file: Some(file), .. }) = &backup.evidence
    else {
        panic!("a backup has proof: {backup:#?}");
    };
    let host = scenario.host(backup.host.as_ref().expect("it ran somewhere").as_str());
    let found = host.exec(&["sha256sum", file]).ok();
    assert_eq!(found.split(' ').next(), Some(sum.as_str()), "the checksum of {file}");
    let found = host.exec(&["stat", "--format=%s", file]).ok();
    assert_eq!(found.trim(), size.to_string(), "the size of {file}");

    let Some(Evidence::Schema { before: Some(before), after: Some(after), changed, .. }) =
        &migrate.evidence
    else {
        panic!("a migration says where the schema stood: {migrate:#?}");
    };
    assert_eq!([before, after], ["0001-users", "0002-user-email"]);
    assert_eq!(*changed, report.migrations);
    assert_eq!(changed[0].kind, MigrationKind::Expand);

    for (smoke, ran) in [(canary, "the canary"), (fleet, "the fleet")] {
        let Some(Evidence::Smoke { requests }) = &smoke.evidence else {
            panic!("a smoke test says what it asked: {smoke:#?}");
        };
        assert_eq!(requests.len(), 2, "what was asked of {ran}: {requests:?}");
    }
}

#[test]
fn a_rollout_without_a_proven_backup_touches_nothing() {
    let scenario = Scenario::begin("unproven");
    let bed = &scenario.bed;
    let manifest = scenario.playbook(["{host: h2}", "{}"]);
    scenario.baseline(&manifest, "v1");
    // The backup is made, and is not what it should be.
    let text = manifest.to_string().replace("checksum: true", "checksum: true, min_size: 1GiB");
    let path = scenario.file("manifest.yaml", &text);

    let mark = scenario.mark();
    let ran = scenario.dvctl.run(&["rollout", "start", &path, "--version", "v2"]).exits(4);
    assert_eq!(database::counts(bed, "backup create"), (1, 1));
    assert!(
        ran.stdout.contains("no proof") && ran.stdout.contains("min_size"),
        "it says why\n{ran}"
    );
    assert_eq!(database::counts(bed, "db upgrade"), (0, 0), "no migration without a backup\n{ran}");
    scenario.all_run(Shape::Unit, "v1");
    let starts: Vec<_> = bed.hosts.iter().map(|h| mark.starts(h, Shape::Unit)).collect();
    assert_eq!(starts, [0; 5], "starts on h1 to h5");
}

#[test]
fn a_plan_that_the_world_has_left_behind_is_refused() {
    let scenario = Scenario::begin("hash");
    let manifest = scenario.playbook(["{}", "{}"]);
    scenario.baseline(&manifest, "v1");
    let path = scenario.file("manifest.yaml", &manifest.to_string());
    let planned = scenario.dvctl.json(&["plan", &path, "--version", "v2"]);
    let hash = planned["hash"].as_str().expect("a plan has a hash").to_owned();

    // Somebody migrates by hand.
    let cli = ["debvisor-release", "run", "v2", "debvisor-cli", "db", "upgrade"];
    scenario.host("h1").exec(&cli).ok();
    let start = ["rollout", "start", &path, "--version", "v2", "--plan", &hash];
    let refused = scenario.dvctl.run(&start).exits(3);
    assert!(refused.stderr.contains("plan"), "it says why\n{refused}");
    scenario.all_run(Shape::Unit, "v1");

    let planned = scenario.dvctl.json(&["plan", &path, "--version", "v2"]);
    let hash = planned["hash"].as_str().expect("a plan has a hash").to_owned();
    scenario.dvctl.run(&["rollout", "start", &path, "--version", "v2", "--plan", &hash]).exits(0);
    scenario.all_run(Shape::Unit, "v2");
}

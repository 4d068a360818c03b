//! A version that never becomes ready is stopped where it fails, and what it touched comes back by itself.

use dv_e2e::{manifest::Shape, outside::STEADY, scenario::Scenario};

#[test]
fn a_bad_version_stops_at_the_canary_which_comes_back() {
    let scenario = Scenario::begin("canary");
    let manifest = scenario
        .manifest(Shape::Unit)
        .with("canary", "1")
        .with("auto_promote", "true")
        .with("min_healthy_time", STEADY)
        .with("healthy_deadline", "8s");
    scenario.baseline(&manifest, "v2");

    let (mark, client) = (scenario.mark(), scenario.watch(Shape::Unit));
    scenario.rollout(&manifest, "v3").exits(6);
    client.stop().always_at_least(4);
    scenario.all_run(Shape::Unit, "v2");
    let starts: Vec<_> =
        scenario.bed.hosts.iter().map(|host| mark.starts(host, Shape::Unit)).collect();
    // One start into v3 and one back, on the canary alone.
    assert_eq!(starts.iter().sum::<usize>(), 2, "starts {starts:?}");
    assert_eq!(starts.iter().filter(|n| **n > 0).count(), 1, "starts {starts:?}");

    // What was rolled back is bad, and a person must say why it should go out again.
    let path = scenario.file("manifest.yaml", &manifest.to_string());
    let again = ["rollout", "start", &path, "--version", "v3"];
    let refused = scenario.dvctl.run(&again).exits(3);
    assert!(refused.stderr.contains("--force"), "it says what to do\n{refused}");
    let with_reason = [&again[..], &["--force", "--reason", "the defect is cured"]].concat();
    scenario.dvctl.run(&with_reason).exits(6);
    scenario.all_run(Shape::Unit, "v2");
}

#[test]
fn a_bad_image_stops_at_the_canary_which_gets_its_own_digest_back() {
    let scenario = Scenario::begin("canary-image");
    let manifest = scenario
        .manifest(Shape::Image)
        .with("canary", "1")
        .with("auto_promote", "true")
        .with("healthy_deadline", "3s");
    scenario.baseline(&manifest, "v2");
    let running = || -> Vec<String> {
        let image = ["docker", "inspect", "--format", "{{.Image}}", "debvisor"];
        scenario.bed.hosts.iter().map(|host| host.exec(&image).ok()).collect()
    };
    let before = running();

    scenario.rollout(&manifest, "v3").exits(6);
    scenario.all_run(Shape::Image, "v2");
    assert_eq!(running(), before, "the images that the hosts run");
}

#[test]
fn a_failure_at_the_fourth_host_takes_four_back_and_leaves_the_fifth_alone() {
    let scenario = Scenario::begin("fourth");
    let manifest = scenario
        .manifest(Shape::Unit)
        .with("min_healthy_time", STEADY)
        .with("healthy_deadline", "8s");
    scenario.baseline(&manifest, "v2");
    for host in ["h1", "h2", "h3", "h5"] {
        scenario.host(host).write("/etc/debvisor/knobs/cured", "v3").expect("the knob is set");
    }

    let (mark, client) = (scenario.mark(), scenario.watch(Shape::Unit));
    scenario.rollout(&manifest, "v3").exits(6);
    client.stop().always_at_least(4);
    scenario.all_run(Shape::Unit, "v2");
    let starts: Vec<_> =
        scenario.bed.hosts.iter().map(|host| mark.starts(host, Shape::Unit)).collect();
    assert_eq!(starts, [2, 2, 2, 2, 0], "starts on h1 to h5");
}

#[test]
fn on_failure_pause_waits_for_a_person_and_says_so() {
    let scenario = Scenario::begin("pause");
    let manifest =
        scenario.manifest(Shape::Unit).with("on_failure", "pause").with("healthy_deadline", "3s");
    scenario.baseline(&manifest, "v2");

    scenario.rollout(&manifest, "v3").exits(7);
    assert_eq!(scenario.versions(Shape::Unit), ["v3", "v2", "v2", "v2", "v2"]);
    let id = scenario.report().rollout.to_string();
    let explained = scenario.dvctl.run(&["rollout", "explain", &id]).ok();
    assert!(explained.contains("rollout resume"), "it says what ends the wait:\n{explained}");

    scenario.dvctl.run(&["rollback", &scenario.service]).exits(0);
    scenario.all_run(Shape::Unit, "v2");
}

#[test]
fn a_command_that_does_not_end_is_ended_with_all_that_it_started() {
    let scenario = Scenario::begin("endless");
    let manifest = scenario
        .manifest(Shape::Unit)
        .first("run: {argv: [/usr/local/sbin/bed-work, endless, \"7777\"], timeout: 2s}");
    scenario.baseline(&scenario.manifest(Shape::Unit), "v1");

    let ran = scenario.rollout(&manifest, "v2");
    assert!(matches!(ran.code, Some(4..=6)), "it failed\n{ran}");
    assert!(ran.stdout.contains("work endless begins"), "what it printed is kept\n{ran}");
    assert!(ran.stdout.contains("timed out"), "it says why\n{ran}");
    let left = scenario.host("h1").exec(&["pgrep", "--full", "sleep 7777"]);
    assert_eq!(left.code, Some(1), "its child still runs\n{left}");
    scenario.all_run(Shape::Unit, "v1");
}

#[test]
fn a_unit_on_which_systemd_gave_up_is_restarted_all_the_same() {
    let scenario = Scenario::begin("start-limit");
    let manifest = scenario.manifest(Shape::Unit);
    scenario.baseline(&manifest, "v1");
    let host = scenario.host("h2");
    // As after a release that crashes in a loop: until systemd's start limit, for the next hour.
    host.write(
        "/run/systemd/system/debvisor.service.d/limit.conf",
        "[Unit]\nStartLimitIntervalSec=1h\nStartLimitBurst=3\n",
    )
    .expect("the limit is set");
    host.script("systemctl daemon-reload; while systemctl restart debvisor; do :; done").ok();
    let result = host.exec(&["systemctl", "show", "--property=Result", "--value", "debvisor"]);
    assert_eq!(result.ok().trim(), "start-limit-hit");

    scenario.rollout(&manifest, "v2").exits(0);
    scenario.all_run(Shape::Unit, "v2");
    scenario.dvctl.run(&["rollback", &scenario.service]).exits(0);
    scenario.all_run(Shape::Unit, "v1");
}

#[test]
fn a_unit_that_does_not_start_says_why_in_its_own_words() {
    let scenario = Scenario::begin("last-words");
    let manifest = scenario.manifest(Shape::Unit);
    scenario.baseline(&manifest, "v1");
    scenario
        .host("h1")
        .write(
            "/run/systemd/system/debvisor.service.d/check.conf",
            "[Service]\nExecStartPre=/bin/sh -c 'grep -q v1 /opt/debvisor/current/release.json && exit; \
             echo the table is missing; exit 3'\n",
        )
        .expect("the check is set");
    scenario.host("h1").script("systemctl daemon-reload").ok();

    let ran = scenario.rollout(&manifest, "v2").exits(6);
    let failed = "systemd's job ended with \"failed\"; debvisor.service is failed";
    assert!(ran.stdout.contains(failed), "what failed is said\n{ran}");
    assert!(ran.stdout.contains("the table is missing"), "the unit's last words are shown\n{ran}");
    scenario.all_run(Shape::Unit, "v1");
}

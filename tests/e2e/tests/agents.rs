//! Agents outlive what happens to their hosts. What users of other tools reported: a hung child, a hung Docker or a hung
//! mount freezes the agent, and with it every deployment and all monitoring.

use std::time::Duration;

use dv_e2e::{bed::POLICY, manifest::Shape, scenario::Scenario, wait::until};
use dv_types::report::{Phase, State};

const SOON: Duration = Duration::from_secs(60);
const PULL: &str = "image: {repository: \"registry.bed:5000/debvisor/debvisor\", timeout: 5s}";

#[test]
fn a_docker_that_hangs_fails_its_host_by_the_deadline_and_nothing_else() {
    let scenario = Scenario::begin("docker-hung");
    let image = scenario.manifest(Shape::Image).only(PULL).with("min_healthy_time", "2s");
    let image = image.with("on_failure", "continue").with("max_failures", "1");
    let following = scenario.start(&image, "v2");
    until(SOON, "the first host to be under way", || {
        let report = scenario.try_report()?;
        let begun = report.hosts.iter().any(|host| host.phase != Phase::Pending);
        if begun { Ok(()) } else { Err("none is".to_owned()) }
    });
    // Its turn is still to come.
    let report = scenario.report();
    let last = report.hosts.iter().rfind(|host| host.phase == Phase::Pending).expect("one waits");
    let host = scenario.host(last.name.as_str());
    host.exec(&["pkill", "--signal", "STOP", "--exact", "dockerd"]).ok();

    let ran = following.end();
    let report = scenario.report();
    let hung = report.hosts.iter().find(|h| h.name.as_str() == host.name).expect("it is in it");
    assert_eq!((hung.phase, hung.connected), (Phase::Failed, true), "{ran}");
    assert!(hung.why.as_deref().is_some_and(|why| why.contains("within")), "{:?}", hung.why);
    assert_eq!(report.totals.healthy, 4, "{ran}");
    // Docker hangs still, and everything else of this host goes on.
    let unit = scenario.manifest(Shape::Unit).hosts(&format!("names: [{}]", host.name));
    let other = scenario.file("other.yaml", &unit.to_string().replace(&scenario.service, "other"));
    scenario.dvctl.run(&["rollout", "start", &other, "--version", "v2"]).exits(0);
    host.exec(&["pkill", "--signal", "CONT", "--exact", "dockerd"]).ok();
}

/// A file system whose server never answers, by the kernel's own means: whoever looks at it waits. It is mounted where
/// the agent sees it.
const HANG: &str = "\
mkdir -p /srv/hung
test -e /dev/fuse || mknod /dev/fuse c 10 229
cat >/usr/local/sbin/bed-hang <<'END'
import ctypes, os, signal, sys
libc = ctypes.CDLL(None, use_errno=True)
fuse = os.open('/dev/fuse', os.O_RDWR)
if libc.setns(os.open(f'/proc/{sys.argv[1]}/ns/mnt', os.O_RDONLY), 0x20000):
    raise SystemExit(os.strerror(ctypes.get_errno()))
options = f'fd={fuse},rootmode=40000,user_id=0,group_id=0,allow_other'.encode()
if libc.mount(b'bed-hang', b'/srv/hung', b'fuse', 0, options):
    raise SystemExit(os.strerror(ctypes.get_errno()))
signal.pause()
END
agent=$(systemctl show --value --property=MainPID dv-agent)
systemd-run --quiet --collect --unit=bed-hang python3 /usr/local/sbin/bed-hang \"$agent\"
until grep -q ' /srv/hung ' \"/proc/$agent/mounts\"; do
    systemctl --quiet is-active bed-hang
    sleep 0.05
done";

#[test]
fn a_file_system_that_hangs_fails_what_needs_it_and_nothing_else() {
    let scenario = Scenario::begin("fs-hung");
    let host = scenario.host("h2");
    let policy = POLICY.replace("commands:\n", "commands:\n  - [/srv/hung/tool]\n");
    assert_ne!(policy, POLICY);
    host.write("/etc/dv-agent/policy.yaml", &policy).expect("written");
    host.script("mkdir -p /srv/hung && ln -sf /bin/true /srv/hung/tool").ok();
    let manifest = scenario
        .manifest(Shape::Unit)
        .hosts("names: [h2]")
        .only("run: {argv: [/srv/hung/tool], timeout: 5s, repeatable: true}")
        .first("run: {argv: [/usr/local/sbin/bed-work, before, \"6\"]}")
        .with("on_failure", "continue");
    let following = scenario.start(&manifest, "v2");
    until(SOON, "the step before it to begin", || {
        host.exec(&["test", "-e", "/var/lib/bed/work/before"]).result()
    });
    host.script(HANG).ok();
    let restarts = || host.property("dv-agent.service", "NRestarts");
    let before = restarts();
    let ran = following.end();
    let report = scenario.report();
    let hung = &report.hosts[0];
    assert!(matches!(report.state, State::Ended(_)), "{ran}");
    assert_eq!((hung.phase, hung.connected), (Phase::Failed, true), "{ran}");
    assert!(ran.stdout.contains("/srv/hung/tool"), "{ran}");

    // It hangs still: a plan says so, and the host is asked and worked on.
    let plan = scenario.file("plan.yaml", &manifest.to_string());
    let refused = scenario.dvctl.run(&["plan", &plan, "--version", "v2"]);
    assert!(
        refused.stdout.contains("no answer") || refused.stderr.contains("no answer"),
        "{refused}"
    );
    let unit = scenario.manifest(Shape::Unit).hosts("names: [h2]");
    let other = scenario.file("other.yaml", &unit.to_string().replace(&scenario.service, "other"));
    scenario.dvctl.run(&["rollout", "start", &other, "--version", "v2"]).exits(0);
    assert_eq!(restarts(), before, "the watchdog found the agent alive");
    host.exec(&["systemctl", "stop", "bed-hang.service"]).ok();
    // Its next start has not got the mount any more.
    host.exec(&["systemctl", "restart", "dv-agent.service"]).ok();
}

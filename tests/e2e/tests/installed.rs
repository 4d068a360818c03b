//! What the packages leave on a host.

use std::fs;

use dv_e2e::scenario::Scenario;

#[test]
fn the_units_run_tell_the_truth_and_survive_a_check() {
    let scenario = Scenario::begin("installed");
    let (host, coordinator) = (scenario.host("h1"), &scenario.bed.coordinator);
    for (machine, unit) in [(host, "dv-agent.service"), (coordinator, "dv-coordinator.service")] {
        assert_eq!(machine.property(unit, "ActiveState"), "active");
        assert_eq!(machine.property(unit, "Type"), "notify");
        assert_ne!(machine.property(unit, "WatchdogUSec"), "0");
        assert_eq!(machine.property(unit, "UnitFileState"), "enabled");
        machine.exec(&["systemd-analyze", "verify", unit]).ok();
    }
    let agent = host.property("dv-agent.service", "StatusText");
    assert!(agent.contains("connected to coordinator.bed:7443"), "{agent}");
    let status = coordinator.property("dv-coordinator.service", "StatusText");
    assert!(status.starts_with("5 of "), "{status}");
    assert_eq!(coordinator.property("dv-coordinator.service", "User"), "dv-coordinator");
}

/// sled takes sync_file_range for an fsync, which it is not; refused, it falls back to the real one.
#[test]
fn the_coordinators_unit_refuses_sync_file_range() {
    let scenario = Scenario::begin("sync");
    let unit = scenario.bed.coordinator.exec(&["systemctl", "cat", "dv-coordinator.service"]).ok();
    let filters = unit.lines().filter(|line| line.starts_with("SystemCall"));
    let mut probe: Vec<String> =
        ["systemd-run", "--quiet", "--wait", "--pipe"].map(str::to_owned).into();
    probe.extend(filters.map(|line| format!("--property={line}")));
    assert!(probe.len() > 4, "the unit filters system calls:\n{unit}");
    let call = "import ctypes, os\n\
        libc = ctypes.CDLL(None, use_errno=True)\n\
        print(libc.sync_file_range(1, 0, 0, 0), os.strerror(ctypes.get_errno()))";
    probe.extend(["python3", "-c", call].map(str::to_owned));
    assert_eq!(scenario.bed.coordinator.exec(&probe).ok().trim(), "-1 Function not implemented");
}

#[test]
fn no_port_is_opened_on_a_host() {
    let scenario = Scenario::begin("ports");
    let listening = scenario
        .host("h1")
        .exec(&["ss", "--no-header", "--numeric", "--listening", "--processes", "--tcp", "--udp"])
        .ok();
    assert!(listening.contains("8080"), "ss sees the service:\n{listening}");
    assert!(!listening.contains("dv-agent"), "{listening}");
}

#[test]
fn secrets_are_readable_by_their_owner_only() {
    let scenario = Scenario::begin("secrets");
    let mode = |machine: &dv_e2e::machine::Machine, path| {
        machine.exec(&["stat", "--format", "%a %U", path]).ok().trim().to_owned()
    };
    assert_eq!(mode(scenario.host("h1"), "/var/lib/dv-agent/identity/key.pem"), "600 root");
    let admin = "/var/lib/dv-coordinator/operator/admin.yaml";
    assert_eq!(mode(&scenario.bed.coordinator, admin), "600 dv-coordinator");
    assert_eq!(mode(&scenario.bed.coordinator, "/var/lib/dv-coordinator"), "700 dv-coordinator");
}

#[test]
fn completions_come_with_dvctl() {
    let scenario = Scenario::begin("completions");
    for path in [
        "/usr/share/bash-completion/completions/dvctl",
        "/usr/share/zsh/vendor-completions/_dvctl",
        "/usr/share/fish/vendor_completions.d/dvctl.fish",
    ] {
        let script = scenario.bed.coordinator.exec(&["cat", path]).ok();
        assert!(script.contains("rollback"), "{path}");
    }
}

#[test]
fn the_examples_are_right() {
    let scenario = Scenario::begin("examples");
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/examples");
    let policy = fs::read_to_string(format!("{examples}/policy.yaml")).expect("it is there");
    scenario.host("h1").write("/root/policy.yaml", &policy).expect("written");
    scenario.host("h1").exec(&["dv-agent", "policy", "check", "/root/policy.yaml"]).ok();
    for name in [
        "debvisor.yaml",
        "debvisor-unit.yaml",
        "debvisor-image.yaml",
        "debvisor-git.yaml",
        "dv-agent.yaml",
    ] {
        scenario.dvctl.run(&["validate", &format!("{examples}/{name}")]).ok();
    }
}

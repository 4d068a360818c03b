//! What each kind of machine gets, after it has booted.

use std::{path::Path, process::Command, time::Duration};

use super::{Bed, PORT, REPOSITORY, root};
use crate::{machine::Machine, shell, wait::eventually};

/// Database, cache, registry and git server, with the service's releases as tags.
pub(crate) fn infra(bed: &Bed) -> Result<(), String> {
    bed.infra.unpack("/usr/share/debvisor", &service_tree()?)?;
    bed.infra.script(include_str!("../../../bed/provision/infra")).result().map(drop)
}

/// The service at v1 in its three shapes.
pub(crate) fn service(bed: &Bed, host: &Machine) -> Result<(), String> {
    host.unpack("/usr/share/debvisor", &service_tree()?)?;
    let settings = format!("DEBVISOR_IMAGE={REPOSITORY}\nDEBVISOR_INFRA={}\n", bed.infra.address);
    host.write("/srv/debvisor/.env", &settings)?;
    host.script(include_str!("../../../bed/provision/host")).result().map(drop)
}

/// The coordinator from its package. Gives the first operator's context.
pub(crate) fn coordinator(bed: &Bed, package: &Path, dvctl: &Path) -> Result<String, String> {
    let machine = &bed.coordinator;
    machine.unpack("/usr/share/forge", &tree("tests/forge")?)?;
    let config = format!(
        "listen: 0.0.0.0:{PORT}\nnames: [coordinator.bed, {}]\nstate_dir: /var/lib/dv-coordinator\nheartbeat: 1s\n{SOURCES}",
        machine.address
    );
    // A configuration that is there before the package stays.
    machine.write("/etc/dv-coordinator/coordinator.yaml", &config)?;
    install(machine, package)?;
    install(machine, dvctl)?;
    // The stub's own, which is known to everybody (tests/forge/example.json); the file is kept as a real one would be.
    machine
        .script(
            "echo forge-token-7276 | install -m 640 -o root -g dv-coordinator /dev/stdin /etc/dv-coordinator/forge.token",
        )
        .result()?;
    eventually(Duration::from_secs(20), "the coordinator to be ready", || {
        let state = machine.exec(&["systemctl", "is-active", "dv-coordinator.service"]);
        if state.code == Some(0) { Ok(()) } else { Err(log(machine, "dv-coordinator.service")) }
    })?;
    machine.exec(&["cat", "/var/lib/dv-coordinator/operator/admin.yaml"]).result()
}

/// Where gates and monitors ask.
const SOURCES: &str = "\
forges:
  github: {kind: github, url: \"http://127.0.0.1:8099/api/v3\", token_file: /etc/dv-coordinator/forge.token}
  gitlab: {kind: gitlab, url: \"http://127.0.0.1:8099\", token_file: /etc/dv-coordinator/forge.token}
  gitea: {kind: gitea, url: \"http://127.0.0.1:8099\", token_file: /etc/dv-coordinator/forge.token}
prometheus:
  main: {url: \"http://database.bed:9090\"}
";

/// The agent from its package, enrolled with a token.
pub(crate) fn agent(bed: &Bed, host: &Machine, zone: &str, package: &Path) -> Result<(), String> {
    host.write("/etc/dv-agent/agent.yaml", &format!("coordinator: coordinator.bed:{PORT}\n"))?;
    host.write("/etc/dv-agent/policy.yaml", POLICY)?;
    install(host, package)?;
    let token = bed.dvctl().token(&host.name, &[("role", "web"), ("zone", zone)])?;
    host.exec_with(
        &[
            "dv-agent",
            "enrol",
            "--config",
            "/etc/dv-agent/agent.yaml",
            "--token-file",
            "-",
            "--host",
            &host.name,
        ],
        token.as_bytes(),
    )
    .result()?;
    host.exec(&["systemctl", "start", "dv-agent.service"])
        .result()
        .map(drop)
        .map_err(|why| format!("{why}\n{}", log(host, "dv-agent.service")))
}

/// What the hosts' policy allows.
pub const POLICY: &str = include_str!("../../../bed/policy.yaml");

fn install(machine: &Machine, package: &Path) -> Result<(), String> {
    let name = package.file_name().unwrap_or_default().to_string_lossy();
    let there = format!("/root/{name}");
    machine.copy_in(&package.display().to_string(), &there)?;
    machine.exec(&["dpkg", "--install", "--force-confold", &there]).result().map(drop)
}

fn log(machine: &Machine, unit: &str) -> String {
    machine.exec(&["journalctl", "--no-pager", "--lines=30", "--unit", unit]).stdout
}

/// The service's files, as a tar archive.
fn service_tree() -> Result<Vec<u8>, String> {
    tree("tests/service")
}

/// The files of a directory of the workspace, as a tar archive.
fn tree(directory: &str) -> Result<Vec<u8>, String> {
    let mut tar = Command::new("tar");
    tar.arg("-C").arg(root().join(directory));
    tar.args(["--exclude=__pycache__", "--owner=0", "--group=0", "-c", "."]);
    shell::bytes_of(&mut tar)
}

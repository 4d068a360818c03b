//! One machine of the bed: a container whose first process is systemd.

use std::{process::Command, time::Duration};

use crate::{
    docker::{docker, docker_with},
    shell::{self, Ran},
    wait::{eventually, until},
};

/// How long a command on a machine may take.
const LIMIT: Duration = Duration::from_secs(120);

/// A machine, by its name in the bed (`h1`), its container's name and its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// As it calls itself.
    pub name: String,
    /// As the machine's engine calls it.
    pub container: String,
    /// Its network.
    pub network: String,
    /// Its address there.
    pub address: String,
}

impl Machine {
    /// Runs a program on it.
    pub fn exec<S: AsRef<str>>(&self, argv: &[S]) -> Ran {
        self.exec_with(argv, &[])
    }

    /// Runs a program on it with `input` on its standard input.
    pub fn exec_with<S: AsRef<str>>(&self, argv: &[S], input: &[u8]) -> Ran {
        let mut command = Command::new("docker");
        command.args(["exec", "-i", &self.container]).args(argv.iter().map(AsRef::as_ref));
        shell::run_with(&mut command, input, LIMIT)
    }

    /// Runs a shell script on it; each of its commands must succeed.
    pub fn script(&self, script: &str) -> Ran {
        self.exec_with(&["sh", "-eus"], script.as_bytes())
    }

    /// Writes a file on it.
    pub fn write(&self, path: &str, text: &str) -> Result<(), String> {
        let script = format!("mkdir -p \"$(dirname '{path}')\" && cat >'{path}'");
        self.exec_with(&["sh", "-c", &script], text.as_bytes()).result().map(drop)
    }

    /// Unpacks a tar archive on it.
    pub fn unpack(&self, directory: &str, tar: &[u8]) -> Result<(), String> {
        let script = format!("mkdir -p '{directory}' && tar -x -C '{directory}'");
        self.exec_with(&["sh", "-c", &script], tar).result().map(drop)
    }

    /// Waits until systemd has brought everything up.
    pub fn booted(&self) -> Result<(), String> {
        eventually(Duration::from_secs(60), &format!("{} to boot", self.name), || {
            let ran = self.exec(&["systemctl", "is-system-running", "--wait"]);
            match ran.stdout.trim() {
                "running" => Ok(()),
                "degraded" => {
                    Err(format!("degraded:\n{}", self.exec(&["systemctl", "--failed"]).stdout))
                }
                _ => Err(ran.to_string()),
            }
        })
    }

    /// A property of a unit, as `systemctl show` gives it.
    #[must_use]
    pub fn property(&self, unit: &str, property: &str) -> String {
        let ran = self.exec(&["systemctl", "show", "--value", "--property", property, unit]);
        ran.ok().trim().to_owned()
    }

    /// kill -9 of a unit's main process.
    pub fn kill9(&self, unit: &str) {
        self.exec(&["systemctl", "kill", "--kill-who=main", "--signal=KILL", unit]).ok();
    }

    /// Stops a unit's main process where it is; it goes on by [`Machine::thaw`], or dies by [`Machine::kill9`].
    pub fn freeze(&self, unit: &str) {
        self.exec(&["systemctl", "kill", "--kill-who=main", "--signal=STOP", unit]).ok();
    }

    /// Lets it go on.
    pub fn thaw(&self, unit: &str) {
        self.exec(&["systemctl", "kill", "--kill-who=main", "--signal=CONT", unit]).ok();
    }

    /// kill -9 of a unit's main process; waits until systemd has started another.
    #[track_caller]
    pub fn replace(&self, unit: &str) {
        let killed = self.property(unit, "MainPID");
        self.kill9(unit);
        until(Duration::from_secs(60), &format!("{} to have another {unit}", self.name), || {
            let seen = (self.property(unit, "ActiveState"), self.property(unit, "MainPID"));
            if seen.0 == "active" && seen.1 != killed { Ok(()) } else { Err(format!("{seen:?}")) }
        });
    }

    /// Pulls its network cable.
    pub fn cut_off(&self) {
        docker(&["network", "disconnect", &self.network, &self.container]).ok();
    }

    /// Plugs its network cable in again, where it is not.
    pub fn plug_in(&self) {
        let connected = docker(&[
            "inspect",
            "--format",
            "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}",
            &self.container,
        ])
        .ok();
        if !connected.split_whitespace().any(|network| network == self.network) {
            docker(&["network", "connect", "--ip", &self.address, &self.network, &self.container])
                .ok();
        }
    }

    /// Cuts its power.
    pub fn power_off(&self) {
        docker(&["kill", &self.container]).ok();
    }

    /// Gives it power; it boots ([`Machine::booted`]).
    pub fn power_on(&self) {
        docker(&["start", &self.container]).ok();
    }

    /// Copies a file of the outer machine to it.
    pub fn copy_in(&self, from: &str, to: &str) -> Result<(), String> {
        docker(&["cp", from, &format!("{}:{to}", self.container)]).result().map(drop)
    }

    /// Starts a container for it. systemd, and an engine of its own, run inside.
    pub(crate) fn create(&self, label: &str, image: &str, more: &[String]) -> Result<(), String> {
        let mut arguments: Vec<String> = [
            "run",
            "--detach",
            "--name",
            &self.container,
            "--hostname",
            &self.name,
            "--label",
            label,
            "--network",
            &self.network,
            "--ip",
            &self.address,
            "--stop-signal",
            "SIGRTMIN+3",
            // All that `--privileged` gives and this engine may give: it fails where the engine itself has not
            // all capabilities.
            "--cap-add",
            "ALL",
            "--cap-drop",
            "SYS_RESOURCE",
            "--security-opt",
            "seccomp=unconfined",
            "--security-opt",
            "apparmor=unconfined",
            "--device-cgroup-rule",
            "a *:* rwm",
            "--cgroupns",
            "host",
            "--volume",
            "/sys/fs/cgroup:/sys/fs/cgroup:rw",
            "--tmpfs",
            "/run",
            "--tmpfs",
            "/run/lock",
            "--tmpfs",
            "/tmp",
            // overlay2 does not work on top of itself.
            "--volume",
            "/var/lib/docker",
        ]
        .iter()
        .map(ToString::to_string)
        .collect();
        arguments.extend_from_slice(more);
        arguments.push(image.to_owned());
        docker_with(&arguments, &[]).result().map(drop)
    }
}

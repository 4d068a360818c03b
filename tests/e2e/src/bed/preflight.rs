//! What a machine must offer before a bed can stand on it.

use std::{
    fmt, fs,
    os::unix::fs::MetadataExt,
    process::{Command, Stdio},
    time::Duration,
};

use crate::{docker::docker, shell, wait::eventually};

/// The tests on real hosts can't be run on this machine.
#[derive(Debug)]
pub struct LeftOut(String);

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LEFT OUT: the tests on five real hosts (package dv-e2e), because {}", self.0)
    }
}

/// Installs and starts what is missing, and says so; or says what can't be had.
pub(crate) fn prepare(say: &dyn Fn(&str)) -> Result<(), LeftOut> {
    let root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    if !root {
        return Err(LeftOut("hosts with systemd can be made by root only".to_owned()));
    }
    if !runs("docker", "--version") {
        install("docker.io", say)?;
    }
    engine(say)?;
    if !runs("mmdebstrap", "--version") {
        install("mmdebstrap", say)?;
    }
    watches(say);
    Ok(())
}

/// systemd and what it starts watch files; seven of them on one kernel come near its default of 128 watchers
/// for each user, and beyond it units fail.
fn watches(say: &dyn Fn(&str)) {
    const LIMIT: &str = "/proc/sys/fs/inotify/max_user_instances";
    const ENOUGH: u32 = 1024;
    let now = fs::read_to_string(LIMIT).ok().and_then(|text| text.trim().parse().ok());
    if now.is_some_and(|now: u32| now < ENOUGH) {
        match fs::write(LIMIT, ENOUGH.to_string()) {
            Ok(()) => say(&format!("fs.inotify.max_user_instances is raised to {ENOUGH}")),
            Err(why) => say(&format!("fs.inotify.max_user_instances stays low: {why}")),
        }
    }
}

/// Waits for the engine; starts one where none runs.
fn engine(say: &dyn Fn(&str)) -> Result<(), LeftOut> {
    let answers = || docker(&["info", "--format", "{{.ServerVersion}}"]).result();
    if answers().is_ok() {
        return Ok(());
    }
    say("no Docker Engine answers, so one is started: dockerd (its log: /var/log/dockerd.log)");
    let log = fs::File::create("/var/log/dockerd.log").map_err(|why| LeftOut(why.to_string()))?;
    // In a session of its own: it stays when we end.
    Command::new("setsid")
        .arg("dockerd")
        .stdin(Stdio::null())
        .stdout(log.try_clone().map_err(|why| LeftOut(why.to_string()))?)
        .stderr(log)
        .spawn()
        .map_err(|why| LeftOut(format!("dockerd can't be started: {why}")))?;
    eventually(Duration::from_secs(30), "dockerd to answer", answers)
        .map(drop)
        .map_err(|why| LeftOut(format!("Docker does not answer: {why}")))
}

fn install(package: &str, say: &dyn Fn(&str)) -> Result<(), LeftOut> {
    say(&format!("{package} is missing, so it is installed: apt-get install {package}"));
    let script = format!(
        "apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends {package}"
    );
    shell::run(Command::new("sh").args(["-c", &script]), Duration::from_secs(600))
        .result()
        .map(drop)
        .map_err(|why| LeftOut(format!("{package} can't be installed:\n{why}")))
}

fn runs(program: &str, argument: &str) -> bool {
    shell::run(Command::new(program).arg(argument), Duration::from_secs(20)).code == Some(0)
}

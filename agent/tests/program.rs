//! The program itself: how it stops, what it tells the service manager, what it prints.

mod support;

use std::{
    fs,
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use dv_types::OpResult;
use support::{Coordinator, Host, PATIENCE, SCRIPTS, eventually};
use tokio::net::UnixDatagram;

const PROGRAM: &str = env!("CARGO_BIN_EXE_dv-agent");

/// The agent as its unit runs it.
struct Running(Child);

impl Running {
    fn start(host: &Host, surroundings: &[(&str, &str)]) -> Self {
        let config = &host.config;
        let file = host.path("agent.yaml");
        let text = format!(
            "coordinator: {}\nstate_dir: {}\npolicy: {}\nunprivileged: true\n",
            config.coordinator,
            config.state_dir.display(),
            config.policy.display()
        );
        fs::write(&file, text).unwrap();
        let mut command = Command::new(PROGRAM);
        command.args(["run", "--config"]).arg(file).stderr(Stdio::null());
        Self(command.envs(surroundings.iter().copied()).spawn().unwrap())
    }

    async fn signal(mut self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(pid, signal).unwrap();
        let child = std::cell::RefCell::new(&mut self.0);
        let ended = || child.borrow_mut().try_wait().unwrap().is_some();
        eventually("the agent ends", ended).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn dv_agent(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).output().unwrap()
}

/// What the process has in memory of its own, in KiB (`RssAnon`).
fn own_memory(process: &Child) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
}

fn is_alive(pid: &str) -> bool {
    Path::new("/proc").join(pid.trim()).exists()
}

#[tokio::test]
async fn when_stopped_it_leaves_nothing_behind_and_nothing_untrue() {
    let mut coordinator = Coordinator::start().await;
    let host = Host::enrolled(&coordinator, SCRIPTS);
    let pid = host.path("pid");
    let script = format!("(setsid sleep 600 & echo $! > {}) ; sleep 600", pid.display());
    let argv = host.script("do", &script);

    let agent = Running::start(&host, &[]);
    let session = coordinator.welcomed(1).await;
    session.run("r1-1", &argv, false).await;
    let written = || fs::read_to_string(&pid).is_ok_and(|text| text.ends_with('\n'));
    eventually("the command has begun", written).await;
    agent.signal(rustix::process::Signal::TERM).await;
    let sleeper = fs::read_to_string(&pid).unwrap();
    eventually("what it started is gone", || !is_alive(&sleeper)).await;

    let _agent = Running::start(&host, &[]);
    let mut session = coordinator.welcomed(1).await;
    session.run("r1-1", &argv, false).await;
    let result = session.outcome().await.result;
    assert!(matches!(result, OpResult::Unknown(_)), "{result:?}");
}

/// What users of other tools reported: the agent's own upgrade kills the deployment that does it.
#[tokio::test]
async fn told_to_make_room_it_ends_when_nothing_is_under_way_and_not_before() {
    let mut coordinator = Coordinator::start().await;
    let host = Host::enrolled(&coordinator, SCRIPTS);
    let (begun, go) = (host.path("begun"), host.path("go"));
    let script =
        format!("touch {}; until [ -e {} ]; do sleep 0.05; done", begun.display(), go.display());
    let argv = host.script("do", &script);
    let mut agent = Running::start(&host, &[]);
    let mut session = coordinator.welcomed(1).await;
    session.run("r1-1", &argv, false).await;
    eventually("the command has begun", || begun.exists()).await;
    let pid = rustix::process::Pid::from_child(&agent.0);
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    // It goes on, and obeys.
    let quick = host.script("quick", "");
    let probe = dv_types::Probe::Command { argv: quick };
    for _ in 0..3 {
        session.heartbeat().await;
    }
    session.command("r1-2", support::verify(probe)).await;
    assert_eq!(session.outcome().await.result, OpResult::Done);
    assert!(agent.0.try_wait().unwrap().is_none(), "it ended in the middle of a command");
    fs::write(&go, "").unwrap();
    assert_eq!(session.outcome().await.result, OpResult::Done);
    session.ended().await;
    let child = std::cell::RefCell::new(&mut agent.0);
    let ended = || child.borrow_mut().try_wait().unwrap().is_some_and(|status| status.success());
    eventually("it makes room", ended).await;
}

#[tokio::test]
async fn a_second_agent_on_the_same_state_does_not_start() {
    let mut coordinator = Coordinator::start().await;
    let host = Host::enrolled(&coordinator, SCRIPTS);
    let _agent = Running::start(&host, &[]);
    let _session = coordinator.welcomed(1).await;
    let config = host.path("agent.yaml");
    let second = dv_agent(&["run", "--config", config.to_str().unwrap()]);
    assert_eq!(second.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&second.stderr).contains("another agent"), "{second:?}");
}

#[tokio::test]
async fn the_service_manager_is_told_the_truth() {
    let mut coordinator = Coordinator::start().await;
    let host = Host::enrolled(&coordinator, SCRIPTS);
    let path = host.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let heard = async |wanted: &str| {
        let listen = async {
            let mut buffer = [0; 4096];
            loop {
                let length = socket.recv(&mut buffer).await.unwrap();
                if String::from_utf8_lossy(&buffer[..length]).lines().any(|line| line == wanted) {
                    return;
                }
            }
        };
        let never = format!("never: {wanted}");
        tokio::time::timeout(PATIENCE, listen).await.expect(&never);
    };
    let surroundings = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "200000")];
    let agent = Running::start(&host, &surroundings);
    heard("READY=1").await;
    let session = coordinator.welcomed(3).await;
    let connected = format!("STATUS=connected to {}, epoch 3", coordinator.address);
    heard(&connected).await;
    let argv = host.script("do", "sleep 600");
    session.run("r42-7", &argv, false).await;
    heard(&format!("{connected}; r42-7 run {}", argv.join(" "))).await;
    heard("WATCHDOG=1").await;
    session.cancel("r42-7").await;
    heard(&connected).await;
    agent.signal(rustix::process::Signal::TERM).await;
    heard("STOPPING=1").await;
}

#[test]
fn a_policy_is_checked() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("policy.yaml");
    let check = |text: &str| {
        fs::write(&file, text).unwrap();
        dv_agent(&["policy", "check", "--unprivileged", file.to_str().unwrap()])
    };
    let good = check("units: [a.service, b.service]\n");
    assert!(good.status.success());
    assert!(String::from_utf8_lossy(&good.stdout).contains("2 units"));
    let bad = check("unit: [a.service]\n");
    assert_eq!(bad.status.code(), Some(1));
    let message = String::from_utf8_lossy(&bad.stderr).into_owned();
    assert!(message.contains("policy.yaml") && message.contains("unit"), "{message}");
    let absent = dv_agent(&["policy", "check", "/nowhere/policy.yaml"]);
    assert_eq!(absent.status.code(), Some(1));
}

#[test]
fn it_explains_itself() {
    let help = String::from_utf8(dv_agent(&["--help"]).stdout).unwrap();
    for word in ["agent.yaml", "policy.yaml", "enrol", "Exit codes", "commands:"] {
        assert!(help.contains(word), "{word}");
    }
    assert_eq!(dv_agent(&["frobnicate"]).status.code(), Some(2));
    let lost = dv_agent(&["run", "--config", "/nowhere/agent.yaml"]);
    assert_eq!(lost.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&lost.stderr).contains("coordinator: host:port"));
}

#[tokio::test]
async fn of_what_it_has_done_it_keeps_little_in_memory() {
    /// Before, its allocator and its caches are still growing.
    const FIRST: u32 = 100;
    const ALL: u32 = 500;
    /// An outcome is at least as long as what its command said. One in twenty of them kept would be noticed.
    const SAID: u64 = 16;

    let mut coordinator = Coordinator::start().await;
    let host = Host::enrolled(&coordinator, SCRIPTS);
    let talks = host.script("talk", &format!("head -c {} /dev/zero | tr '\\0' x", SAID * 1024));
    let agent = Running::start(&host, &[]);
    let mut session = coordinator.welcomed(1).await;
    let mut after_first = 0;
    for number in 1..=ALL {
        let id = format!("r1-{number}");
        session.run(&id, &talks, false).await;
        assert_eq!(session.outcome().await.result, OpResult::Done);
        session.acknowledge(&id).await;
        if number == FIRST {
            after_first = own_memory(&agent.0);
        }
    }
    while session.heartbeat().await > 0 {}
    let grown = own_memory(&agent.0).saturating_sub(after_first);
    let kept = u64::from(ALL - FIRST) * SAID / 20;
    assert!(grown < kept, "it grew by {grown} KiB, from {after_first}");
}

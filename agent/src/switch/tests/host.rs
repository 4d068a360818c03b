//! A host with a service manager and clocks of the test's own, whose agent can crash.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use dv_proto::v1::{FromAgent, Heartbeat, from_agent::Message};
use dv_types::{Command, Operation, Outcome, Span, Timestamp, operation::UnitVerb};
use futures_util::{FutureExt, Stream, StreamExt, future::BoxFuture};
use tempfile::TempDir;
use tokio::{sync::Notify, task::JoinHandle, time::Instant};

use super::id;
use crate::{
    adapter::disk::HostDisk,
    config::Config,
    ledger::Ledger,
    notify::Status,
    operations::testing,
    outbox::Outbox,
    policy::Policy,
    ports::{Disk, Ports, UnitState, Units, UnitsError},
    runner::Runner,
    switch::{self, Clock, Moment, Switches},
    warrants::{Claim, Warrants},
};

pub(super) fn unit(name: &str, verb: UnitVerb, timeout: Span) -> Operation {
    Operation::Unit { unit: format!("{name}.service"), verb, timeout }
}

pub(super) fn restart(name: &str) -> Operation {
    unit(name, UnitVerb::Restart, Span::from_secs(3600))
}

pub(super) fn start(name: &str) -> Operation {
    unit(name, UnitVerb::Start, Span::from_secs(3600))
}

/// So long after some beginning.
pub(super) fn moment(since: Span) -> Moment {
    let began: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
    Moment { wall: since.after(began), boot: "boot 1".into(), since_boot: since }
}

/// The host's disk, which takes nothing more when it is full.
#[derive(Clone, Default)]
struct Filling(Arc<AtomicBool>);

impl Disk for Filling {
    fn create(&self, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
        match self.0.load(Ordering::SeqCst) {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => HostDisk.create(path, bytes, mode),
        }
    }

    fn overwrite(&self, path: &Path, at: u64, bytes: &[u8]) -> io::Result<()> {
        let grows = at + bytes.len() as u64 > path.metadata()?.len();
        match self.0.load(Ordering::SeqCst) && grows {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => HostDisk.overwrite(path, at, bytes),
        }
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        HostDisk.read(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        HostDisk.list(directory)
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        HostDisk.sync(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        HostDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        HostDisk.remove(path)
    }

    fn private_directory(&self, path: &Path) -> io::Result<()> {
        HostDisk.private_directory(path)
    }

    fn apart(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()> {
        HostDisk.apart(work)
    }
}

#[derive(Default)]
struct Manager {
    did: Vec<String>,
    runs: BTreeMap<String, u32>,
    /// `before restart a.service`: there it sticks until it is released.
    stuck: String,
}

#[derive(Clone, Default)]
struct Systemd {
    manager: Arc<Mutex<Manager>>,
    released: Arc<Notify>,
}

impl Systemd {
    async fn pass(&self, here: &str) {
        let stuck = self.manager.lock().unwrap().stuck == here;
        if stuck {
            self.released.notified().await;
        }
    }
}

impl Units for Systemd {
    fn state<'a>(&'a self, unit: &'a str) -> BoxFuture<'a, Result<UnitState, UnitsError>> {
        async move {
            let runs = self.manager.lock().unwrap().runs.get(unit).copied();
            Ok(UnitState {
                active: "active".into(),
                sub: "running".into(),
                invocation: runs.unwrap_or_default().to_string(),
                ..UnitState::default()
            })
        }
        .boxed()
    }

    fn act<'a>(
        &'a self,
        unit: &'a str,
        verb: UnitVerb,
    ) -> BoxFuture<'a, Result<String, UnitsError>> {
        async move {
            self.pass(&format!("before {verb} {unit}")).await;
            {
                let mut manager = self.manager.lock().unwrap();
                manager.did.push(format!("{verb} {unit}"));
                *manager.runs.entry(unit.to_owned()).or_default() += 1;
            }
            self.pass(&format!("after {verb} {unit}")).await;
            Ok("done".to_owned())
        }
        .boxed()
    }
}

/// The wall clock, as somebody has set it, and the one that begins anew with each start of the host.
struct Clocks {
    began: Instant,
    shift: i64,
    boot: u32,
    booted: Instant,
}

pub(super) struct Host {
    _dir: TempDir,
    pub(super) config: Config,
    systemd: Systemd,
    disk: Filling,
    clocks: Arc<Mutex<Clocks>>,
    clock: Clock,
}

pub(super) struct Agent {
    pub(super) runner: Arc<Runner>,
    watch: JoinHandle<()>,
    inbox: Pin<Box<dyn Stream<Item = FromAgent> + Send>>,
    heard: BTreeMap<String, Outcome>,
}

impl Host {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = Config {
            coordinator: "localhost:1".into(),
            state_dir: dir.path().join("state"),
            policy: dir.path().join("policy.yaml"),
            docker_socket: None,
            unprivileged: true,
        };
        let now = Instant::now();
        let clocks = Arc::new(Mutex::new(Clocks { began: now, shift: 0, boot: 1, booted: now }));
        let of_clock = Arc::clone(&clocks);
        let clock = Clock::of(move || {
            let (clocks, now) = (of_clock.lock().unwrap(), Instant::now());
            let shift = jiff::SignedDuration::from_secs(clocks.shift);
            Moment {
                wall: moment((now - clocks.began).into()).wall.saturating_add(shift).unwrap(),
                boot: format!("boot {}", clocks.boot),
                since_boot: (now - clocks.booted).into(),
            }
        });
        let (systemd, disk) = Default::default();
        let host = Self { _dir: dir, config, systemd, disk, clocks, clock };
        host.allow("units: [a.service, b.service, c.service]\ncommands: [[/bin/x]]");
        host
    }

    pub(super) fn allow(&self, policy: &str) {
        fs::write(&self.config.policy, policy).unwrap();
        fs::set_permissions(&self.config.policy, PermissionsExt::from_mode(0o644)).unwrap();
    }

    pub(super) fn start(&self) -> Agent {
        let units: Arc<dyn Units> = Arc::new(self.systemd.clone());
        let (policy, units) = (self.config.policy.clone(), Arc::new(move || Arc::clone(&units)));
        let policy = Arc::new(move || Policy::load(&policy, true));
        let disk = Arc::new(self.disk.clone());
        let ports = Ports { units, policy, disk, ..testing::no_ports() };
        let ledger =
            Ledger::open(Arc::clone(&ports.disk), self.config.ledger_dir(), self.wall()).unwrap();
        let switches =
            Switches::open(Arc::clone(&ports.disk), self.config.switches_dir(), self.clock.clone())
                .unwrap();
        let warrants = Warrants::open(Arc::clone(&ports.disk), self.config.warrants_dir()).unwrap();
        let outbox = Arc::new(Outbox::default());
        let inbox = Box::pin(outbox.open(Message::Heartbeat(Heartbeat::default())));
        let status = Arc::new(Status::default());
        let config = self.config.clone();
        let runner = Runner::new(config, ports, ledger, switches, warrants, outbox, status);
        let runner = Arc::new(runner);
        let watch = tokio::spawn(switch::watch(Arc::clone(&runner)));
        Agent { runner, watch, inbox, heard: BTreeMap::new() }
    }

    pub(super) fn wall(&self) -> Timestamp {
        self.clock.now().wall
    }

    pub(super) fn set_clock(&self, shift: i64) {
        self.clocks.lock().unwrap().shift = shift;
    }

    pub(super) fn reboot(&self) {
        let mut clocks = self.clocks.lock().unwrap();
        (clocks.boot, clocks.booted) = (clocks.boot + 1, Instant::now());
    }

    /// What was done to units.
    pub(super) fn did(&self) -> Vec<String> {
        self.systemd.manager.lock().unwrap().did.clone()
    }

    /// From now on its disk takes nothing more, or does again.
    pub(super) fn fill(&self, full: bool) {
        self.disk.0.store(full, Ordering::SeqCst);
    }

    /// The files of switches.
    pub(super) fn switches(&self) -> Vec<String> {
        let files = fs::read_dir(self.config.switches_dir()).unwrap();
        let mut names: Vec<_> =
            files.map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
        names.sort_unstable();
        names
    }

    pub(super) fn stick(&self, here: &str) {
        self.systemd.manager.lock().unwrap().stuck = here.to_owned();
    }

    pub(super) fn release(&self) {
        self.stick("");
        self.systemd.released.notify_waiters();
    }
}

impl Agent {
    pub(super) fn tell(&self, number: &str, operation: Operation) {
        let command = Command { id: id(number), attempt: 1, given: None, operation };
        self.runner.command(command, Claim::default());
    }

    pub(super) async fn outcome(&mut self, number: &str) -> Outcome {
        loop {
            if let Some(outcome) = self.heard.remove(number) {
                return outcome;
            }
            let message = self.inbox.next().await.expect("the session goes on").message;
            if let Some(Message::Outcome(outcome)) = message {
                let outcome: Outcome =
                    dv_proto::from_json("outcome_json", &outcome.outcome_json).unwrap();
                self.heard.insert(outcome.command.to_string(), outcome);
            }
        }
    }

    pub(super) async fn ask(&mut self, number: &str, operation: Operation) -> Outcome {
        self.tell(number, operation);
        self.outcome(number).await
    }
}

/// A crash: what it was stuck in is never released, and it begins nothing more.
impl Drop for Agent {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

//! Two coordinators over three members of etcd, and the agents of five hosts: all processes of their own, on real TLS,
//! and every wire between them can be cut.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use dv_proto::{
    Addresses, Coordinators, dial,
    v1::{CreateTokenRequest, ListHostsRequest, control_client::ControlClient},
};
use dv_types::Manifest;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{PATIENCE, etcd::Servers, eventually, operator::Context, port, proxy::Proxy};

/// The hosts.
pub(crate) const HOSTS: [&str; 5] = ["h1", "h2", "h3", "h4", "h5"];

/// What a host does to bring a version: it says so, takes its time, and has it.
const RELEASE: &str = "echo \"$1\" >> \"$HOME/done\"\nsleep 1\necho \"$1\" > \"$HOME/version\"\n";
const PROBE: &str = "test -s \"$HOME/version\"\n";

/// Everything.
pub(crate) struct Fleet {
    pub(crate) servers: Servers,
    /// Between each coordinator and each member of etcd.
    pub(crate) to_etcd: Vec<Vec<Proxy>>,
    /// Between everybody and each coordinator.
    pub(crate) to_coordinator: Vec<Proxy>,
    pub(crate) coordinators: Vec<Coordinator>,
    agents: Vec<Child>,
    directory: TempDir,
}

/// A coordinator, which is started again whenever it ends, as systemd does.
pub(crate) struct Coordinator {
    running: Arc<Mutex<Option<u32>>>,
    stop: Arc<AtomicBool>,
    tending: Option<JoinHandle<()>>,
    log: PathBuf,
}

impl Coordinator {
    fn start(config: &Path) -> Self {
        let (running, stop) = (Arc::<Mutex<Option<u32>>>::default(), Arc::<AtomicBool>::default());
        let log = config.with_extension("log");
        let tending = {
            let (running, stop, log) = (Arc::clone(&running), Arc::clone(&stop), log.clone());
            let config = config.to_owned();
            std::thread::spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    let log = fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
                    let mut child = program(&config, &["run"]).stderr(log).spawn().unwrap();
                    *running.lock().unwrap() = Some(child.id());
                    child.wait().unwrap();
                    *running.lock().unwrap() = None;
                    std::thread::sleep(Duration::from_millis(200));
                }
            })
        };
        Self { running, stop, tending: Some(tending), log }
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = self.running.lock().unwrap().expect("it runs");
        kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), signal).unwrap();
    }

    /// What it has said so far.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Coordinator {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if self.running.lock().unwrap().is_some() {
            self.signal(Signal::KILL);
        }
        self.tending.take().unwrap().join().unwrap();
        if std::thread::panicking() {
            eprintln!("--- {}\n{}", self.log.display(), self.said());
        }
    }
}

fn program(config: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dv-coordinator"));
    command.args(words).arg("--config").arg(config);
    command.env_remove("JOURNAL_STREAM").env_remove("NOTIFY_SOCKET");
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// The program of an agent is this test's own, so that it is as new.
pub(crate) async fn agent_of_a_host() {
    let Some(config) = std::env::var_os("DV_TEST_AGENT") else { return };
    let config = dv_agent::config::Config::load(Path::new(&config)).unwrap();
    let (stop, retire) = (std::future::pending(), std::future::pending());
    dv_agent::run(config, dv_agent::Until { stop, retire }).await.unwrap();
}

impl Fleet {
    /// All of it, with every host in contact.
    pub(crate) async fn start() -> Self {
        let servers = Servers::start(3).await;
        let directory = tempfile::tempdir().unwrap();
        let (mut to_etcd, mut to_coordinator) = (Vec::new(), Vec::new());
        let mut coordinators = Vec::new();
        let mut authority: Option<Vec<u8>> = None;
        for number in 0..2 {
            let mut wires = Vec::new();
            for member in servers.addresses() {
                wires.push(Proxy::to(member).await);
            }
            let listen = port::hold().local_addr().unwrap();
            let members: Vec<_> = wires.iter().map(Proxy::address).collect();
            let config = directory.path().join(format!("coordinator{number}.yaml"));
            let state = directory.path().join(format!("state{number}"));
            let text = format!(
                "listen: {listen}\nstate_dir: {}\nheartbeat: 1s\nstore: etcd://{}/fleet\n",
                state.display(),
                members.join(","),
            );
            fs::write(&config, text).unwrap();
            if let Some(authority) = &authority {
                bring(&config, authority, &state);
            }
            coordinators.push(Coordinator::start(&config));
            let context = state.join("operator/admin.yaml");
            let serves = async || {
                let leader = servers.etcd().get(PATIENCE, "/fleet/leader").await.unwrap();
                (leader.is_some() && context.exists()).then_some(())
            };
            eventually("a coordinator serves, and one leads", serves).await;
            let export = program(&config, &["identity", "export"]).stdout(Stdio::piped()).output();
            authority.get_or_insert(export.unwrap().stdout);
            to_coordinator.push(Proxy::to(listen.to_string()).await);
            to_etcd.push(wires);
        }
        let agents = Vec::new();
        let mut fleet = Self { servers, to_etcd, to_coordinator, coordinators, agents, directory };
        fleet.enrol().await;
        fleet
    }

    /// The addresses of the coordinators, as everybody knows them.
    fn addresses(&self) -> Addresses {
        let addresses: Vec<_> = self.to_coordinator.iter().map(Proxy::address).collect();
        addresses.join(",").parse().unwrap()
    }

    /// The first operator, who finds whoever leads.
    pub(crate) fn operator(&self) -> ControlClient<Coordinators> {
        let file = self.directory.path().join("state0/operator/admin.yaml");
        let context: Context = serde_saphyr::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        let identity = dial::Identity { certificate: &context.certificate, key: &context.key };
        let tls = dial::client_tls(&context.ca, Some(identity)).unwrap();
        let coordinators = Coordinators::new(&self.addresses(), &tls).unwrap();
        ControlClient::new(coordinators).max_decoding_message_size(64 << 20)
    }

    async fn enrol(&mut self) {
        let scripts = self.directory.path();
        fs::write(scripts.join("release"), RELEASE).unwrap();
        fs::write(scripts.join("probe"), PROBE).unwrap();
        let policy = format!(
            "commands: [[/bin/sh, {0}/release, '*'], [/bin/sh, {0}/probe]]\n",
            scripts.display()
        );
        for host in HOSTS {
            let home = self.home(host);
            fs::create_dir(&home).unwrap();
            fs::write(home.join("policy.yaml"), &policy).unwrap();
            let config = home.join("agent.yaml");
            let addresses = self.addresses();
            let text = format!(
                "coordinator: [{addresses}]\nstate_dir: {0}/state\npolicy: {0}/policy.yaml\nunprivileged: true\n",
                home.display()
            );
            fs::write(&config, text).unwrap();
            let labels = [("role".to_owned(), "web".to_owned())].into();
            let request = CreateTokenRequest { host: host.to_owned(), labels, ttl_seconds: 0 };
            let token = self.operator().create_token(request).await.unwrap().into_inner().token;
            let read = dv_agent::config::Config::load(&config).unwrap();
            dv_agent::identity::enrol::enrol(&read, &token, None).await.unwrap();
            let agent = Command::new(std::env::current_exe().unwrap())
                .args(["several::agent_of_a_host", "--exact", "--ignored", "--nocapture"])
                .env("DV_TEST_AGENT", config)
                .env("HOME", &home)
                .env_remove("NOTIFY_SOCKET")
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn();
            self.agents.push(agent.unwrap());
        }
        self.all_in_contact().await;
    }

    /// Waits until the leader hears from every host.
    pub(crate) async fn all_in_contact(&self) {
        let mut operator = self.operator();
        eventually("all are in contact", async || {
            let hosts = operator.list_hosts(ListHostsRequest {}).await.ok()?.into_inner().hosts;
            let count = hosts.iter().filter(|host| host.connected).count();
            (count == HOSTS.len()).then_some(())
        })
        .await;
    }

    /// The number of the coordinator that leads, as etcd says.
    pub(crate) async fn leader(&self) -> Option<usize> {
        let key = "/fleet/leader";
        let entry = self.servers.etcd().get(PATIENCE, key).await.unwrap()?;
        let value = String::from_utf8(entry.value.to_vec()).unwrap();
        (0..2).find(|number| {
            let config = self.directory.path().join(format!("coordinator{number}.yaml"));
            let config = fs::read_to_string(config).unwrap();
            let port = config.lines().next().unwrap().rsplit(':').next().unwrap();
            value.contains(&format!(":{port}\""))
        })
    }

    fn home(&self, host: &str) -> PathBuf {
        self.directory.path().join(host)
    }

    /// The versions that a host was told to bring, in order.
    pub(crate) fn told(&self, host: &str) -> Vec<String> {
        let done = fs::read_to_string(self.home(host).join("done")).unwrap_or_default();
        done.lines().map(str::to_owned).collect()
    }

    /// How many commands have been begun on all hosts.
    pub(crate) fn begun(&self) -> usize {
        HOSTS.iter().map(|host| self.told(host).len()).sum()
    }

    /// One host after the other brings a version.
    pub(crate) fn manifest(&self) -> Manifest {
        let mut manifest = super::manifest(|strategy| {
            strategy.max_parallel = Some(dv_types::Quota::parse("1").unwrap());
            strategy.lost_after = dv_types::Span::from_secs(120);
        });
        let words = |script: &str, rest: &[&str]| {
            let script = self.directory.path().join(script).display().to_string();
            let first = ["/bin/sh".to_owned(), script];
            first.into_iter().chain(rest.iter().map(|word| (*word).to_owned())).collect::<Vec<_>>()
        };
        manifest.steps.truncate(1);
        if let dv_types::manifest::Step::Run(run) = &mut manifest.steps[0] {
            run.argv = words("release", &["${version}"]);
            run.undo = Some(words("release", &["${version}"]));
            run.repeatable = false;
        }
        if let Some(health) = &mut manifest.health {
            health.ready = Some(dv_types::manifest::ProbeSpec {
                command: Some(words("probe", &[])),
                ..dv_types::manifest::ProbeSpec::default()
            });
        }
        manifest
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for agent in &mut self.agents {
            agent.kill().unwrap();
            agent.wait().unwrap();
        }
    }
}

/// The second coordinator has none of its own, and says so; it gets the first one's.
fn bring(config: &Path, authority: &[u8], state: &Path) {
    let refused = program(config, &["run"]).stderr(Stdio::piped()).output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("dv-coordinator identity import"), "{said}");
    assert!(!state.join("identity").exists());
    fs::create_dir_all(state).unwrap();
    let mut import =
        program(config, &["identity", "import"]).stdin(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(import.stdin.as_mut().unwrap(), authority).unwrap();
    assert!(import.wait().unwrap().success());
}

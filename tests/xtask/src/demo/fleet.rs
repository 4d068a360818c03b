//! A coordinator and five hosts, each in its folder.

use std::{
    fs,
    io::Write,
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use dv_demo::{http, place};

use super::stage::Stage;
use crate::{say, workspace};

pub(crate) const HOSTS: [&str; 5] = ["h1", "h2", "h3", "h4", "h5"];
const ZONES: [&str; 5] = ["a", "a", "b", "b", "c"];
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) type Result<T> = std::result::Result<T, String>;

/// What runs.
pub(crate) struct Fleet {
    pub(crate) stage: Stage,
    programs: PathBuf,
}

impl Fleet {
    pub(crate) fn new(stage: Stage) -> Self {
        Self { stage, programs: workspace::programs() }
    }

    /// Starts the coordinator, and five hosts without a service.
    pub(crate) fn start(&mut self) -> Result<()> {
        symlink(self.programs.join("dv-demo"), self.service())
            .map_err(|e| format!("{}: {e}", self.service().display()))?;
        let address = self.start_coordinator()?;
        for host in HOSTS {
            self.prepare_host(host, &address)?;
        }
        self.enrol()?;
        self.start_agents()
    }

    /// `dvctl`, as the first operator, in the demo's folder.
    pub(crate) fn dvctl(&self) -> Command {
        let mut dvctl = Command::new(self.programs.join("dvctl"));
        dvctl.current_dir(self.stage.folder()).env("DV_CONTEXT", self.context());
        dvctl
    }

    /// The ports of the five services.
    pub(crate) fn ports(&self) -> Result<Vec<u16>> {
        let port = |host: &&str| {
            place::port(&self.stage.folder().join(host)).map_err(|e| format!("port of {host}: {e}"))
        };
        HOSTS.iter().map(port).collect()
    }

    /// The versions that the five services answer, `-` for one that does not.
    pub(crate) fn versions(&self) -> Result<Vec<String>> {
        let version = |port| match http::get(port, "/version") {
            Ok((200, version)) => version,
            _ => "-".to_owned(),
        };
        Ok(self.ports()?.into_iter().map(version).collect())
    }

    /// The versions that a host was told to start, one after the other.
    pub(crate) fn started_on(&self, host: &str) -> Result<Vec<String>> {
        let log = self.stage.log(&format!("{host}/service"));
        let text = fs::read_to_string(&log).map_err(|e| format!("{}: {e}", log.display()))?;
        let started = |line: &str| Some(line.split_once("started ")?.1.to_owned());
        Ok(text.lines().filter_map(started).collect())
    }

    fn context(&self) -> PathBuf {
        self.stage.folder().join("coordinator/operator/admin.yaml")
    }

    fn start_coordinator(&mut self) -> Result<String> {
        let folder = self.stage.folder().to_owned();
        let address = format!("127.0.0.1:{}", free_port()?);
        let config = format!(
            "listen: {address}\nstate_dir: {}\nheartbeat: 1s\n",
            folder.join("coordinator").display()
        );
        write(&folder.join("coordinator.yaml"), &config)?;
        say::command("dv-coordinator run --config coordinator.yaml &");
        let mut coordinator = Command::new(self.programs.join("dv-coordinator"));
        coordinator.args(["run", "--config", "coordinator.yaml"]).current_dir(&folder);
        self.enter("coordinator", &mut coordinator)?;
        let context = self.context();
        self.wait_until("the coordinator to listen", || {
            context.exists() && TcpStream::connect(&address).is_ok()
        })?;
        Ok(address)
    }

    /// What a package and an administrator do on a real host: configuration, policy, and something to run the service.
    fn prepare_host(&mut self, host: &str, coordinator: &str) -> Result<()> {
        let folder = self.stage.folder().join(host);
        fs::create_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        let config = format!(
            "coordinator: {coordinator}\nstate_dir: {0}/state\npolicy: {0}/policy.yaml\nunprivileged: true\n",
            folder.display()
        );
        write(&folder.join("agent.yaml"), &config)?;
        write(&folder.join("policy.yaml"), &self.of_here(dv_demo::POLICY))?;
        let mut service = Command::new(self.service());
        service.arg("host").arg(&folder);
        self.enter(&format!("{host}/service"), &mut service)?;
        self.wait_until("a host to be ready", || folder.join("port").exists())
    }

    fn enrol(&self) -> Result<()> {
        say::command("export DV_CONTEXT=coordinator/operator/admin.yaml");
        for (host, zone) in HOSTS.iter().zip(ZONES) {
            let token = format!("agent token {host} --label app=hello --label zone={zone}");
            let enrol = format!("enrol --config {host}/agent.yaml --host {host} --token-file -");
            show_first(host, format!("dvctl {token} | dv-agent {enrol}"));
            let token = output_of(self.dvctl().args(token.split(' ')))?;
            feed(self.agent(host).args(enrol.split(' ')), &token)?;
        }
        Ok(())
    }

    fn start_agents(&mut self) -> Result<()> {
        for host in HOSTS {
            let run = format!("run --config {host}/agent.yaml");
            show_first(host, format!("HOME=$PWD/{host} dv-agent {run} &"));
            let mut agent = self.agent(host);
            agent.args(run.split(' '));
            self.enter(&format!("{host}/agent"), &mut agent)?;
        }
        say::note("… and the same for h2 to h5");
        say::command("cat h1/policy.yaml");
        print!("{}", self.of_here(dv_demo::POLICY));
        let mut hosts = self.dvctl();
        hosts.args(["hosts", "--output", "json"]);
        self.wait_until("five agents to be in contact", || {
            let answer = hosts.output().map(|o| o.stdout).unwrap_or_default();
            let answer = String::from_utf8_lossy(&answer).replace(char::is_whitespace, "");
            answer.matches("\"connected\":true").count() == HOSTS.len()
        })
    }

    /// The commands that an agent runs know by its home which host they are on.
    fn agent(&self, host: &str) -> Command {
        let folder = self.stage.folder();
        let mut agent = Command::new(self.programs.join("dv-agent"));
        agent.current_dir(folder).env("HOME", folder.join(host));
        agent
    }

    fn service(&self) -> PathBuf {
        self.stage.folder().join("hello")
    }

    /// A file of tests/demo, with the service where it is in this demo.
    pub(crate) fn of_here(&self, text: &str) -> String {
        text.replace("/opt/hello", &self.service().display().to_string())
    }

    fn enter(&mut self, name: &str, program: &mut Command) -> Result<()> {
        let result = self.stage.enter(name, program);
        result.map_err(|e| format!("{} can't be started: {e}", program.get_program().display()))
    }

    fn wait_until(&mut self, what: &str, mut condition: impl FnMut() -> bool) -> Result<()> {
        let began = Instant::now();
        while !condition() {
            self.stage.all_are_alive()?;
            if began.elapsed() > PATIENCE {
                return Err(format!("waited {PATIENCE:?} for {what}, in vain"));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

fn show_first(host: &str, line: String) {
    if host == HOSTS[0] {
        say::command(line);
    }
}

pub(crate) fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).map_err(|e| format!("{}: {e}", file.display()))
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let address =
        listener.and_then(|l| l.local_addr()).map_err(|e| format!("no free port: {e}"))?;
    Ok(address.port())
}

/// What the program prints; what it says about it matters only where it fails.
fn output_of(program: &mut Command) -> Result<Vec<u8>> {
    let name = program.get_program().display().to_string();
    let output = program.output().map_err(|e| format!("{name}: {e}"))?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("{name} failed ({}): {}", output.status, said.trim()))
    }
}

fn feed(program: &mut Command, input: &[u8]) -> Result<()> {
    let name = program.get_program().display().to_string();
    let failed = |why: &dyn std::fmt::Display| format!("{name} failed: {why}");
    let mut child =
        program.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().map_err(|e| failed(&e))?;
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(input).map_err(|e| failed(&e))?;
    drop(stdin);
    let status = child.wait().map_err(|e| failed(&e))?;
    if status.success() { Ok(()) } else { Err(failed(&status)) }
}

//! A test's known beginning: everything healed, nothing under way, the service at v1 on all five hosts.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::PathBuf,
    thread,
    time::Duration,
};

use dv_types::{Record, Report, RolloutId, report::State};
use jiff::Timestamp;
use serde_json::Value;

use crate::{
    bed::{Bed, POLICY},
    counts::Mark,
    docker::docker,
    dvctl::{Dvctl, Following},
    held,
    http::{self, Limits},
    machine::Machine,
    manifest::{Manifest, Shape},
    outside::Client,
    shell::Ran,
    wait::until,
};

const SOON: Duration = Duration::from_secs(30);
const PATIENT: Limits = Limits { connect: Duration::from_secs(2), read: Duration::from_secs(2) };

/// One test on the bed.
#[derive(Debug)]
pub struct Scenario {
    /// The bed.
    pub bed: Bed,
    /// The operator's program.
    pub dvctl: Dvctl,
    /// The service's name: another for each test, so that none has a past.
    pub service: String,
    directory: PathBuf,
    /// Held to the end: a bed bears one test at a time, whoever else thinks of using it.
    _alone: File,
}

impl Scenario {
    /// Attaches to the bed and brings it into its known state.
    #[must_use]
    #[track_caller]
    pub fn begin(name: &str) -> Self {
        let bed = Bed::attach().unwrap_or_else(|why| panic!("{why}"));
        let alone = File::create(bed.directory.join("lock")).expect("the bed's directory is there");
        alone.lock().expect("a lock can be had");
        let service = format!("{name}-{}", Timestamp::now().as_second() % 1_000_000);
        let directory = bed.directory.join("tests").join(&service);
        fs::create_dir_all(&directory).expect("the bed's directory can be written");
        let scenario = Self { dvctl: bed.dvctl(), bed, service, directory, _alone: alone };
        scenario.heal();
        scenario.end_rollouts();
        scenario.reset_service();
        scenario
    }

    /// A host by its name.
    #[must_use]
    pub fn host(&self, name: &str) -> &Machine {
        self.bed.host(name)
    }

    /// A manifest of this test's service.
    #[must_use]
    pub fn manifest(&self, shape: Shape) -> Manifest {
        Manifest::new(&self.service, shape)
    }

    /// A manifest of the whole playbook for this test's service; backup and migrations happen where that is said.
    #[must_use]
    pub fn playbook(&self, once: [&str; 2]) -> Manifest {
        Manifest::playbook(&self.service, once)
    }

    /// Writes a file of this test; gives its path.
    #[must_use]
    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.directory.join(name);
        fs::write(&path, text).expect("the bed's directory can be written");
        path.display().to_string()
    }

    /// Lets the coordinator bring a version to all hosts at once, so that it knows what they run.
    #[track_caller]
    pub fn baseline(&self, manifest: &Manifest, version: &str) {
        let quick = self
            .manifest(manifest.shape)
            .with("max_parallel", "100%")
            .with("min_healthy_time", "0s");
        self.rollout(&quick, version).exits(0);
        self.all_run(manifest.shape, version);
    }

    /// `dvctl rollout start`, followed to its end.
    pub fn rollout(&self, manifest: &Manifest, version: &str) -> Ran {
        self.start(manifest, version).end()
    }

    /// `dvctl rollout start`, left running.
    #[must_use]
    pub fn start(&self, manifest: &Manifest, version: &str) -> Following {
        self.dvctl.start(&self.starting(manifest, version))
    }

    /// The command line that starts a rollout.
    #[must_use]
    pub fn starting(&self, manifest: &Manifest, version: &str) -> Vec<String> {
        let path = self.file("manifest.yaml", &manifest.to_string());
        ["rollout", "start", &path, "--version", version].map(str::to_owned).into()
    }

    /// The client from outside, asking all hosts from now on.
    #[must_use]
    pub fn watch(&self, shape: Shape) -> Client {
        Client::start(&self.bed.hosts, shape.port())
    }

    /// Starts on the hosts are counted from now on.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark::now(&self.bed)
    }

    /// The last rollout of this test's service.
    #[must_use]
    #[track_caller]
    pub fn report(&self) -> Report {
        match self.try_report() {
            Ok(report) => report,
            Err(why) => panic!("{why}"),
        }
    }

    /// The same, where the coordinator may be away.
    pub fn try_report(&self) -> Result<Report, String> {
        let history = self.dvctl.try_json(&["rollout", "history", &self.service])?;
        let history: Vec<Report> = serde_json::from_value(history).map_err(|e| e.to_string())?;
        let last = history.first().ok_or("the service has had no rollout")?.rollout;
        let status = self.dvctl.try_json(&["rollout", "status", &last.to_string()])?;
        serde_json::from_value(status).map_err(|e| e.to_string())
    }

    /// Every record of a rollout that is over.
    #[must_use]
    #[track_caller]
    pub fn journal(&self, rollout: RolloutId) -> Vec<Record> {
        let ran = self.dvctl.run(&["--output", "json", "rollout", "watch", &rollout.to_string()]);
        let records: Vec<_> = ran
            .stdout
            .lines()
            .map(|line| serde_json::from_str(line).expect("each line is JSON"))
            // There are reports too and, followed into a rollback, the records of that one.
            .filter(|line: &Value| line["rollout"] == rollout.to_string())
            .map(|mut line| serde_json::from_value(line["record"].take()).expect("a record"))
            .collect();
        assert!(!records.is_empty(), "a rollout has records\n{ran}");
        records
    }

    /// What the hosts answer to `/version`, in order.
    #[must_use]
    pub fn versions(&self, shape: Shape) -> Vec<String> {
        self.bed.hosts.iter().map(|host| version(host, shape)).collect()
    }

    /// The test ends here unless all hosts run this version.
    #[track_caller]
    pub fn all_run(&self, shape: Shape, version: &str) {
        assert_eq!(self.versions(shape), [version; 5], "what h1 to h5 run");
    }

    fn rollouts(&self, arguments: &[&str]) -> Vec<Report> {
        let arguments: Vec<_> = ["rollout", "history"].iter().chain(arguments).collect();
        serde_json::from_value(self.dvctl.json(&arguments)).expect("a list of reports")
    }

    /// Takes back whatever an earlier test did to the machines, and waits until all are in contact.
    pub(crate) fn heal(&self) {
        let mut booting = Vec::new();
        for machine in self.bed.machines() {
            let state =
                docker(&["inspect", "--format", "{{.State.Status}}", &machine.container]).ok();
            match state.trim() {
                "running" => {}
                "paused" => drop(docker(&["unpause", &machine.container]).ok()),
                _ => {
                    machine.power_on();
                    booting.push(machine);
                }
            }
            machine.plug_in();
        }
        for host in &self.bed.hosts {
            // A start that is held keeps a boot, and a restart that is aborted, from their end.
            held::release(host);
        }
        for machine in booting {
            machine.booted().expect("the machine boots");
        }
        self.bed.coordinator.exec(&["systemctl", "start", "dv-coordinator.service"]).ok();
        until(SOON, "five hosts to be in contact", || self.dvctl.all_connected());
    }

    /// Aborts what an earlier test left under way.
    fn end_rollouts(&self) {
        let unfinished = || -> Vec<Report> {
            let rollouts = self.rollouts(&[]).into_iter();
            rollouts.filter(|r| !matches!(r.state, State::Ended(_))).collect()
        };
        for rollout in unfinished() {
            // It may have ended in the meantime.
            self.dvctl.run(&["rollout", "abort", &rollout.rollout.to_string()]);
        }
        until(SOON, "every rollout to end", || match unfinished().first() {
            None => Ok(()),
            Some(rollout) => Err(format!("{} is {:?}", rollout.rollout, rollout.state)),
        });
    }

    fn reset_service(&self) {
        thread::scope(|scope| {
            for host in &self.bed.hosts {
                scope.spawn(|| {
                    host.write("/etc/dv-agent/policy.yaml", POLICY).expect("the policy is written");
                    host.script(include_str!("../../bed/provision/reset")).ok();
                });
            }
        });
        self.bed.infra.exec(&["bed-database-reset"]).ok();
        for shape in Shape::ALL {
            for host in &self.bed.hosts {
                until(SOON, &format!("{} to be ready", host.name), || ready(host, shape));
            }
            self.all_run(shape, "v1");
        }
    }
}

fn version(host: &Machine, shape: Shape) -> String {
    match http::get(address(host, shape), "/version", PATIENT) {
        Ok((_, body)) => body.trim().to_owned(),
        Err(why) => why.to_string(),
    }
}

fn ready(host: &Machine, shape: Shape) -> Result<(), String> {
    match http::get(address(host, shape), "/health/ready", PATIENT) {
        Ok((200, _)) => Ok(()),
        Ok((status, body)) => Err(format!("{status} {body}")),
        Err(why) => Err(why.to_string()),
    }
}

fn address(host: &Machine, shape: Shape) -> SocketAddr {
    format!("{}:{}", host.address, shape.port()).parse().expect("an address")
}

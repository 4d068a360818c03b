//! Agents that act on a world in memory, over the real wire.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use dv_proto::{
    from_json, to_json,
    v1::{self, from_agent, to_agent},
};
use dv_types::{
    Command, CommandId, Epoch, Evidence, Finding, Migration, MigrationKind, OpResult, Operation,
    Outcome, Schema, Span, Subject, Timestamp, monitor::Reading, outcome::Output,
    warrant::HostWarrant,
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tokio_stream::wrappers::ReceiverStream;

use super::{HostIdentity, Site};

/// The hosts' side of the world, shared by all agents of a test.
#[derive(Clone, Default)]
pub(crate) struct World(Arc<Mutex<Hosts>>);

#[derive(Default)]
struct Hosts {
    /// How often each command was carried out.
    done: BTreeMap<(String, CommandId), u32>,
    /// What each host runs.
    versions: BTreeMap<String, String>,
    /// Versions that never become healthy.
    broken: BTreeSet<String>,
    /// How versions do that do not do well.
    traffic: BTreeMap<String, Traffic>,
    /// What the service on each host has counted.
    counters: BTreeMap<String, Reading>,
    /// What every command prints.
    chatter: String,
    /// The highest epoch that each host has heard.
    epochs: BTreeMap<String, Epoch>,
    gates: BTreeMap<String, watch::Sender<bool>>,
    /// What is found of a subject, by its name; the last is found again and again.
    findings: BTreeMap<String, Vec<Finding>>,
    /// How far the hosts' clocks are ahead.
    ahead: Span,
    /// How often each subject was asked for, on all hosts.
    looks: BTreeMap<String, u32>,
    /// What each host was handed to show that its commands are signed, in order.
    handed: Vec<(String, HostWarrant)>,
    /// What each host was told in the name of a warrant, in order.
    signed: Vec<Signed>,
}

/// A command in the name of a warrant.
#[derive(Debug, Clone)]
pub(crate) struct Signed {
    pub(crate) host: String,
    pub(crate) command: Command,
    pub(crate) warrant: String,
    pub(crate) back: bool,
}

/// What a version does to a hundred requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Traffic {
    /// So many fail.
    pub(crate) errors: f64,
    /// So long the slowest of them takes, in seconds.
    pub(crate) slowest: f64,
}

/// How every version does of which nothing else is said.
const WELL: Traffic = Traffic { errors: 0.0, slowest: 0.1 };

impl World {
    fn with<T>(&self, act: impl FnOnce(&mut Hosts) -> T) -> T {
        act(&mut self.0.lock().unwrap())
    }

    pub(crate) fn break_version(&self, version: &str) {
        self.with(|hosts| hosts.broken.insert(version.to_owned()));
    }

    /// From now on this version does so.
    pub(crate) fn serve(&self, version: &str, traffic: Traffic) {
        self.with(|hosts| hosts.traffic.insert(version.to_owned(), traffic));
    }

    /// How the version does that a host runs.
    pub(crate) fn traffic(&self, host: &str) -> Traffic {
        self.with(|hosts| hosts.traffic(host))
    }

    pub(crate) fn print(&self, text: String) {
        self.with(|hosts| hosts.chatter = text);
    }

    /// From now on this is found of a subject, one after the other.
    pub(crate) fn find(&self, subject: &str, findings: Vec<Finding>) {
        self.with(|hosts| hosts.findings.insert(subject.to_owned(), findings));
    }

    /// The hosts' clocks go ahead so far.
    pub(crate) fn clocks_ahead(&self, by: Span) {
        self.with(|hosts| hosts.ahead = by);
    }

    /// How often a subject was asked for, on all hosts.
    pub(crate) fn looks(&self, subject: &str) -> u32 {
        self.with(|hosts| hosts.looks.get(subject).copied().unwrap_or_default())
    }

    /// What the hosts were handed, and what they were told in the name of it.
    pub(crate) fn signed(&self) -> (Vec<(String, HostWarrant)>, Vec<Signed>) {
        self.with(|hosts| (hosts.handed.clone(), hosts.signed.clone()))
    }

    pub(crate) fn version(&self, host: &str) -> Option<String> {
        self.with(|hosts| hosts.versions.get(host).cloned())
    }

    /// What the hosts run, by name.
    pub(crate) fn versions(&self) -> Vec<String> {
        self.with(|hosts| hosts.versions.values().cloned().collect())
    }

    /// Lets restarts on `host` wait until the gate is opened.
    pub(crate) fn close_gate(&self, host: &str) {
        self.with(|hosts| hosts.gate(host).send_replace(true));
    }

    pub(crate) fn open_gate(&self, host: &str) {
        self.with(|hosts| hosts.gate(host).send_replace(false));
    }

    /// How often the commands of `host` were carried out.
    pub(crate) fn executions(&self, host: &str) -> Vec<u32> {
        self.with(|hosts| {
            hosts.done.iter().filter(|((h, _), _)| h == host).map(|(_, n)| *n).collect()
        })
    }

    /// The last command that `host` was given.
    pub(crate) fn last_command(&self, host: &str) -> CommandId {
        self.with(|hosts| {
            let commands = hosts.done.keys().filter(|(h, _)| h == host);
            commands.map(|(_, command)| *command).max().expect("it was given one")
        })
    }

    /// Panics if a command was carried out twice.
    pub(crate) fn nothing_ran_twice(&self) {
        self.with(|hosts| {
            for ((host, command), times) in &hosts.done {
                assert_eq!(*times, 1, "{command} on {host}");
            }
        });
    }
}

impl Hosts {
    fn found(&mut self, subject: &Subject) -> Option<Finding> {
        *self.looks.entry(subject.to_string()).or_default() += 1;
        let findings = self.findings.get_mut(&subject.to_string())?;
        Some(if findings.len() > 1 { findings.remove(0) } else { findings[0].clone() })
    }

    fn traffic(&self, host: &str) -> Traffic {
        self.versions
            .get(host)
            .and_then(|version| self.traffic.get(version))
            .copied()
            .unwrap_or(WELL)
    }

    /// A hundred requests more, and what the service has counted by then.
    fn scrape(&mut self, host: &str) -> Reading {
        let Traffic { errors, slowest } = self.traffic(host);
        let none = || Reading {
            requests: Some(0.0),
            errors: Some(0.0),
            buckets: [0.05, 0.1, 0.2, 0.3, 0.4, f64::INFINITY].map(|bound| (bound, 0.0)).to_vec(),
            probe: None,
            good: None,
        };
        let counted = self.counters.entry(host.to_owned()).or_insert_with(none);
        counted.requests = counted.requests.map(|count| count + 100.0);
        counted.errors = counted.errors.map(|count| count + errors);
        for (bound, count) in &mut counted.buckets {
            *count += if *bound < slowest { 90.0 } else { 100.0 };
        }
        counted.clone()
    }

    fn gate(&mut self, host: &str) -> &watch::Sender<bool> {
        self.gates.entry(host.to_owned()).or_insert_with(|| watch::Sender::new(false))
    }
}

/// An agent that runs until it is dropped. What it did outlives its connections.
pub(crate) struct Agent {
    task: JoinHandle<()>,
    ledger: Arc<Ledger>,
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Agent {
    /// Starts the agent of `host`; it connects for ever.
    pub(crate) fn start(site: &Site, world: &World, host: &str, identity: &HostIdentity) -> Self {
        let ledger = Arc::new(Ledger {
            host: host.to_owned(),
            world: world.clone(),
            entries: Mutex::default(),
            called_off: watch::Sender::default(),
            link: Mutex::default(),
        });
        Self::run(site, identity, ledger)
    }

    fn run(site: &Site, identity: &HostIdentity, ledger: Arc<Ledger>) -> Self {
        let client = site.link(identity);
        let running = Arc::clone(&ledger);
        let task = tokio::spawn(async move {
            let instance = format!("{:p}", Arc::as_ptr(&running));
            loop {
                let _ = session(&running, client.clone(), &instance).await;
                *running.link.lock().unwrap() = None;
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
        });
        Self { task, ledger }
    }

    /// Enrols `host` with label `role: web` and starts its agent.
    pub(crate) async fn join(site: &Site, world: &World, host: &str) -> (Self, HostIdentity) {
        let identity = site.enrol(host, &[("role", "web")]).await;
        (Self::start(site, world, host, &identity), identity)
    }

    /// Takes it off the network; what it is doing goes on.
    pub(crate) fn cut_off(self) -> CutOff {
        // Its end of the stream goes along with it.
        *self.ledger.link.lock().unwrap() = None;
        CutOff(Arc::clone(&self.ledger))
    }

    /// Outcomes that the coordinator has not acknowledged.
    pub(crate) fn unacknowledged(&self) -> usize {
        self.ledger.unacknowledged().len()
    }

    /// What became of a command, once the coordinator has acknowledged it.
    pub(crate) fn acknowledged(&self, command: CommandId) -> Option<OpResult> {
        match self.ledger.entries.lock().unwrap().get(&command) {
            Some(Entry::Acknowledged(outcome)) => Some(outcome.result.clone()),
            _ => None,
        }
    }
}

/// An agent without a network.
pub(crate) struct CutOff(Arc<Ledger>);

impl CutOff {
    /// The same agent, on the network again.
    pub(crate) fn reconnect(self, site: &Site, identity: &HostIdentity) -> Agent {
        Agent::run(site, identity, self.0)
    }

    /// Outcomes that it will tell when it is back.
    pub(crate) fn unacknowledged(&self) -> usize {
        self.0.unacknowledged().len()
    }
}

/// What an agent remembers.
struct Ledger {
    host: String,
    world: World,
    entries: Mutex<BTreeMap<CommandId, Entry>>,
    called_off: watch::Sender<BTreeSet<CommandId>>,
    /// To the coordinator, where there is a link.
    link: Mutex<Option<mpsc::Sender<v1::FromAgent>>>,
}

enum Entry {
    Begun,
    Done(Outcome),
    Acknowledged(Outcome),
}

impl Ledger {
    fn say(&self, message: from_agent::Message) {
        if let Some(link) = &*self.link.lock().unwrap() {
            let _ = link.try_send(v1::FromAgent { message: Some(message) });
        }
    }

    fn report(&self, outcome: &Outcome) {
        self.say(from_agent::Message::Outcome(v1::Outcome { outcome_json: to_json(outcome) }));
    }

    fn unacknowledged(&self) -> Vec<Outcome> {
        let entries = self.entries.lock().unwrap();
        let open = entries.values().filter_map(|entry| match entry {
            Entry::Done(outcome) => Some(outcome.clone()),
            Entry::Begun | Entry::Acknowledged(_) => None,
        });
        open.collect()
    }

    /// Commands that it names when it connects.
    fn open(&self) -> Vec<String> {
        let entries = self.entries.lock().unwrap();
        let open = entries.iter().filter(|(_, e)| !matches!(e, Entry::Acknowledged(_)));
        open.map(|(command, _)| command.to_string()).collect()
    }

    fn newest(&self) -> u64 {
        self.entries.lock().unwrap().keys().next_back().map_or(0, |command| command.rollout.0)
    }

    fn call_off(&self, command: CommandId) {
        self.called_off.send_modify(|all| {
            all.insert(command);
        });
    }

    fn acknowledge(&self, command: CommandId) {
        let mut entries = self.entries.lock().unwrap();
        if let Some(Entry::Done(outcome)) = entries.get(&command) {
            let outcome = outcome.clone();
            entries.insert(command, Entry::Acknowledged(outcome));
        }
    }

    /// Begins a command that is new; repeats the outcome of one that is known.
    fn obey(self: &Arc<Self>, command: Command) {
        let known = {
            let mut entries = self.entries.lock().unwrap();
            match entries.get(&command.id) {
                None => {
                    entries.insert(command.id, Entry::Begun);
                    None
                }
                Some(Entry::Begun) => return,
                Some(Entry::Done(outcome) | Entry::Acknowledged(outcome)) => Some(outcome.clone()),
            }
        };
        match known {
            Some(outcome) if outcome.given == command.given => return self.report(&outcome),
            Some(outcome) => {
                let result = OpResult::Unknown("done in a time that is forgotten".to_owned());
                return self.report(&Outcome { result, given: command.given, ..outcome });
            }
            None => {}
        }
        let ledger = Arc::clone(self);
        tokio::spawn(async move {
            let mut called_off = ledger.called_off.subscribe();
            let result = tokio::select! {
                result = ledger.carry_out(&command) => result,
                _ = called_off.wait_for(|all| all.contains(&command.id)) => OpResult::Cancelled,
            };
            let tail = ledger.world.with(|hosts| hosts.chatter.clone());
            let outcome = Outcome {
                command: command.id,
                given: command.given,
                result,
                began: Timestamp::now(),
                took: Span::ZERO,
                output: Output { tail, dropped: 0 },
                evidence: matches!(command.operation, Operation::Migrate { .. }).then(migrated),
            };
            ledger.entries.lock().unwrap().insert(command.id, Entry::Done(outcome.clone()));
            ledger.report(&outcome);
        });
    }

    async fn carry_out(&self, command: &Command) -> OpResult {
        let gate = self.world.with(|hosts| {
            *hosts.done.entry((self.host.clone(), command.id)).or_default() += 1;
            hosts.gate(&self.host).subscribe()
        });
        match &command.operation {
            Operation::Run { argv, .. } => {
                self.world.with(|hosts| hosts.versions.insert(self.host.clone(), argv[1].clone()));
                OpResult::Done
            }
            Operation::Verify { .. } if !self.healthy() => {
                OpResult::TimedOut("ready: 503".to_owned())
            }
            Operation::Unit { .. } => {
                let mut gate = gate;
                let _ = gate.wait_for(|closed| !closed).await;
                OpResult::Done
            }
            _ => OpResult::Done,
        }
    }

    fn healthy(&self) -> bool {
        self.world.with(|hosts| {
            let version = hosts.versions.get(&self.host);
            version.is_none_or(|version| !hosts.broken.contains(version))
        })
    }

    fn inspect(&self, inspect: v1::Inspect) {
        let subjects: Vec<Subject> = from_json("subjects_json", &inspect.subjects_json).unwrap();
        let findings: Vec<_> = subjects
            .iter()
            .map(|subject| {
                let found = self.world.with(|hosts| hosts.found(subject));
                found.unwrap_or_else(|| match subject {
                    Subject::Unit { .. } => Finding::Unit { active: "active".to_owned() },
                    Subject::Clock => {
                        let ahead = self.world.with(|hosts| hosts.ahead);
                        Finding::Clock { now: ahead.after(Timestamp::now()) }
                    }
                    Subject::Metrics { metrics: Some(_) } => {
                        Finding::Metrics(self.world.with(|hosts| hosts.scrape(&self.host)))
                    }
                    Subject::Metrics { metrics: None } => Finding::Metrics(Reading {
                        requests: None,
                        errors: None,
                        buckets: Vec::new(),
                        probe: Some(
                            Duration::from_secs_f64(self.world.traffic(&self.host).slowest).into(),
                        ),
                        good: Some(self.healthy()),
                    }),
                    Subject::Schema { .. } => {
                        Finding::Schema(Schema { head: None, pending: vec![migration()] })
                    }
                    _ => Finding::Allowed,
                })
            })
            .collect();
        self.say(from_agent::Message::Facts(v1::Facts {
            request: inspect.request,
            findings_json: to_json(&findings),
            healthy: (!inspect.probing_json.is_empty()).then(|| self.healthy()),
        }));
    }
}

/// The migration of every database: the old code can't live with it.
fn migration() -> Migration {
    Migration { name: "0002".to_owned(), kind: MigrationKind::Irreversible }
}

fn migrated() -> Evidence {
    Evidence::Schema {
        before: None,
        after: Some("0002".to_owned()),
        changed: vec![migration()],
        omitted: 0,
    }
}

async fn session(
    ledger: &Arc<Ledger>,
    mut client: v1::agent_link_client::AgentLinkClient<tonic::transport::Channel>,
    instance: &str,
) -> Result<(), tonic::Status> {
    let (words, outgoing) = mpsc::channel(256);
    let hello = from_agent::Message::Hello(v1::Hello {
        agent_version: "0.0.0-test".to_owned(),
        instance: instance.to_owned(),
        boot_id: String::new(),
        commands: ledger.open(),
        newest: ledger.newest(),
    });
    words.try_send(v1::FromAgent { message: Some(hello) }).unwrap();
    let mut orders = client.link(ReceiverStream::new(outgoing)).await?.into_inner();
    let mut heartbeat = tokio::time::interval(Duration::from_secs(3600));
    loop {
        let order = tokio::select! {
            order = orders.message() => order?,
            _ = heartbeat.tick() => {
                ledger.say(from_agent::Message::Heartbeat(v1::Heartbeat::default()));
                continue;
            }
        };
        let Some(order) = order else { return Ok(()) };
        let epoch = Epoch(order.epoch);
        let newest = ledger.world.with(|hosts| {
            let newest = hosts.epochs.entry(ledger.host.clone()).or_default();
            *newest = (*newest).max(epoch);
            *newest
        });
        assert_eq!(epoch, newest, "an order of a reign that is over");
        match order.message.unwrap() {
            to_agent::Message::Welcome(welcome) => {
                let pace = Duration::from_millis(welcome.heartbeat_ms.into());
                heartbeat = tokio::time::interval(pace);
                *ledger.link.lock().unwrap() = Some(words.clone());
                for outcome in ledger.unacknowledged() {
                    ledger.report(&outcome);
                }
            }
            to_agent::Message::Command(said) => {
                let command: Command = from_json("command_json", &said.command_json).unwrap();
                if !said.warrant.is_empty() {
                    let v1::Command { warrant, back, .. } = said;
                    let (host, command) = (ledger.host.clone(), command.clone());
                    let signed = Signed { host, command, warrant, back };
                    ledger.world.with(|hosts| hosts.signed.push(signed));
                }
                ledger.obey(command);
            }
            to_agent::Message::Warrant(warrant) => {
                let handed = from_json("warrant_json", &warrant.warrant_json).unwrap();
                ledger.world.with(|hosts| hosts.handed.push((ledger.host.clone(), handed)));
            }
            to_agent::Message::Acknowledge(acknowledge) => {
                ledger.acknowledge(acknowledge.command.parse().unwrap());
            }
            to_agent::Message::Inspect(inspect) => ledger.inspect(inspect),
            to_agent::Message::Watch(watch) => {
                ledger.say(from_agent::Message::Health(v1::Health {
                    service: watch.service,
                    good: ledger.healthy(),
                    why: String::new(),
                }));
            }
            to_agent::Message::Cancel(cancel) => ledger.call_off(cancel.command.parse().unwrap()),
            to_agent::Message::Unwatch(_) | to_agent::Message::Renew(_) => {}
        }
    }
}

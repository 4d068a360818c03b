//! A fleet that obeys: the machine, its journal, its clock, and hosts that do what they are sent.
//! After each turn the promises that the machine makes are checked.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use dv_rollout::{Effect, Event, Rejected, Rollout, planning};
use dv_types::{
    Command, CommandId, Commit, Digest, Epoch, Fact, Finding, HostFacts, HostName, Labels,
    Manifest, Migration, OpResult, Operation, Outcome, Plan, Record, Report, RolloutId, Span,
    Subject, Timestamp, WaitingOn,
    gate::Answer,
    outcome::{Evidence, ImageId, Output, Tags},
    plan::{Kind, Way, Wish},
    record::{PauseWhy, Verb, Verdict},
    report::{GateReport, OnceReport, OnceState, Phase, State},
};

pub(crate) const EPOCH: Epoch = Epoch(1);

/// Bytes that a record may have.
const RECORD: usize = 16 * 1024;

/// What an agent holds: commands it was sent, and outcomes not yet acknowledged.
#[derive(Debug, Default)]
pub(crate) struct Agent {
    pub(crate) connected: bool,
    pub(crate) enrolled: Timestamp,
    /// Sent, and not carried out.
    pub(crate) inbox: BTreeMap<CommandId, Command>,
    pub(crate) outcomes: BTreeMap<CommandId, Outcome>,
    pub(crate) unacknowledged: HashSet<CommandId>,
    /// How often each number was carried out.
    pub(crate) executed: HashMap<CommandId, u32>,
    pub(crate) tags: Tags,
    /// What its working tree is at, where the service has one.
    pub(crate) commit: Option<Commit>,
}

pub(crate) struct World {
    pub(crate) rollout: Rollout,
    pub(crate) journal: Vec<Record>,
    pub(crate) now: Timestamp,
    pub(crate) agents: BTreeMap<HostName, Agent>,
    pub(crate) cancelled: HashSet<CommandId>,
    /// Gates that were asked, in order.
    pub(crate) asked: Vec<String>,
    pub(crate) sampling: bool,
    pub(crate) database: Database,
    /// What was carried out, in order, and where.
    pub(crate) done: Vec<(HostName, Operation)>,
    /// The fold over the journal, record by record.
    shadow: Rollout,
}

/// The one database behind all hosts.
#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) applied: Vec<Migration>,
    pub(crate) pending: Vec<Migration>,
    /// How many a migration that fails has applied before.
    pub(crate) fails_after: usize,
    pub(crate) backups: Vec<CommandId>,
    /// How many migrations an outcome names.
    pub(crate) named: usize,
}

impl Default for Database {
    fn default() -> Self {
        let (applied, pending, backups) = (Vec::new(), Vec::new(), Vec::new());
        Self { applied, pending, fails_after: 0, backups, named: 100 }
    }
}

pub(crate) fn host(n: usize) -> HostName {
    HostName::new(format!("h{n}")).unwrap()
}

pub(crate) fn number(host: &HostName) -> usize {
    host.as_str()[1..].parse().unwrap()
}

pub(crate) fn image(n: u8) -> ImageId {
    let digest = Digest::new(format!("sha256:{}", format!("{n:02x}").repeat(32))).unwrap();
    ImageId { id: digest.clone(), digest: Some(digest) }
}

pub(crate) fn commit(n: u8) -> Commit {
    Commit::new(format!("{n:02x}").repeat(20)).unwrap()
}

pub(crate) fn manifest(strategy: &str) -> Manifest {
    let json = format!(
        r#"{{
            "service": "debvisor",
            "hosts": {{ "labels": {{ "role": "web" }}, "spread": "zone" }},
            "steps": [
                {{ "image": {{ "repository": "registry:5000/debvisor" }} }},
                {{ "compose": {{ "project": "debvisor" }} }}
            ],
            "health": {{ "ready": {{ "http": "http://localhost:8080/health/ready" }} }},
            "strategy": {strategy}
        }}"#
    );
    serde_json::from_str(&json).unwrap()
}

/// Hosts h1 to hN in three zones, all at v1, with the image of v2 resolved.
pub(crate) fn facts(manifest: &Manifest, hosts: usize) -> Vec<HostFacts> {
    let version = "v2".parse().unwrap();
    (1..=hosts)
        .map(|n| HostFacts {
            name: host(n),
            labels: Labels::from([("zone".to_owned(), format!("z{}", n % 3))]),
            connected: true,
            healthy: Some(true),
            version: Some("v1".parse().unwrap()),
            findings: planning::subjects(manifest, &version)
                .into_iter()
                .map(|s| {
                    let finding = match &s {
                        Subject::Image { .. } => Finding::Image {
                            tags: Tags { latest: Some(image(1)), previous: None },
                            resolved: image(2).digest,
                        },
                        _ => Finding::Allowed,
                    };
                    (s, finding)
                })
                .collect(),
        })
        .collect()
}

pub(crate) fn plan(strategy: &str, hosts: usize) -> Plan {
    let manifest = manifest(strategy);
    let plan = planning::forward(
        &manifest,
        &"v2".parse().unwrap(),
        &facts(&manifest, hosts),
        &planning::Asked::default(),
    );
    assert_eq!(plan.errors().count(), 0, "{:?}", plan.notes);
    plan
}

impl World {
    /// A begun rollout whose hosts are all in contact.
    pub(crate) fn new(plan: Plan) -> Self {
        let mut world = Self::unstarted(plan);
        world.start();
        world
    }

    /// It begins, and every host is in contact.
    pub(crate) fn start(&mut self) {
        let hosts: Vec<_> = self.agents.keys().cloned().collect();
        let start = Event::Start { by: "alice".to_owned(), reason: None, overrides: Vec::new() };
        let mut events = vec![start];
        for name in hosts {
            let agent = self.agents.get_mut(&name).unwrap();
            agent.connected = true;
            events.push(Event::Connected { enrolled: agent.enrolled, host: name });
        }
        self.turn(events);
    }

    pub(crate) fn unstarted(plan: Plan) -> Self {
        Self::unstarted_as(RolloutId(7), plan)
    }

    pub(crate) fn unstarted_as(id: RolloutId, plan: Plan) -> Self {
        let agent =
            || Agent { tags: Tags { latest: Some(image(1)), previous: None }, ..Agent::default() };
        Self {
            agents: plan
                .hosts
                .iter()
                .map(|h| &h.name)
                .chain(plan.once.iter().flat_map(|once| &once.hosts))
                .map(|name| (name.clone(), agent()))
                .collect(),
            shadow: Rollout::new(id, Arc::new(plan.clone())),
            rollout: Rollout::new(id, Arc::new(plan)),
            journal: Vec::new(),
            now: Timestamp::from_second(1_800_000_000).unwrap(),
            cancelled: HashSet::new(),
            asked: Vec::new(),
            sampling: false,
            database: Database::default(),
            done: Vec::new(),
        }
    }

    pub(crate) fn report(&self) -> Report {
        self.rollout.report()
    }

    pub(crate) fn phase(&self, n: usize) -> Phase {
        self.report().hosts.iter().find(|h| h.name == host(n)).unwrap().phase
    }

    pub(crate) fn facts(&self) -> impl Iterator<Item = &Fact> {
        self.journal.iter().map(|r| &r.fact)
    }

    /// Hosts in the order of their first command.
    pub(crate) fn order(&self) -> Vec<HostName> {
        let mut order = Vec::new();
        for fact in self.facts() {
            if let Fact::Commanded { host, .. } = fact
                && !order.contains(host)
            {
                order.push(host.clone());
            }
        }
        order
    }

    /// One turn, its effects delivered, its promises checked.
    pub(crate) fn turn(&mut self, events: Vec<Event>) -> Vec<Rejected> {
        let before = self.rollout.report();
        let turn = self.rollout.turn(EPOCH, self.now, events);
        let new: Vec<Record> = turn.step.records().to_vec();
        let effects = ready(turn.step.commit(async |records| {
            self.journal.extend(records);
            Ok::<_, ()>(())
        }))
        .unwrap();
        self.follow(&new);
        self.check(&before, &new, &effects);
        for effect in effects {
            self.deliver(effect);
        }
        turn.rejected
    }

    fn deliver(&mut self, effect: Effect) {
        match effect {
            Effect::Send { host, command } => {
                let agent = self.agents.get_mut(&host).unwrap();
                if agent.connected && !agent.outcomes.contains_key(&command.id) {
                    agent.inbox.insert(command.id, command);
                } else if agent.outcomes.contains_key(&command.id) {
                    agent.unacknowledged.insert(command.id);
                }
            }
            Effect::Cancel { host, command } => {
                self.cancelled.insert(command);
                let agent = self.agents.get_mut(&host).unwrap();
                if agent.connected && agent.inbox.remove(&command).is_some() {
                    let outcome = outcome(command, OpResult::Cancelled, self.now, None);
                    agent.outcomes.insert(command, outcome);
                    agent.unacknowledged.insert(command);
                }
            }
            Effect::Acknowledge { host, command } => {
                self.agents.get_mut(&host).unwrap().unacknowledged.remove(&command);
            }
            Effect::AskGates { gates } => self.asked.extend(gates),
            Effect::Sample { .. } => self.sampling = true,
            Effect::StopSampling => self.sampling = false,
            Effect::Watch { .. } | Effect::Unwatch { .. } => {}
        }
    }

    /// Carries out what `n` was sent, with this result, and reports it if in contact.
    pub(crate) fn carry_out(&mut self, n: usize, result: impl Fn(&Operation) -> OpResult) -> bool {
        let now = self.now;
        let agent = self.agents.get_mut(&host(n)).unwrap();
        let Some((id, command)) = agent.inbox.pop_first() else {
            return false;
        };
        *agent.executed.entry(id).or_default() += 1;
        let result = result(&command.operation);
        self.done.push((host(n), command.operation.clone()));
        let evidence = match self.database.act(id, &command.operation, &result) {
            None if result.is_done() => act(agent, &command.operation),
            evidence => evidence,
        };
        agent.outcomes.insert(id, outcome(id, result, now, evidence));
        agent.unacknowledged.insert(id);
        self.report_outcomes(n);
        true
    }

    /// Reports what was not acknowledged, if in contact.
    pub(crate) fn report_outcomes(&mut self, n: usize) {
        let name = host(n);
        let agent = &self.agents[&name];
        if !agent.connected {
            return;
        }
        let outcomes: Vec<_> =
            agent.unacknowledged.iter().map(|id| agent.outcomes[id].clone()).collect();
        for outcome in outcomes {
            self.turn(vec![Event::Outcome { host: name.clone(), outcome }]);
        }
    }

    pub(crate) fn connect(&mut self, n: usize) {
        let agent = self.agents.get_mut(&host(n)).unwrap();
        agent.connected = true;
        let enrolled = agent.enrolled;
        self.turn(vec![Event::Connected { host: host(n), enrolled }]);
        self.report_outcomes(n);
    }

    /// A machine of the same name comes in the place of `n`, and knows nothing of what that was told.
    pub(crate) fn replace(&mut self, n: usize) {
        let enrolled = self.now;
        self.agents.insert(host(n), Agent { enrolled, ..Agent::default() });
        self.connect(n);
    }

    /// The connection is cut; what was under way is still carried out by the agent.
    pub(crate) fn disconnect(&mut self, n: usize) {
        self.agents.get_mut(&host(n)).unwrap().connected = false;
        self.turn(vec![Event::Disconnected { host: host(n) }]);
    }

    pub(crate) fn operator(&mut self, verb: Verb) -> Result<(), String> {
        let by = "alice".to_owned();
        let rejected = self.turn(vec![Event::Operator { by, verb, reason: None }]);
        rejected.into_iter().next().map_or(Ok(()), |r| Err(r.why))
    }

    pub(crate) fn pass(&mut self, time: Span) {
        self.now = time.after(self.now);
        self.turn(vec![Event::Tick]);
    }

    /// Coordinator killed and started again: all that is left is the journal.
    pub(crate) fn crash(&mut self) {
        let plan = Arc::clone(self.rollout.plan());
        let before = self.report();
        self.rollout = Rollout::replay(self.rollout.id(), plan, &self.journal).unwrap();
        assert_eq!(self.report(), before, "replay(journal) is the state");
        for agent in self.agents.values_mut() {
            agent.connected = false;
        }
        if !self.rollout.is_ended() {
            self.turn(vec![Event::Recover]);
            let mut hosts = self.report().hosts.into_iter();
            assert!(hosts.all(|h| !h.connected), "a new coordinator is in contact with nobody yet");
        }
    }

    /// Every host does what it is told until nothing is left to do.
    pub(crate) fn run(&mut self, result: impl Fn(usize, &Operation) -> OpResult) {
        for _ in 0..10_000 {
            let hosts: Vec<_> = self.agents.keys().map(number).collect();
            let busy = hosts.iter().any(|&n| self.carry_out(n, |op| result(n, op)));
            if !busy {
                // What was called off is answered, too.
                let records = self.journal.len();
                hosts.into_iter().for_each(|n| self.report_outcomes(n));
                if self.journal.len() == records {
                    return;
                }
            }
        }
        panic!("the fleet is still busy: {:#?}", self.report());
    }

    /// The same until something is so.
    pub(crate) fn run_until(&mut self, so: impl Fn(&Self) -> bool) {
        while !so(self) {
            let hosts: Vec<_> = self.agents.keys().map(number).collect();
            let busy = hosts.into_iter().any(|n| self.carry_out(n, |_| OpResult::Done));
            assert!(busy, "it is never so: {:#?}", self.report());
        }
    }

    fn check(&self, before: &Report, new: &[Record], effects: &[Effect]) {
        let after = self.rollout.report();
        let plan = self.rollout.plan();

        assert_eq!(self.shadow.report(), after, "the fold over the journal is the state");
        assert_eq!(self.shadow.next_deadline(), self.rollout.next_deadline());
        assert_eq!(self.shadow.outstanding(), self.rollout.outstanding());

        let widest = plan.waves.iter().map(|w| w.max_parallel).max().unwrap_or(0);
        assert!(after.totals.working <= widest, "max_parallel holds: {after:#?}");

        let unfinished = !matches!(after.state, State::Ended(_));
        assert_eq!(!after.waiting.is_empty(), unfinished, "explain is empty only at the end");
        let nobody =
            |wait: &WaitingOn| matches!(wait, WaitingOn::Settling { hosts } if hosts.is_empty());
        assert!(!after.waiting.iter().any(nobody), "it waits for nobody: {after:#?}");
        if after.state == State::Running && !self.journal.is_empty() {
            assert!(self.rollout.next_deadline().is_some(), "a running rollout has a deadline");
        }

        let mut spent = matches!(before.state, State::Ending(_) | State::Ended(_));
        for record in new {
            let size = serde_json::to_vec(record).unwrap().len();
            assert!(size < RECORD, "record {} has {size} bytes", record.number);
            match &record.fact {
                Fact::BudgetSpent { .. } | Fact::Ended { .. } => spent = true,
                Fact::Operator { verb: Verb::Resume, .. } => spent = false,
                Fact::Commanded { host, .. } => {
                    assert!(!spent, "nothing is commanded once the budget is spent or at the end");
                    let begun = |f: &Fact| matches!(f, Fact::WaveStarted { .. });
                    let at = self.journal.iter().position(|r| r.number == record.number).unwrap();
                    assert!(
                        self.journal[..at].iter().any(|r| begun(&r.fact)),
                        "a wave begins first"
                    );
                    let wave = after.hosts.iter().find(|h| h.name == *host).unwrap().wave;
                    assert!(wave <= after.wave.0, "no host goes before its wave");
                }
                _ => {}
            }
        }
        for effect in effects {
            if let Effect::Send { host, command } = effect {
                let recorded = self.facts().any(
                    |f| matches!(f, Fact::Commanded { command: c, host: h, .. } | Fact::OnceCommanded { command: c, host: h, .. } if *c == command.id && h == host),
                );
                assert!(recorded, "no command before its record");
            }
        }
        let mut reported = HashSet::new();
        for fact in self.facts() {
            if let Fact::Reported { outcome, .. } | Fact::OnceReported { outcome, .. } = fact {
                assert!(reported.insert(outcome.command), "an outcome is recorded once");
            }
        }
        for agent in self.agents.values() {
            assert!(agent.executed.values().all(|&n| n <= 1), "a number is carried out once");
        }
    }
}

impl World {
    /// Takes in the new records one by one; each is looked at in the state in which it was made.
    fn follow(&mut self, new: &[Record]) {
        for record in new {
            let before = self.shadow.report();
            self.check_nothing_goes_on_beside_a_bad_host(record, &before);
            self.check_order(record, &before);
            self.shadow.apply(record).unwrap();
        }
    }

    /// What happens once, gates, barriers, and what follows by itself.
    fn check_order(&self, record: &Record, before: &Report) {
        let plan = self.rollout.plan();
        let stopped = match &before.state {
            State::Ending(_) | State::Ended(_) => true,
            State::Paused(why) => matches!(
                why,
                PauseWhy::Failures { .. } | PauseWhy::Condemned { .. } | PauseWhy::Migrated { .. }
            ),
            _ => false,
        };
        let passed = |gate: &GateReport| {
            let pass = gate.answer.as_ref().is_some_and(|a| a.answer == Answer::Pass);
            pass || gate.overridden.is_some()
        };
        let commands = matches!(record.fact, Fact::Commanded { .. } | Fact::OnceCommanded { .. });
        if commands {
            assert!(!stopped, "{record:?} although it is {:?}", before.state);
            assert!(before.gates.iter().all(passed), "{record:?} before the gates hold");
        }
        match &record.fact {
            Fact::Commanded { host, step, .. } => {
                let planned = plan.host(host).unwrap();
                for k in (0..=*step).flat_map(|step| plan.barriers(planned, step)) {
                    let once = &before.once[k];
                    assert_eq!(once.state, OnceState::Done, "{record:?} before {}", once.name);
                }
            }
            Fact::OnceCommanded { once, .. } => {
                let running = |once: &OnceReport| once.state == OnceState::Working;
                assert!(!before.once.iter().any(running), "{record:?} beside another");
                assert_eq!(before.state, State::Running, "{record:?}");
                let name = &plan.once[*once as usize].name;
                let earlier = self.journal.iter().filter(|r| r.number < record.number);
                let last = earlier.rev().find(|r| match &r.fact {
                    Fact::OnceCommanded { once: k, .. } => k == once,
                    Fact::Operator { verb: Verb::Resolve { once, done: false }, .. } => {
                        once == name
                    }
                    _ => false,
                });
                let again = last.is_some_and(|r| matches!(r.fact, Fact::OnceCommanded { .. }));
                assert!(!again, "{name} is begun again, and nobody said that it was not done");
            }
            Fact::Ended { verdict: Verdict::Failed, rollback: true } => {
                let way = planning::way_back(&self.shadow, Wish::default()).map(|d| d.way);
                assert_eq!(way, Ok(Way::Code), "what follows by itself touches no database");
            }
            _ => {}
        }
    }

    /// A host that was healthy and is bad holds the next host, wave, promotion and success.
    fn check_nothing_goes_on_beside_a_bad_host(&self, record: &Record, before: &Report) {
        let plan = self.rollout.plan();
        let goes_on = matches!(
            record.fact,
            Fact::Commanded { .. }
                | Fact::WaveStarted { .. }
                | Fact::CanaryHealthy { .. }
                | Fact::Operator { verb: Verb::Promote, .. }
                | Fact::Ended { verdict: Verdict::Succeeded, .. }
        );
        if !goes_on || is_reversal(plan) {
            return;
        }
        let bad = before.hosts.iter().find(|h| h.phase == Phase::Healthy && h.good == Some(false));
        let under_way = |name: &HostName| {
            before.hosts.iter().any(|h| h.name == *name && h.phase == Phase::Working)
        };
        match &record.fact {
            Fact::Commanded { host, .. } if under_way(host) => {}
            fact => assert!(bad.is_none(), "{fact:?} although {bad:?}"),
        }
    }
}

impl Database {
    /// What an operation does to it, and what the agent can say of that.
    fn act(
        &mut self,
        command: CommandId,
        operation: &Operation,
        result: &OpResult,
    ) -> Option<Evidence> {
        let head = |all: &[Migration]| all.last().map(|migration| migration.name.clone());
        let done = result.is_done();
        match operation {
            Operation::Backup { .. } if done => {
                self.backups.push(command);
                Some(Evidence::Backup { size: 1 << 20, created: None, sha256: None, file: None })
            }
            Operation::Migrate { .. } if !matches!(result, OpResult::Refused(_)) => {
                let before = head(&self.applied);
                let all = self.pending.len();
                let count = if done { all } else { self.fails_after.min(all) };
                let mut changed: Vec<_> = self.pending.drain(..count).collect();
                self.applied.extend(changed.clone());
                changed.truncate(self.named);
                let omitted = (count - changed.len()) as u32;
                // Whoever can't tell whether it was done has no evidence.
                let knows = !matches!(result, OpResult::Unknown(_));
                knows.then(|| Evidence::Schema {
                    before,
                    after: head(&self.applied),
                    changed,
                    omitted,
                })
            }
            Operation::Downgrade { downgrade, head: expected, to, .. } if done => {
                let before = head(&self.applied);
                assert_eq!(before, *expected, "somebody has migrated since");
                let count: usize = downgrade.last().unwrap().parse().unwrap();
                let left = self.applied.len() - count;
                self.pending.splice(0..0, self.applied.drain(left..));
                let after = head(&self.applied);
                let to = to.as_ref().expect("it is known where the rollout found the schema");
                assert_eq!(to.name(), after.as_deref(), "too many are taken back, or too few");
                Some(Evidence::Schema { before, after, changed: Vec::new(), omitted: 0 })
            }
            Operation::Smoke { .. } => {
                Some(Evidence::Smoke { requests: vec!["GET /: 200 in 1ms".to_owned()] })
            }
            _ => None,
        }
    }
}

fn act(agent: &mut Agent, operation: &Operation) -> Option<Evidence> {
    let before = agent.tags.clone();
    match operation {
        Operation::TagImage { digest, .. } => {
            let new = ImageId { id: digest.clone(), digest: Some(digest.clone()) };
            if before.latest.as_ref() != Some(&new) {
                agent.tags = Tags { latest: Some(new), previous: before.latest.clone() };
            }
        }
        Operation::RestoreTags { latest, previous, .. } => {
            agent.tags = Tags { latest: Some(latest.clone()), previous: previous.clone() };
        }
        Operation::Checkout { commit, .. } => {
            let before = agent.commit.replace(commit.clone())?;
            return Some(Evidence::Commit { before, after: commit.clone() });
        }
        _ => return None,
    }
    Some(Evidence::Tags { before, after: agent.tags.clone() })
}

fn outcome(
    command: CommandId,
    result: OpResult,
    now: Timestamp,
    evidence: Option<Evidence>,
) -> Outcome {
    Outcome {
        command,
        given: None,
        result,
        began: now,
        took: Span::from_millis(5),
        output: Output::default(),
        evidence,
    }
}

/// Whether the plan takes something back.
pub(crate) fn is_reversal(plan: &Plan) -> bool {
    matches!(plan.kind, Kind::Reversal { .. })
}

/// The commit's `append` never waits here, so neither does the future.
fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("the commit waits for nothing"),
    }
}

/// The way back that a person would take who wants nothing special.
pub(crate) fn reverse(of: &Rollout, catch_ups: &[Rollout], all_at_once: bool) -> Plan {
    let database = planning::way_back(of, Wish::default()).expect("nothing was migrated");
    planning::reverse(of, catch_ups, all_at_once, database)
}

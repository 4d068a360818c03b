//! The machine's state, and its turn.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use dv_types::{
    Command, CommandId, Epoch, Evidence, Fact, HostName, Operation, Plan, Record, RolloutId,
    Timestamp,
    plan::{PlannedHost, Wave},
    record::{PauseWhy, Verb, Verdict},
};

use crate::{
    Effect, Event, IllegalRecord, Rejected, Step, Turn, fit::fitted, host::Host, index::Index,
    once::Once, preconditions::Precondition, relapse::Patience, watching::Watch,
};

/// One rollout: a fold over its records.
#[derive(Debug)]
pub struct Rollout {
    pub(crate) id: RolloutId,
    pub(crate) plan: Arc<Plan>,
    pub(crate) plan_hash: String,
    /// In the order of the waves: earlier hosts go first.
    pub(crate) hosts: Vec<Host>,
    /// Of each host, its place in `plan.hosts` and its wave.
    pub(crate) places: Vec<Place>,
    names: HashMap<HostName, usize>,
    pub(crate) index: Index,
    /// In the order of the plan.
    pub(crate) gates: Vec<Precondition>,
    /// In the order of the plan.
    pub(crate) once: Vec<Once>,
    /// Of hosts that are not the plan's and carry out what happens once: in contact or not, and since when.
    pub(crate) helpers: BTreeMap<HostName, (bool, Timestamp)>,
    pub(crate) watches: Vec<Watch>,
    pub(crate) mode: Mode,
    /// The wave that is under way.
    pub(crate) wave: Option<u32>,
    pub(crate) promotion: Promotion,
    /// It ends for a later rollout of its service.
    pub(crate) made_way: bool,
    pub(crate) empty_canary_accepted: bool,
    /// Failures that a person has accepted by resuming.
    pub(crate) forgiven_failures: u32,
    /// Unreachable hosts that a person has accepted by resuming.
    pub(crate) forgiven_unreachable: u32,
    pub(crate) last_command: u32,
    pub(crate) last_record: u64,
    pub(crate) progress: Timestamp,
    pub(crate) by: String,
    pub(crate) began: Timestamp,
    pub(crate) ended: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) planned: usize,
    pub(crate) wave: usize,
}

/// Where the rollout as a whole stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mode {
    New,
    Running,
    Paused(PauseWhy),
    Ending { verdict: Verdict, rollback: bool },
    Ended { verdict: Verdict, rollback: bool },
}

/// The canary's way to the rest of the fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Promotion {
    NotYet,
    Awaited,
    Given,
}

impl Rollout {
    /// A rollout that has not begun.
    #[must_use]
    pub fn new(id: RolloutId, plan: Arc<Plan>) -> Self {
        let mut names = HashMap::new();
        let mut places = Vec::new();
        let by_name: HashMap<_, _> =
            plan.hosts.iter().enumerate().map(|(i, h)| (&h.name, i)).collect();
        for (wave, w) in plan.waves.iter().enumerate() {
            for name in &w.hosts {
                if let (Some(&planned), false) = (by_name.get(name), names.contains_key(name)) {
                    names.insert(name.clone(), places.len());
                    places.push(Place { planned, wave });
                }
            }
        }
        let began = Timestamp::MIN;
        let mut index = Index::new(plan.waves.len(), Patience::of(&plan));
        let hosts: Vec<_> = places
            .iter()
            .map(|p| &plan.hosts[p.planned])
            .map(|h| Host::new(began, h.healthy, plan.operations(h).len() as u32))
            .collect();
        for (i, host) in hosts.iter().enumerate() {
            index.add(i, places[i].wave, host);
        }
        let helpers = plan.once.iter().flat_map(|once| &once.hosts);
        let helpers = helpers.filter(|host| !names.contains_key(*host));
        Self {
            id,
            plan_hash: plan.hash(),
            gates: vec![Precondition::default(); plan.gates.len()],
            once: vec![Once::default(); plan.once.len()],
            helpers: helpers.map(|host| (host.clone(), (false, began))).collect(),
            watches: Vec::new(),
            plan,
            hosts,
            places,
            names,
            index,
            mode: Mode::New,
            wave: None,
            promotion: Promotion::NotYet,
            made_way: false,
            empty_canary_accepted: false,
            forgiven_failures: 0,
            forgiven_unreachable: 0,
            last_command: 0,
            last_record: 0,
            progress: began,
            by: String::new(),
            began,
            ended: None,
        }
    }

    /// The rollout that these records tell of.
    pub fn replay<'r>(
        id: RolloutId,
        plan: Arc<Plan>,
        records: impl IntoIterator<Item = &'r Record>,
    ) -> Result<Self, IllegalRecord> {
        let mut rollout = Self::new(id, plan);
        for record in records {
            rollout.apply(record)?;
        }
        Ok(rollout)
    }

    /// Takes in what happened and decides what follows. The state advances at once; where the step can't be
    /// committed, drop this value and replay the journal.
    pub fn turn(
        &mut self,
        epoch: Epoch,
        now: Timestamp,
        events: impl IntoIterator<Item = Event>,
    ) -> Turn {
        let mut step = Step::default();
        let mut rejected = Vec::new();
        for (event, what) in events.into_iter().enumerate() {
            match self.observe(&what) {
                Ok(facts) => {
                    match what {
                        // A repeated outcome is no news, but the agent wants to hear that it is kept.
                        Event::Outcome { host, outcome } if facts.is_empty() => {
                            let command = outcome.command;
                            step.effects.push(Effect::Acknowledge { host, command });
                        }
                        // Nor is another connection, but the agent knows nothing in it yet.
                        Event::Connected { host, .. } if facts.is_empty() => {
                            step.effects.extend(self.greeting(&host));
                        }
                        _ => {}
                    }
                    self.take(&mut step, epoch, now, facts);
                }
                Err(why) => rejected.push(Rejected { event, why }),
            }
        }
        loop {
            let facts = self.decide(now);
            if facts.is_empty() {
                break;
            }
            self.take(&mut step, epoch, now, facts);
        }
        Turn { step, rejected }
    }

    fn take(&mut self, step: &mut Step, epoch: Epoch, at: Timestamp, facts: Vec<Fact>) {
        for fact in facts {
            let fact = fitted(fact);
            let record = Record { number: self.last_record + 1, at, epoch, fact };
            let paused = matches!(self.mode, Mode::Paused(_));
            self.apply(&record).expect("the machine makes legal records only");
            step.effects.extend(self.effects(&record.fact));
            // Where it does not go on by an override, the others have been asked and are still to answer.
            let overrides =
                matches!(record.fact, Fact::Operator { verb: Verb::Override { .. }, .. });
            if overrides && paused && self.mode == Mode::Running {
                step.effects.extend(self.ask_gates());
            }
            step.records.push(record);
        }
    }

    /// What a fact asks for.
    fn effects(&self, fact: &Fact) -> Vec<Effect> {
        match fact {
            Fact::Commanded { host, .. } => {
                self.host(host).and_then(|i| self.send(i)).into_iter().collect()
            }
            Fact::Cancelling { host, command } => {
                vec![Effect::Cancel { host: host.clone(), command: *command }]
            }
            Fact::Reported { host, outcome } => {
                vec![Effect::Acknowledge { host: host.clone(), command: outcome.command }]
            }
            Fact::Connected { host } => self.greeting(host),
            Fact::HostFailed { host, .. } => {
                let out = self.host(host).filter(|&i| self.hosts[i].connected && self.hosts[i].out);
                out.and_then(|i| self.watch(i)).into_iter().collect()
            }
            Fact::Started { .. } => self.ask_gates(),
            Fact::Recovered => self.ask_gates().into_iter().chain(self.observe_service()).collect(),
            Fact::Operator { verb: Verb::Resume, .. } => self.ask_gates(),
            Fact::Operator { verb: Verb::Resolve { once, .. }, .. } => self.call_off_once(once),
            Fact::OnceCommanded { .. } => self
                .once_in_flight()
                .map(|(k, flight)| self.send_once(k, flight))
                .into_iter()
                .collect(),
            Fact::OnceCancelling { .. } => self
                .once_in_flight()
                .map(|(_, flight)| Effect::Cancel {
                    host: flight.host.clone(),
                    command: flight.command,
                })
                .into_iter()
                .collect(),
            Fact::OnceReported { host, outcome, .. } => {
                vec![Effect::Acknowledge { host: host.clone(), command: outcome.command }]
            }
            Fact::MonitorStarted { .. } => self.observe_service().into_iter().collect(),
            Fact::Judged { .. } => vec![Effect::StopSampling],
            Fact::Ended { .. } => {
                let watched = self.plan.watch.iter().flat_map(|_| &self.plan.hosts);
                let unwatch = watched.map(|h| Effect::Unwatch { host: h.name.clone() });
                let sampled = self.watches.last().filter(|watch| watch.judgement.is_none());
                unwatch.chain(sampled.map(|_| Effect::StopSampling)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Asks the gates that have not answered.
    fn ask_gates(&self) -> Vec<Effect> {
        let gates = self.open_gates();
        let asks = self.wave.is_none() && !gates.is_empty() && !self.is_ended();
        if asks { vec![Effect::AskGates { gates }] } else { Vec::new() }
    }

    /// What a host must hear at the beginning of a connection.
    fn greeting(&self, host: &HostName) -> Vec<Effect> {
        let mut effects = self.host(host).map(|i| self.greet(i)).unwrap_or_default();
        effects.extend(self.greet_once(host));
        effects
    }

    /// What a host of the rollout that comes into contact must hear.
    fn greet(&self, i: usize) -> Vec<Effect> {
        self.watch(i).into_iter().chain(self.unanswered(i)).collect()
    }

    /// Its probes are asked, and the first answer is told at once, whatever they said before.
    fn watch(&self, i: usize) -> Option<Effect> {
        let host = self.name(i).clone();
        self.plan.watch.clone().map(|probing| Effect::Watch { host, probing })
    }

    /// The command that a host under way has not answered.
    fn unanswered(&self, i: usize) -> Vec<Effect> {
        let host = &self.hosts[i];
        if !self.index.working.contains(&i) || !host.connected {
            return Vec::new();
        }
        let mut effects: Vec<_> = self.send(i).into_iter().collect();
        if let Some(flight) = host.flight.as_ref().filter(|f| f.cancelling.is_some()) {
            effects.push(Effect::Cancel { host: self.name(i).clone(), command: flight.command });
        }
        effects
    }

    fn send(&self, i: usize) -> Option<Effect> {
        let host = &self.hosts[i];
        let flight = host.flight.as_ref()?;
        let operation = self.operations(i).get(flight.step as usize)?.clone();
        let given = host.given(flight.command).map(|given| given.since);
        let command = Command { id: flight.command, attempt: host.attempt, given, operation };
        Some(Effect::Send { host: self.name(i).clone(), command })
    }

    /// Commands to connected hosts that have no answer yet.
    #[must_use]
    pub fn outstanding(&self) -> Vec<Effect> {
        if self.is_ended() {
            return Vec::new();
        }
        let hosts = self.index.working.iter().flat_map(|&i| self.unanswered(i));
        let once = self.once_in_flight().filter(|(_, flight)| self.contact(&flight.host).0);
        let once = once.into_iter().flat_map(|(k, flight)| self.send_and_cancel_once(k, flight));
        hosts.chain(once).collect()
    }

    /// When the machine wants a [`Event::Tick`] at the latest.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        match self.mode {
            Mode::New | Mode::Ended { .. } => None,
            _ => {
                let alarm = self.index.alarms.first().map(|(at, _)| *at);
                let watch = match self.mode {
                    Mode::Running | Mode::Paused(_) => {
                        self.watch_under_way().map(|(_, until)| until)
                    }
                    _ => None,
                };
                let alarms = [alarm, self.once_alarm(), watch, self.progress_deadline()];
                alarms.into_iter().flatten().min()
            }
        }
    }

    /// Whether nothing goes on before a person speaks, and nothing is under way: what comes and goes meanwhile decides
    /// nothing.
    #[must_use]
    pub fn rests(&self) -> bool {
        let waits = match self.mode {
            Mode::Paused(_) => true,
            Mode::Running => self.promotion == Promotion::Awaited,
            _ => false,
        };
        waits
            && self.index.working.is_empty()
            && self.index.relapsed.is_empty()
            && self.once_in_flight().is_none()
            && self.watch_under_way().is_none()
    }

    /// The number of the rollout.
    #[must_use]
    pub fn id(&self) -> RolloutId {
        self.id
    }

    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The number of the last record.
    #[must_use]
    pub fn last_record(&self) -> u64 {
        self.last_record
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.ended().is_some()
    }

    /// How it ended, and whether a rollback of it follows.
    #[must_use]
    pub fn ended(&self) -> Option<(Verdict, bool)> {
        match self.mode {
            Mode::Ended { verdict, rollback } => Some((verdict, rollback)),
            _ => None,
        }
    }

    pub(crate) fn host(&self, name: &HostName) -> Option<usize> {
        self.names.get(name).copied()
    }

    pub(crate) fn planned(&self, i: usize) -> &PlannedHost {
        &self.plan.hosts[self.places[i].planned]
    }

    pub(crate) fn name(&self, i: usize) -> &HostName {
        &self.planned(i).name
    }

    pub(crate) fn operations(&self, i: usize) -> &[Operation] {
        self.plan.operations(self.planned(i))
    }

    pub(crate) fn current_wave(&self) -> Option<&Wave> {
        self.plan.waves.get(self.wave? as usize)
    }

    pub(crate) fn next_command(&self) -> CommandId {
        CommandId { rollout: self.id, number: self.last_command + 1 }
    }

    /// What the commands of `step` on a host left as evidence, the first of them first.
    pub(crate) fn evidence(&self, i: usize, step: usize) -> impl Iterator<Item = &Evidence> {
        let of_step = self.hosts[i].given.iter().filter(move |g| g.step as usize == step);
        of_step.filter_map(|g| g.evidence.as_ref())
    }

    /// Whether a host was told to carry out `step`, and did not refuse.
    pub(crate) fn was_begun(&self, i: usize, step: usize) -> bool {
        self.hosts[i].given.iter().any(|g| g.step as usize == step && !g.refused)
    }
}

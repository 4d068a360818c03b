//! Plans of the playbook: gates, what happens once, migrations, a smoke test; and what a person says to them.

use dv_rollout::{Event, planning};
use dv_types::{
    Fact, Finding, GateAnswer, HostFacts, HostName, Labels, Manifest, Migration, MigrationKind,
    OpResult, Operation, Plan, RolloutId, Schema,
    gate::Answer,
    record::{PauseWhy, Verb},
    report::{OnceReport, OnceState, State},
};
use serde_json::{Value, json};

use crate::world::{Agent, World, facts, host, manifest};

/// A host that is not the rollout's, and carries out what happens once.
pub(crate) const HELPER: usize = 90;

pub(crate) fn done(_: usize, _: &Operation) -> OpResult {
    OpResult::Done
}

pub(crate) fn failed() -> OpResult {
    OpResult::Failed("it broke".to_owned())
}

pub(crate) fn backup(on: Value) -> Value {
    json!({ "backup": {
        "create": ["/bin/backup", "${rollout}"],
        "restore": ["/bin/restore", "${rollout}"],
        "once": on,
    } })
}

pub(crate) fn migrate(on: Value) -> Value {
    json!({ "migrate": {
        "check": ["/bin/db", "status"],
        "upgrade": ["/bin/db", "upgrade"],
        "downgrade": ["/bin/db", "downgrade", "${count}"],
        "once": on,
    } })
}

pub(crate) fn run_once(on: Value) -> Value {
    json!({ "run": {
        "argv": ["/bin/announce", "${rollout}"],
        "undo": ["/bin/retract", "${rollout}", "${version}"],
        "once": on,
    } })
}

pub(crate) fn image() -> Value {
    json!({ "image": { "repository": "registry:5000/debvisor" } })
}

pub(crate) fn compose() -> Value {
    json!({ "compose": { "project": "debvisor" } })
}

/// The playbook in small: backup, image, migrations, compose.
pub(crate) fn steps(on: &Value) -> Value {
    json!([backup(on.clone()), image(), migrate(on.clone()), compose()])
}

pub(crate) fn manifest_of(strategy: &Value, steps: Value, more: Value) -> Manifest {
    let mut document = serde_json::to_value(manifest(&strategy.to_string())).unwrap();
    document["steps"] = steps;
    for (key, value) in more.as_object().cloned().unwrap_or_default() {
        document[key] = value;
    }
    document.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    serde_json::from_value(document).unwrap()
}

/// The plan for hosts h1 to hN; besides them the fleet has a helper labelled `role: db`, and h1 and h2 are `role: old`.
pub(crate) fn plan_of(strategy: &Value, steps: Value, more: Value, hosts: usize) -> Plan {
    let manifest = manifest_of(strategy, steps, more);
    let version = "v2".parse().unwrap();
    let facts = facts(&manifest, hosts);
    let role = |name: HostName, role: &str| HostFacts {
        name,
        labels: Labels::from([("role".to_owned(), role.to_owned())]),
        connected: true,
        healthy: None,
        version: None,
        findings: Vec::new(),
    };
    let of_fleet = (1..=hosts).map(|n| role(host(n), if n <= 2 { "old" } else { "web" }));
    let helpers = of_fleet.chain([role(host(HELPER), "db")]).collect();
    let schema = Some(Finding::Schema(Schema::default()));
    let plan = planning::forward(&manifest, &version, &facts, &planning::Asked { helpers, schema });
    assert_eq!(plan.errors().count(), 0, "{:?}", plan.notes);
    plan
}

pub(crate) fn migrations(kinds: &[MigrationKind]) -> Vec<Migration> {
    let one = |(i, kind): (usize, &MigrationKind)| Migration { name: format!("m{i}"), kind: *kind };
    kinds.iter().enumerate().map(one).collect()
}

pub(crate) fn answer(gate: &str, answer: Answer) -> Event {
    let why = format!("{gate} says {answer}");
    Event::Gate { answer: GateAnswer { gate: gate.to_owned(), answer, why, evidence: Vec::new() } }
}

impl World {
    /// The same with migrations that are pending.
    pub(crate) fn pending(mut plan: Plan, kinds: &[MigrationKind]) -> Self {
        plan.schema = Some(Schema { head: None, pending: migrations(kinds) });
        Self::pending_unplanned(plan, kinds)
    }

    /// The same where the plan says something else of the schema.
    pub(crate) fn pending_unplanned(plan: Plan, kinds: &[MigrationKind]) -> Self {
        let mut world = Self::unstarted(plan);
        world.database.pending = migrations(kinds);
        world.start();
        world
    }

    pub(crate) fn once(&self, name: &str) -> OnceReport {
        self.report().once.into_iter().find(|once| once.name == name).unwrap()
    }

    pub(crate) fn stands(&self, name: &str) -> OnceState {
        self.once(name).state
    }

    /// The hosts that were told to do it, in order.
    pub(crate) fn told(&self, name: &str) -> Vec<HostName> {
        let k = self.rollout.plan().once.iter().position(|once| once.name == name).unwrap();
        let hosts = self.facts().filter_map(|fact| match fact {
            Fact::OnceCommanded { once, host, .. } if *once as usize == k => Some(host.clone()),
            _ => None,
        });
        hosts.collect()
    }

    /// How often any agent carried out such an operation.
    pub(crate) fn carried_out(&self, matches: impl Fn(&Operation) -> bool) -> usize {
        self.done.iter().filter(|(_, operation)| matches(operation)).count()
    }

    pub(crate) fn resolve(&mut self, once: &str, done: bool) -> Result<(), String> {
        self.operator(Verb::Resolve { once: once.to_owned(), done })
    }

    pub(crate) fn paused(&self) -> PauseWhy {
        match self.report().state {
            State::Paused(why) => why,
            state => panic!("it is {state:?}"),
        }
    }

    /// Carries out what is there until the host of `name` holds it in its inbox.
    pub(crate) fn up_to(&mut self, name: &str) -> usize {
        for _ in 0..1000 {
            if self.stands(name) == OnceState::Working {
                return crate::world::number(&self.once(name).host.unwrap());
            }
            let hosts: Vec<_> = self.agents.keys().map(crate::world::number).collect();
            assert!(
                hosts.into_iter().any(|n| self.carry_out(n, |_| OpResult::Done)),
                "{name} is never begun: {:#?}",
                self.report()
            );
        }
        panic!("{name} is never begun");
    }

    /// Every agent reaches the coordinator again.
    pub(crate) fn reconnect(&mut self) {
        let hosts: Vec<_> = self.agents.keys().map(crate::world::number).collect();
        hosts.into_iter().for_each(|n| self.connect(n));
    }

    /// The rollout that takes this one back, on the same hosts and the same database.
    pub(crate) fn going_back(&mut self, plan: Plan) -> Self {
        let mut back = Self::unstarted_as(RolloutId(8), plan);
        back.database = std::mem::take(&mut self.database);
        for (name, agent) in &mut back.agents {
            if let Some(before) = self.agents.get(name) {
                *agent = Agent {
                    tags: before.tags.clone(),
                    commit: before.commit.clone(),
                    ..Agent::default()
                };
            }
        }
        back.start();
        back
    }
}

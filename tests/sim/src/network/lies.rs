//! A host that lies: what it says is not what its agent says, until all is put right.

use std::sync::{Arc, Mutex};

use dv_proto::v1::{self, FromAgent, ToAgent, from_agent, to_agent};
use dv_types::{
    Command, CommandId, Evidence, OpResult, Outcome, RolloutId, Span,
    outcome::{Output, Tags},
};

use crate::{chance::Chance, host::Host, scenario::SERVICE, world::World};

/// What a liar makes of one connection.
pub(super) struct Lies {
    world: Arc<World>,
    machine: String,
    state: Mutex<State>,
}

struct State {
    chance: Chance,
    /// What is to be said with the next word.
    soon: Vec<FromAgent>,
}

impl Lies {
    /// Nothing for a host that says what is so.
    pub(super) fn of(world: &Arc<World>, host: &Host, part: &str) -> Option<Arc<Self>> {
        let lies = world.scenario.liar.as_ref() == Some(&host.name);
        let chance = world.chance(&format!("lies of {part}"));
        let (world, machine) = (Arc::clone(world), host.machine.clone());
        let state = Mutex::new(State { chance, soon: Vec::new() });
        lies.then(|| Arc::new(Self { world, machine, state }))
    }

    /// What is said in place of a word.
    pub(super) fn twist(&self, word: FromAgent) -> Vec<FromAgent> {
        if self.world.is_healed() {
            return vec![word];
        }
        let mut state = self.state.lock().unwrap();
        let first = matches!(word.message, Some(from_agent::Message::Hello(_)));
        let mut said = Vec::new();
        match state.chance.hit(300) {
            true => said.extend(self.lie(&mut state.chance, word)),
            false => said.push(word),
        }
        if !first {
            said.append(&mut state.soon);
            if state.chance.hit(100) {
                said.push(self.made_up(&mut state.chance));
            }
        }
        said
    }

    /// Whether an order never comes to the agent; then it is said to be done.
    pub(super) fn swallows(&self, order: &ToAgent) -> bool {
        let Some(to_agent::Message::Command(command)) = &order.message else { return false };
        let mut state = self.state.lock().unwrap();
        if self.world.is_healed() || !state.chance.hit(250) {
            return false;
        }
        let command: Command =
            serde_json::from_str(&command.command_json).expect("a command can be read");
        self.world.tell(|| format!("lie         {} says it does {}", self.machine, command.id));
        let outcome = self.outcome(&mut state.chance, command.id, true);
        state.soon.push(outcome);
        true
    }

    fn lie(&self, chance: &mut Chance, word: FromAgent) -> Option<FromAgent> {
        use from_agent::Message;
        let message = match word.message? {
            Message::Hello(mut hello) => {
                hello.commands = match chance.coin() {
                    true => vec![self.command(chance).to_string(), "no number".to_owned()],
                    false => Vec::new(),
                };
                Message::Hello(hello)
            }
            // It is not said at all.
            Message::Heartbeat(_) => return None,
            Message::Progress(progress) => {
                let command = self.command(chance).to_string();
                Message::Progress(v1::Progress { command, ..progress })
            }
            Message::Outcome(outcome) => {
                let outcome: Outcome =
                    serde_json::from_str(&outcome.outcome_json).expect("an outcome can be read");
                let done = !outcome.result.is_done();
                return match chance.between(0, 3) {
                    0 => None,
                    1 => Some(says(Message::Outcome(v1::Outcome { outcome_json: "{".to_owned() }))),
                    _ => Some(self.outcome(chance, outcome.command, done)),
                };
            }
            Message::Health(health) => Message::Health(v1::Health { good: !health.good, ..health }),
            Message::Facts(facts) => match chance.between(0, 3) {
                0 => return None,
                1 => Message::Facts(v1::Facts { request: facts.request + 1, ..facts }),
                2 => Message::Facts(v1::Facts { findings_json: "[]".to_owned(), ..facts }),
                _ => Message::Facts(v1::Facts {
                    healthy: facts.healthy.map(|healthy| !healthy),
                    ..facts
                }),
            },
        };
        Some(says(message))
    }

    /// What nobody asked for.
    fn made_up(&self, chance: &mut Chance) -> FromAgent {
        let command = self.command(chance);
        match chance.between(0, 2) {
            0 => says(from_agent::Message::Health(v1::Health {
                service: SERVICE.to_owned(),
                good: chance.coin(),
                why: String::new(),
            })),
            _ => {
                let done = chance.coin();
                self.outcome(chance, command, done)
            }
        }
    }

    /// A command of any rollout, also of the next one; whether or not it was given, and to whom.
    fn command(&self, chance: &mut Chance) -> CommandId {
        let newest = self.world.watch().newest();
        let rollout = RolloutId(chance.between(1, newest.0 + 1));
        CommandId { rollout, number: chance.between(1, 40) as u32 }
    }

    fn outcome(&self, chance: &mut Chance, command: CommandId, done: bool) -> FromAgent {
        let why = || "because".to_owned();
        let result = match chance.between(0, 4) {
            _ if done => OpResult::Done,
            0 => OpResult::Failed(why()),
            1 => OpResult::TimedOut(why()),
            2 => OpResult::Refused(why()),
            3 => OpResult::Cancelled,
            _ => OpResult::Unknown(why()),
        };
        let began = self.world.time(chance.between(0, 7200) as i64 - 3600);
        let evidence = match chance.between(0, 6) {
            0 => Some(Evidence::Tags { before: Tags::default(), after: Tags::default() }),
            1 => Some(Evidence::Exit { code: None, signal: Some(9) }),
            2 => Some(Evidence::Schema {
                before: Some("empty".to_owned()),
                after: Some("nowhere".to_owned()),
                changed: Vec::new(),
                omitted: 0,
            }),
            3 => Some(Evidence::Armed { until: began }),
            4 => Some(Evidence::Reverted { at: began, complete: chance.coin() }),
            _ => None,
        };
        let (took, output) = (Span::from_secs(chance.between(0, 600)), Output::default());
        let given = chance.hit(300).then_some(began);
        let outcome = Outcome { command, given, result, began, took, output, evidence };
        let outcome_json = serde_json::to_string(&outcome).expect("an outcome can be written");
        says(from_agent::Message::Outcome(v1::Outcome { outcome_json }))
    }
}

fn says(message: from_agent::Message) -> FromAgent {
    FromAgent { message: Some(message) }
}

//! A host does nothing that is not on its own record first, and no number more often than it may.

use std::collections::BTreeMap;

use dv_agent::ports::Disk as _;
use dv_types::{CommandId, Operation, RolloutId, operation::UnitVerb};
use serde_json::Value;

use super::violated;
use crate::{host::Host, world::Violation};

const LEDGER: &str = "/state/ledger";
const SWITCHES: &str = "/state/switches";

#[derive(Default)]
pub(super) struct Effects {
    count: usize,
    /// By machine.
    begun: BTreeMap<(String, CommandId), Begun>,
    /// How often each machine's agent has died.
    deaths: BTreeMap<String, u32>,
}

#[derive(Clone, Copy)]
struct Begun {
    times: u32,
    /// Deaths of the agent before it was begun first.
    deaths: u32,
}

/// What can be seen of an operation.
fn visible(operation: &Operation) -> Vec<String> {
    match operation {
        Operation::Unit { unit, verb, .. } => vec![format!("{verb} {unit}")],
        Operation::Run { argv, .. } => vec![argv.join(" ")],
        Operation::Backup { create, .. } => vec![create.join(" ")],
        Operation::Migrate { upgrade, .. } => vec![upgrade.join(" ")],
        Operation::Downgrade { downgrade, .. } => vec![downgrade.join(" ")],
        Operation::Smoke { smoke, .. } => smoke.command.iter().map(|argv| argv.join(" ")).collect(),
        _ => Vec::new(),
    }
}

impl Effects {
    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn died(&mut self, machine: &str) {
        *self.deaths.entry(machine.to_owned()).or_default() += 1;
    }

    /// What one machine has done, the other has done: to it, the copy is a crash.
    pub(super) fn copied(&mut self, from: &str, to: &str) {
        let own = self.begun.iter().filter(|((machine, _), _)| machine == from);
        let own: Vec<_> = own.map(|((_, id), begun)| ((to.to_owned(), *id), *begun)).collect();
        self.begun.extend(own);
        self.deaths.insert(to.to_owned(), self.deaths.get(from).copied().unwrap_or_default() + 1);
    }

    /// The command that a host carries out; nothing where its dead-man's switch does it.
    pub(super) fn begun(
        &mut self,
        host: &Host,
        what: &str,
    ) -> Result<Option<CommandId>, Violation> {
        self.count += 1;
        let name = &host.machine;
        let entries = read_all(host, LEDGER);
        let intents = entries.iter().filter(|(_, entry)| entry["outcome"].is_null());
        let intents = intents.filter_map(|(path, entry)| {
            let operation = serde_json::from_value::<Operation>(entry["operation"].clone()).ok()?;
            visible(&operation).iter().any(|seen| seen == what).then_some((path, entry, operation))
        });
        let fires = || {
            switches(host).iter().any(|(switch, firing)| {
                let revert = serde_json::from_value::<Vec<Operation>>(switch["revert"].clone());
                let revert = revert.unwrap_or_default();
                *firing && revert.iter().flat_map(visible).any(|seen| seen == what)
            })
        };
        // The newest: an older one may have been called off a moment ago.
        let newest = intents.max_by_key(|(_, entry, _)| number(entry));
        let Some((path, entry, operation)) = newest else {
            if fires() {
                return Ok(None);
            }
            let what = format!("{name} does {what}, and has no intent of it");
            return violated("intent-before-effect", what).map(|()| None);
        };
        let id = number(entry).expect("a number can be read");
        if host.disk.durable(path.as_ref()).is_none() {
            let what = format!("{name} does {what} ({id}), and a power cut would lose its intent");
            return violated("intent-before-effect", what).map(|()| None);
        }
        let deaths = self.deaths.get(name).copied().unwrap_or_default();
        let begun = self.begun.entry((name.clone(), id)).or_insert(Begun { times: 0, deaths });
        begun.times += 1;
        let deaths = deaths - begun.deaths;
        // Whether a restart was done, systemd knows, and it is done again only where it was not.
        let again = operation.repeatable()
            || matches!(operation, Operation::Unit { verb: UnitVerb::Restart, .. });
        let most = 1 + if again { deaths } else { 0 };
        if begun.times > most {
            // The switch's own time has come while the command is under way.
            if fires() {
                begun.times -= 1;
                return Ok(None);
            }
            let what =
                format!("{name} does {id} ({what}) for the {}th time, of {most}", begun.times);
            return violated("at-most-once", what).map(|()| None);
        }
        Ok(Some(id))
    }
}

/// What a host has begun of a rollout, and not brought to an end.
pub(super) fn open(host: &Host, rollout: RolloutId) -> Vec<CommandId> {
    let entries = read_all(host, LEDGER);
    let open = entries.iter().filter(|(_, entry)| entry["outcome"].is_null());
    open.filter_map(|(_, entry)| number(entry)).filter(|id| id.rollout == rollout).collect()
}

fn number(entry: &Value) -> Option<CommandId> {
    entry["id"].as_str()?.parse().ok()
}

/// Every dead-man's switch of a host, and whether it fires: the lines after its own say so.
fn switches(host: &Host) -> Vec<(Value, bool)> {
    let files = host.disk.list(SWITCHES.as_ref()).unwrap_or_default();
    let read = |path: std::path::PathBuf| {
        let text = host.disk.read(&path).ok()?;
        let mut lines = text.split(|byte| *byte == b'\n');
        let switch = serde_json::from_slice(lines.next()?).ok()?;
        let changes: Vec<Value> =
            lines.map_while(|line| serde_json::from_slice(line).ok()).collect();
        let has = |change: &str| changes.iter().any(|known| known.get(change).is_some());
        Some((switch, has("firing") && !has("reverted")))
    };
    files.into_iter().filter_map(read).collect()
}

/// Every document in a directory of a host's disk.
pub(super) fn read_all(host: &Host, directory: &str) -> Vec<(String, Value)> {
    let files = host.disk.list(directory.as_ref()).unwrap_or_default();
    let read = |path: std::path::PathBuf| {
        let value = serde_json::from_slice(&host.disk.read(&path).ok()?).ok()?;
        Some((path.to_string_lossy().into_owned(), value))
    };
    files
        .into_iter()
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .filter_map(read)
        .collect()
}

//! An outcome is on the host's disk before anybody hears of it, where the disk takes anything, and in the end the coordinator
//! has it.

use dv_agent::ports::Disk as _;
use dv_types::{OpResult, Outcome};

use super::{Verdict, effects::read_all, violated};
use crate::{host::Host, world::World};

/// An agent says what became of a command.
pub(super) fn kept(host: &Host, json: &str) -> Verdict {
    let outcome: Outcome = serde_json::from_str(json).expect("an outcome can be read");
    // What was not begun need not be kept: it is refused again. And what a full disk does not take is said all the same: its
    // intent is on the disk, and settled after a crash.
    if matches!(outcome.result, OpResult::Refused(_)) || host.disk.is_full() {
        return Ok(());
    }
    let path = format!("/state/ledger/{}.json", outcome.command);
    let entry = host.disk.durable(path.as_ref()).unwrap_or_default();
    let entry: serde_json::Value = serde_json::from_slice(&entry).unwrap_or_default();
    if entry["outcome"].is_null() {
        let (name, command) = (&host.name, outcome.command);
        let what = format!("{name} reports {command}, and a power cut would lose that");
        return violated("outcome-before-report", what);
    }
    let same = serde_json::from_value::<Outcome>(entry["outcome"].clone());
    if !same.is_ok_and(|same| same == outcome) {
        let what = format!("{} reports {outcome:?}, and has kept {}", host.name, entry["outcome"]);
        return violated("outcome-before-report", what);
    }
    Ok(())
}

/// At the end no host has anything left that it has not told.
pub(super) fn acknowledged(world: &World) -> Verdict {
    for host in world.machines() {
        for (path, entry) in read_all(&host, "/state/ledger") {
            if entry["acknowledged"].is_null() {
                let what = format!("{path} of {} was never acknowledged: {entry}", host.name);
                return violated("liveness", what);
            }
        }
        let left = host.disk.list("/state/ledger".as_ref()).unwrap_or_default();
        if let Some(odd) = left.iter().find(|path| path.extension().is_none_or(|e| e != "json")) {
            return violated(
                "outcome-before-report",
                format!("{} has {}", host.name, odd.display()),
            );
        }
    }
    Ok(())
}

//! A switch's file: a line of what it would do, a line for each thing that has become of it since, and room for those that
//! may come. That room is taken when the switch is armed, and written over: a host goes back on a full disk too.
//!
//! ```text
//! {"command":"r7-1",…,"state":"armed"}
//! {"firing":"2026-11-22T12:01:00Z"}
//! {"begun":{"mark":{"invocation":"8"}}}
//! {"ended":"done"}
//! {"reverted":{}}
//! 00 00 00 …
//! ```
//!
//! A line counts when it is there as a whole. The next one is written in the place of one that is not.

use std::{io, path::Path};

use dv_types::{OpResult, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Begun, State, Switch};
use crate::{durable, ports::Disk, runner};

/// What the beginning and the end of going back take.
const ROOM: usize = 512;
/// What one operation takes that is begun and ends: [`runner::short`] bounds what it says.
const ROOM_EACH: usize = 2048;
/// No text has it: what is left of the room is no line, nor is one that was written in part.
const NOTHING: u8 = 0;

/// What has become of a switch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Change {
    /// Its time is up.
    Firing(Timestamp),
    /// The next operation begins.
    Begun(Begun),
    /// It has ended.
    Ended(OpResult),
    /// All have.
    Reverted {},
}

impl Change {
    /// An operation's end, as far as there is room for it.
    pub(super) fn ended(result: OpResult) -> Self {
        Self::Ended(runner::short(result))
    }
}

impl Switch {
    /// Comes on by a change. One that does not follow changes nothing.
    pub(super) fn take(&mut self, change: Change) {
        let state = std::mem::replace(&mut self.state, State::Armed);
        self.state = match (state, change) {
            (State::Armed, Change::Firing(at)) => {
                State::Firing { at, results: Vec::new(), begun: None }
            }
            (State::Firing { at, results, .. }, Change::Begun(begun)) => {
                State::Firing { at, results, begun: Some(begun) }
            }
            (State::Firing { at, mut results, .. }, Change::Ended(result)) => {
                results.push(result);
                State::Firing { at, results, begun: None }
            }
            (State::Firing { at, results, .. }, Change::Reverted {}) => {
                State::Reverted { at, results }
            }
            (state, _) => state,
        };
    }
}

/// Writes a switch with room for all that may become of it; says where the next line goes.
pub(super) fn write(disk: &dyn Disk, path: &Path, switch: &Switch) -> io::Result<u64> {
    let mut text = line(switch);
    let end = text.len();
    text.resize(end + ROOM + ROOM_EACH * switch.revert.len(), NOTHING);
    durable::write(disk, path, &text, 0o600)?;
    Ok(end as u64)
}

/// Writes a change into the room there is; says where the next line goes.
pub(super) fn add(disk: &dyn Disk, path: &Path, at: u64, change: &Change) -> io::Result<u64> {
    let text = line(change);
    disk.overwrite(path, at, &text)?;
    disk.sync(path)?;
    Ok(at + text.len() as u64)
}

fn line(of: &impl Serialize) -> Vec<u8> {
    let mut text = serde_json::to_vec(of).expect("it is plain data with text keys");
    text.push(b'\n');
    text
}

/// Reads a switch, and where the next line goes; nothing where an earlier version wrote it, which left no room.
pub(super) fn read(disk: &dyn Disk, path: &Path) -> Result<(Switch, Option<u64>), String> {
    let text = disk.read(path).map_err(|e| e.to_string())?;
    let mut lines = text.split_inclusive(|byte| *byte == b'\n');
    let first = lines.next().unwrap_or_default();
    let mut switch: Switch = serde_json::from_slice(first).map_err(|e| e.to_string())?;
    let mut end = first.len();
    for line in lines {
        let Ok(change) = serde_json::from_slice(line) else { break };
        switch.take(change);
        end += line.len();
    }
    if path.file_stem().is_none_or(|s| s != switch.command.rollout.to_string().as_str()) {
        return Err(format!("it is of {}", switch.command.rollout));
    }
    Ok((switch, first.ends_with(b"\n").then_some(end as u64)))
}

#[cfg(test)]
mod tests {
    use dv_types::{Operation, Span, operation::UnitVerb};

    use super::*;
    use crate::{
        adapter::disk::HostDisk,
        ledger::{Mark, UnitMark},
    };

    fn switch() -> Switch {
        let unit = Operation::Unit {
            unit: "a.service".into(),
            verb: UnitVerb::Restart,
            timeout: Span::from_secs(60),
        };
        Switch {
            command: "r1-1".parse().unwrap(),
            within: Span::from_secs(60),
            until: "2026-11-22T12:01:00Z".parse().unwrap(),
            boot: "1".into(),
            until_since_boot: Span::from_secs(60),
            revert: vec![unit; 3],
            state: State::Armed,
            end: None,
        }
    }

    /// The longest that there can be.
    fn changes() -> Vec<Change> {
        let mark = Mark::Unit(UnitMark { invocation: "0123456789abcdef".repeat(2) });
        let each = [
            Change::Begun(Begun { mark: Some(mark) }),
            Change::ended(OpResult::Failed("\u{1}\"{}\n".repeat(9000))),
        ];
        let each = std::iter::repeat_n(each, 3).flatten();
        let firing = Change::Firing("2026-11-22T12:01:00Z".parse().unwrap());
        [firing].into_iter().chain(each).chain([Change::Reverted {}]).collect()
    }

    #[test]
    fn all_that_may_become_of_a_switch_finds_room() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r1.json");
        let mut switch = switch();
        let mut end = write(&HostDisk, &path, &switch).unwrap();
        let size = path.metadata().unwrap().len();
        for change in changes() {
            end = add(&HostDisk, &path, end, &change).unwrap();
            switch.take(change);
            assert_eq!(read(&HostDisk, &path).unwrap(), (switch.clone(), Some(end)));
        }
        assert_eq!(path.metadata().unwrap().len(), size);
    }

    /// A power cut in the middle of a write leaves its beginning, its end, or a hole in it.
    #[test]
    fn a_line_that_is_not_there_as_a_whole_never_was_and_the_next_takes_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r1.json");
        let mut switch = switch();
        let mut end = write(&HostDisk, &path, &switch).unwrap();
        for change in changes() {
            let before = std::fs::read(&path).unwrap();
            let next = add(&HostDisk, &path, end, &change).unwrap();
            let whole = std::fs::read(&path).unwrap();
            let (from, to) = (end as usize, next as usize);
            let middle = from + (to - from) / 2;
            for cut in (from + 1..to).step_by(7) {
                for gone in [from..cut, cut..to, cut.min(middle)..cut.max(middle) + 1] {
                    let gone = gone.start..gone.end.min(to);
                    let mut torn = whole.clone();
                    torn[gone.clone()].copy_from_slice(&before[gone]);
                    std::fs::write(&path, &torn).unwrap();
                    assert_eq!(read(&HostDisk, &path).unwrap(), (switch.clone(), Some(end)));
                    // Something short in its place, and what is left of it behind.
                    let short = Change::Ended(OpResult::Done);
                    let after = add(&HostDisk, &path, end, &short).unwrap();
                    let mut other = switch.clone();
                    other.take(short);
                    assert_eq!(read(&HostDisk, &path).unwrap(), (other, Some(after)));
                }
            }
            std::fs::write(&path, &whole).unwrap();
            end = next;
            switch.take(change);
        }
    }
}

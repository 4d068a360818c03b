//! What `/proc` says.

use std::fs;

/// One process.
pub(super) struct Process {
    pub(super) pid: i32,
    pub(super) parent: i32,
    /// Its process group.
    pub(super) group: i32,
    /// When it began, in the kernel's ticks.
    pub(super) started: u64,
    /// It is dead and waits to be reaped.
    pub(super) ended: bool,
}

/// All processes that can be seen.
pub(super) fn all() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|e| e.file_name().to_str()?.parse().ok())
        .filter_map(read)
        .collect()
}

fn read(pid: i32) -> Option<Process> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    // The name stands in parentheses and may hold anything, parentheses too.
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    // The 22nd field of all; the group is the fifth.
    let started = fields.nth(16)?.parse().ok()?;
    Some(Process { pid, parent, group, started, ended: matches!(state, "Z" | "X") })
}

/// A variable of a process's environment, as it was when its program began. Nothing too where it is another
/// user's process and the agent may not look into those.
pub(super) fn variable(pid: i32, name: &str) -> Option<String> {
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    environment.split(|b| *b == 0).find_map(|variable| {
        let value = variable.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
        Some(String::from_utf8_lossy(value).into_owned())
    })
}

//! Who goes first when the host runs out of memory: what a command has started, and neither the agent nor the service.

use std::fs;

/// Between a service (0) and what the kernel would always kill first (1000).
const EXPENDABLE: &str = "100";

/// Lets the kernel rather kill this process, and what it starts from now on, than a service. The agent's own unit
/// protects the agent, which its children would inherit.
pub(super) fn make_expendable(pid: u32) {
    if let Err(error) = fs::write(format!("/proc/{pid}/oom_score_adj"), EXPENDABLE) {
        tracing::debug!(pid, %error, "it has ended already, or stays as protected as the agent");
    }
}

/// Sees whether the kernel has killed anything for want of memory since it was begun.
pub(super) struct Watch(Option<u64>);

impl Watch {
    pub(super) fn begin() -> Self {
        Self(killed())
    }

    pub(super) fn has_killed(&self) -> bool {
        self.0 < killed()
    }
}

/// How many processes the kernel has killed for want of memory, of all that it runs.
fn killed() -> Option<u64> {
    let text = fs::read_to_string("/proc/vmstat").ok()?;
    text.lines().find_map(|line| line.strip_prefix("oom_kill "))?.trim().parse().ok()
}

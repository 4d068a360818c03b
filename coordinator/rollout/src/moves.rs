//! Which moves a host can make: the table that the machine obeys and the documentation draws.

use dv_types::report::Phase::{
    self, Failed, Healthy, Pending, Skipped, Stopped, Unreachable, Working,
};

/// Every move, and what it takes.
pub const MOVES: &[(Phase, Phase, &str)] = &[
    (Pending, Working, "its turn: wave, slot and min_available allow it"),
    (Pending, Healthy, "back, and its last operation was done meanwhile"),
    (Pending, Failed, "back, and an operation had failed meanwhile"),
    (Pending, Unreachable, "out of contact for lost_after"),
    (Pending, Skipped, "an operator skips it"),
    (Working, Working, "the next operation"),
    (Working, Healthy, "the last operation is done"),
    (Working, Failed, "an operation failed, or the agent fell silent"),
    (Working, Unreachable, "out of contact for lost_after, or when the rollout ends"),
    (Working, Stopped, "the rollout ends first"),
    (Healthy, Healthy, "turned bad, and good again for min_healthy_time"),
    (Healthy, Failed, "turned bad, and not well again by healthy_deadline"),
    (Unreachable, Pending, "back in contact"),
    (Unreachable, Skipped, "an operator skips it"),
    (Failed, Pending, "an operator tries it again"),
    (Failed, Skipped, "an operator skips it"),
    (Skipped, Pending, "an operator tries it again"),
];

/// Whether a host may go from one phase to the other.
pub(crate) fn allowed(from: Phase, to: Phase) -> bool {
    MOVES.iter().any(|(a, b, _)| (*a, *b) == (from, to))
}

/// The table as a Mermaid state diagram.
#[must_use]
pub fn diagram() -> String {
    let moves: String =
        MOVES.iter().map(|(from, to, why)| format!("    {from} --> {to} : {why}\n")).collect();
    format!("stateDiagram-v2\n    [*] --> pending\n{moves}")
}

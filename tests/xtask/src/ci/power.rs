//! The tests that cut the power of a disk: they need root, FUSE and loop devices.

use std::process::Command;

use super::{available, passes, stage::Outcome};
use crate::workspace::{cargo, programs};

/// Runs them, where they can be run.
pub(crate) fn test() -> Outcome {
    let check = Command::new(programs().join("power")).arg("check").output();
    let test = ["nextest", "run", "--workspace", "--locked", "--profile", "power"];
    available("power check", check).err().unwrap_or_else(|| passes(cargo().args(test)))
}

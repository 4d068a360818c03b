//! What a connected agent costs the coordinator in memory.

use super::{Bench, line};
use crate::{Result, process};

impl Bench<'_> {
    pub(super) fn memory(&self, before: u64) -> Result<()> {
        let now = process::resident(self.coordinator.pid())?;
        let each = now.saturating_sub(before) as f64 / self.wish.hosts as f64;
        let floor = self.floor.memory;
        let kb = |bytes: f64| format!("{:.1} kB", bytes / 1000.0);
        line("memory for each agent in contact", kb(each), kb(floor), each / floor, 1.5);
        Ok(())
    }
}

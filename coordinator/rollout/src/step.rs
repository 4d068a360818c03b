//! The order that makes a rollout safe: first the records are kept, then the effects go out.

use dv_types::Record;

use crate::{Effect, Rejected};

/// What a turn led to.
#[derive(Debug)]
#[must_use = "the records must be kept and the effects carried out"]
pub struct Turn {
    /// Records to keep, and the effects that wait for it.
    pub step: Step,
    /// Events that were not taken.
    pub rejected: Vec<Rejected>,
}

/// Records, and effects that are given up only once the records are durable.
#[derive(Debug, Default)]
#[must_use = "effects are carried out only after a commit"]
pub struct Step {
    pub(crate) records: Vec<Record>,
    pub(crate) effects: Vec<Effect>,
}

impl Step {
    /// What is to be kept.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// Keeps the records by `append`, and gives up the effects when that has succeeded. Where it fails,
    /// the machine that made this step is ahead of the store: drop it and replay the journal.
    pub async fn commit<E>(
        self,
        append: impl AsyncFnOnce(Vec<Record>) -> Result<(), E>,
    ) -> Result<Vec<Effect>, E> {
        if !self.records.is_empty() {
            append(self.records).await?;
        }
        Ok(self.effects)
    }
}

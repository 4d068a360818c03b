//! What a rollout did to the database, and whether the code before it can live with that.

use dv_types::{
    Evidence, Fact, Migration, MigrationKind, Operation,
    manifest::OnFailure,
    record::{Condemner, PauseWhy},
};

use crate::{Rollout, once::State, planning};

impl Rollout {
    /// The migrations that this rollout applied, in order, as its own outcomes say.
    #[must_use]
    pub fn migrations(&self) -> Vec<Migration> {
        let given = self.migrate().into_iter().flat_map(|k| &self.once[k].given);
        let evidence = given.filter_map(|given| given.answer.as_ref()?.evidence.as_ref());
        evidence
            .filter_map(|evidence| match evidence {
                Evidence::Schema { changed, .. } => Some(changed.clone()),
                _ => None,
            })
            .flatten()
            .collect()
    }

    /// Where the schema stands after it, by its own outcomes.
    pub(crate) fn head_after(&self) -> Option<Option<String>> {
        let k = self.migrate()?;
        self.once[k].given.iter().rev().find_map(|given| {
            match given.answer.as_ref()?.evidence.as_ref()? {
                Evidence::Schema { after, .. } => Some(after.clone()),
                _ => None,
            }
        })
    }

    /// The step that migrates.
    pub(crate) fn migrate(&self) -> Option<usize> {
        self.plan.once.iter().position(|once| matches!(once.operation, Operation::Migrate { .. }))
    }

    /// Whether nobody knows what the migrations did.
    pub(crate) fn schema_unknown(&self) -> bool {
        self.migrate().is_some_and(|k| {
            let once = &self.once[k];
            if once.state == State::Done {
                // That a person says that they were applied does not say which.
                return once.last().is_none_or(|given| !given.is_done_with_evidence());
            }
            once.given.iter().filter(|given| !given.not_done).any(|given| match &given.answer {
                None => true,
                // Without evidence nobody knows how far it came.
                Some(answer) => answer.evidence.is_none() && !answer.was_not_begun(),
            })
        })
    }

    /// Whether there is anything that could be taken back, by itself or by a person who may touch the database.
    pub(crate) fn has_way_back(&self, by_person: bool) -> bool {
        let database = || !self.migrations().is_empty() || self.schema_unknown();
        self.index.totals.touched > 0
            || planning::undoes_something_once(self)
            || by_person && database()
    }

    /// What keeps the code before this rollout from running on the schema as it is now.
    pub(crate) fn forbids_way_back(&self) -> Vec<String> {
        let applied = self.migrations().into_iter();
        let mut forbid: Vec<_> = applied
            .filter(|migration| migration.kind != MigrationKind::Expand)
            .map(|migration| migration.to_string())
            .collect();
        if self.schema_unknown() {
            forbid.push("migrations that nobody knows the end of".to_owned());
        }
        forbid
    }

    /// The operation that a host gets next. No dead-man's switch is armed where the schema has gone further than the
    /// plan foresaw, and the host would go back by itself to code that can't run on it. To confirm such a host does
    /// no harm.
    pub(crate) fn next_step(&self, i: usize) -> u32 {
        let done = self.hosts[i].done;
        let arms = matches!(self.operations(i).get(done as usize), Some(Operation::Arm { .. }));
        done + u32::from(arms && !self.forbids_way_back().is_empty())
    }

    /// The version is bad: the decision, which is never to touch the database.
    pub(crate) fn condemn(&self, by: Condemner, why: String) -> Fact {
        let back = self.plan.limits.on_failure == OnFailure::Rollback;
        let migrations = self.forbids_way_back();
        let gate = matches!(by, Condemner::Gate { .. });
        if back && !gate && !migrations.is_empty() {
            let because = format!("{by} failed: {why}");
            return Fact::Paused { why: PauseWhy::Migrated { migrations, because } };
        }
        Fact::Condemned { by, why }
    }
}

impl crate::once::Given {
    /// Whether the host says that it was done, and what.
    fn is_done_with_evidence(&self) -> bool {
        self.answer.as_ref().is_some_and(|a| a.result.is_done() && a.evidence.is_some())
    }
}

impl crate::once::Answer {
    /// Whether the host says that nothing was done.
    pub(crate) fn was_not_begun(&self) -> bool {
        use dv_types::OpResult::{Cancelled, Refused};
        matches!(self.result, Refused(_) | Cancelled)
    }
}

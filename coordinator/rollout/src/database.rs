//! What a rollout did to the database, and whether the code before it can live with that.

use dv_types::{
    Evidence, Fact, Migration, MigrationKind, Operation,
    manifest::OnFailure,
    operation::Head,
    record::{Condemner, PauseWhy},
};

use crate::{Rollout, once::State, planning};

impl Rollout {
    /// The migrations that this rollout applied, in order, as its own outcomes say.
    #[must_use]
    pub fn migrations(&self) -> Vec<Migration> {
        let told = || self.runs().iter().flat_map(|run| run.changed).cloned().collect();
        self.applied().unwrap_or_else(told)
    }

    /// The same; nothing where the outcomes and the plan together do not say.
    fn applied(&self) -> Option<Vec<Migration>> {
        let runs = self.runs();
        if self.is_told_in_full(&runs) && runs.iter().all(|run| run.all) {
            return Some(runs.iter().flat_map(|run| run.changed).cloned().collect());
        }
        let (Some(first), Some(last)) = (runs.first(), runs.last()) else {
            // No run has told anything. Where a person has not spoken either, it is unknown elsewhere.
            return Some(Vec::new());
        };
        // A run that was not heard of may have applied some before the person looked, or after: a run tells only
        // what it found pending itself, and not more than an outcome holds. The plan knows what was pending before all
        // of them.
        let schema = self.plan.schema.as_ref()?;
        let count = |head: &Option<String>| match *head == schema.head {
            true => Some(0),
            false => {
                let found = |migration: &Migration| Some(&migration.name) == head.as_ref();
                Some(schema.pending.iter().position(found)? + 1)
            }
        };
        // Else somebody had migrated since it was planned.
        count(first.before)?;
        let applied = schema.pending.get(..count(last.after)?)?;
        let is_among = |told: &Migration| applied.iter().any(|planned| planned.name == told.name);
        let explained = runs.iter().flat_map(|run| run.changed).all(is_among);
        explained.then(|| applied.to_vec())
    }

    /// Where the schema stood before it, by its own outcomes, or else by its plan.
    pub(crate) fn head_before(&self) -> Option<Head> {
        let runs = self.runs();
        let first = runs.first().filter(|_| self.is_told_in_full(&runs)).map(|run| run.before);
        let planned = || self.plan.schema.as_ref().map(|schema| &schema.head);
        first.or_else(planned).map(|head| Head::from(head.clone()))
    }

    /// Where the schema stands after it, by its own outcomes.
    pub(crate) fn head_after(&self) -> Option<Option<String>> {
        self.runs().last().map(|run| run.after.clone())
    }

    /// What the runs of the migrations said of the schema, in the order in which they were begun.
    fn runs(&self) -> Vec<Run<'_>> {
        let given = self.migrate().into_iter().flat_map(|k| &self.once[k].given);
        let evidence = given.filter_map(|given| given.answer.as_ref()?.evidence.as_ref());
        evidence
            .filter_map(|evidence| match evidence {
                Evidence::Schema { before, after, changed, omitted } => {
                    Some(Run { before, after, changed, all: *omitted == 0 })
                }
                _ => None,
            })
            .collect()
    }

    /// Whether each run was heard of, and found the schema where the one before it had left it.
    fn is_told_in_full(&self, runs: &[Run<'_>]) -> bool {
        let mut given = self.migrate().into_iter().flat_map(|k| &self.once[k].given);
        given.all(|given| !given.is_unheard())
            && runs.windows(2).all(|pair| pair[0].after == pair[1].before)
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
            once.given.iter().any(|given| !given.not_done && given.is_unheard())
        }) || self.applied().is_none()
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

/// What one run of the migrations said of the schema.
struct Run<'r> {
    before: &'r Option<String>,
    after: &'r Option<String>,
    changed: &'r [Migration],
    /// Whether these are all.
    all: bool,
}

impl crate::once::Given {
    /// Whether it may have done something, and without evidence nobody knows how far it came.
    fn is_unheard(&self) -> bool {
        self.answer.as_ref().is_none_or(|a| a.evidence.is_none() && !a.was_not_begun())
    }

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

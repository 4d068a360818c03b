//! The one database behind all hosts.

use dv_types::{Migration, MigrationKind, Version};

use crate::scenario::Scenario;

/// A database whose schema is a list of migrations, those of each version after those of the one before.
#[derive(Debug)]
pub(crate) struct Database {
    all: Vec<(Version, Migration)>,
    applied: usize,
}

impl Database {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let mut all = Vec::new();
        for version in &scenario.versions {
            for (i, kind) in version.migrations.iter().enumerate() {
                let name = format!("{}-{}", version.name, i + 1);
                all.push((version.name.clone(), Migration { name, kind: *kind }));
            }
        }
        Self { all, applied: 0 }
    }

    /// Those that a version brings, with those before.
    fn until(&self, version: &str) -> usize {
        let last = self.all.iter().rposition(|(of, _)| of.as_str() <= version);
        last.map_or(0, |last| last + 1)
    }

    /// What `db check VERSION` prints.
    pub(crate) fn check(&self, version: &str) -> String {
        let head = self.applied.checked_sub(1).map_or("empty", |last| &self.all[last].1.name);
        let mut text = format!("head: {head}\n");
        let until = self.until(version).max(self.applied);
        for (_, migration) in &self.all[self.applied..until] {
            let kind = match migration.kind {
                MigrationKind::Expand => "expand",
                MigrationKind::Reversible => "reversible",
                MigrationKind::Irreversible => "irreversible",
            };
            text += &format!("pending: {} {kind}\n", migration.name);
        }
        text
    }

    /// Applies one of those that `version` still brings; whether there is a further one.
    pub(crate) fn upgrade_one(&mut self, version: &str) -> bool {
        let until = self.until(version);
        self.applied = (self.applied + 1).min(until).max(self.applied);
        self.applied < until
    }

    pub(crate) fn downgrade(&mut self, count: usize) {
        self.applied = self.applied.saturating_sub(count);
    }
}

//! What one host may do under a warrant.

use serde::{Deserialize, Serialize};

use crate::{Commit, HostName, Operation, RolloutId, Span, outcome::Tags};

/// What one host may do, as it was signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leaf {
    /// The host.
    pub host: HostName,
    /// How often it may be tried in all, and how often each thing that happens once.
    pub attempts: u32,
    /// Its operations, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forward: Vec<Operation>,
    /// What may happen once on it. `${rollout}` stands for the rollout's number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub once: Vec<Operation>,
    /// What takes it back, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub back: Vec<Back>,
    /// What may happen once on the way back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undo: Vec<Undo>,
}

/// One operation of a way back. What was there before the host knows itself: that is in no signed text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Back {
    /// Both tags as they were before the host changed them.
    Tags {
        /// Repository with registry.
        repository: String,
    },
    /// The commit that was checked out before the host changed it.
    Tree {
        /// The working tree's path.
        tree: String,
        /// How long it may take.
        timeout: Span,
    },
    /// Exactly this.
    Do(Operation),
}

/// Something that happens once on the way back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Undo {
    /// What. `${rollout}` stands for the number under which that was done which it undoes.
    pub operation: Operation,
    /// Index in [`Leaf::once`] of what it undoes; nothing for a smoke test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<u32>,
}

impl Leaf {
    /// How many attempts a host has, unless somebody signs anew.
    pub const ATTEMPTS: u32 = 8;

    /// The text that is hashed.
    #[must_use]
    pub fn text(&self) -> String {
        serde_json::to_string(self).expect("a leaf is plain data with text keys")
    }
}

impl Back {
    /// Whether `operation` is this, on a host that had these tags and commits before.
    pub fn is(
        &self,
        operation: &Operation,
        tags: impl Fn(&str) -> Option<Tags>,
        commit: impl Fn(&str) -> Option<Commit>,
    ) -> bool {
        match (self, operation) {
            (
                Self::Tags { repository },
                Operation::RestoreTags { repository: r, latest, previous },
            ) => {
                let restored = || Tags { latest: Some(latest.clone()), previous: previous.clone() };
                r == repository && tags(r).is_some_and(|before| before == restored())
            }
            (
                Self::Tree { tree, timeout },
                Operation::Checkout { tree: t, commit: c, timeout: o },
            ) => t == tree && o == timeout && commit(t).is_some_and(|before| before == *c),
            (Self::Do(exactly), operation) => exactly == operation,
            _ => false,
        }
    }
}

impl Operation {
    /// The same with `${rollout}` filled in.
    #[must_use]
    pub fn of_rollout(&self, rollout: RolloutId) -> Self {
        let id = rollout.to_string();
        self.map_texts(&|text| text.replace("${rollout}", &id))
    }
}

//! What a gate answers.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The answer of a gate, with its evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateAnswer {
    /// The gate's name: `reviewed`, `tests`, `disk` …
    pub gate: String,
    /// What it says.
    pub answer: Answer,
    /// Why, in one line.
    pub why: String,
    /// What it is based on: addresses, commits, names of reviewers and checks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
}

/// What a gate says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It holds.
    Pass,
    /// It does not hold: the rollout ends before anything is touched.
    Fail,
    /// It could not be found out: a person decides.
    CannotTell,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::CannotTell => "cannot tell",
        })
    }
}

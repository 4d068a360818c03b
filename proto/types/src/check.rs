//! What can be wrong with a manifest that has the right form. Pure: nothing but the manifest is looked at.

mod gates;
mod hosts;
mod monitor;
mod once;
mod probes;
mod release;
mod smoke;
mod steps;
mod strategy;
mod template;

use std::fmt;

use crate::{Manifest, plan::Severity};

/// Something in a manifest that is wrong, or risky.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// An error forbids the rollout; a warning does not.
    pub severity: Severity,
    /// Where: keys and indices from the top, `steps[2].image.tag`.
    pub path: String,
    /// What is wrong, and what to write instead.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.text)
    }
}

impl Manifest {
    /// Every problem that can be seen without the fleet, in the order of the manifest.
    #[must_use]
    pub fn check(&self) -> Vec<Problem> {
        let mut problems = Problems::default();
        hosts::check(&self.hosts, &mut problems);
        if let Some(gates) = &self.gates {
            gates::check(gates, &self.steps, &mut problems);
        }
        steps::check(&self.steps, &mut problems);
        probes::check(self.health.as_ref(), &mut problems);
        if let Some(smoke) = &self.smoke {
            smoke::check(smoke, &mut problems);
        }
        if let Some(monitor) = &self.monitor {
            monitor::check(monitor, self, &mut problems);
        }
        strategy::check(&self.strategy, &self.hosts, &mut problems);
        problems.0
    }
}

/// The problems found so far.
#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn error(&mut self, path: impl Into<String>, text: impl Into<String>) {
        self.add(Severity::Error, path.into(), text.into());
    }

    fn warning(&mut self, path: impl Into<String>, text: impl Into<String>) {
        self.add(Severity::Warning, path.into(), text.into());
    }

    fn add(&mut self, severity: Severity, path: String, text: String) {
        self.0.push(Problem { severity, path, text });
    }
}

#[cfg(test)]
mod tests;

//! The gates.

use super::Problems;
use crate::{Span, manifest::Gates};

pub(super) fn check(gates: &Gates, problems: &mut Problems) {
    let repository = |at: &str, text: &str, problems: &mut Problems| {
        let parts: Vec<_> = text.split('/').collect();
        let bad =
            |part: &&str| part.is_empty() || part.contains(char::is_whitespace) || *part == "..";
        if parts.len() < 2 || parts.iter().any(bad) {
            problems.error(
                format!("gates.{at}.repository"),
                format!("{text:?} is not a repository: write owner/name"),
            );
        }
    };
    if let Some(reviewed) = &gates.reviewed {
        repository("reviewed", &reviewed.repository, problems);
        if reviewed.approvals == 0 {
            problems.error("gates.reviewed.approvals", "0 approvals are no review: give 1 or more");
        }
    }
    if let Some(tests) = &gates.tests {
        repository("tests", &tests.repository, problems);
        if tests.checks.is_empty() {
            problems
                .error("gates.tests.checks", "no check is named, so nothing would be looked at");
        }
    }
    if let Some(disk) = &gates.disk
        && !disk.path.starts_with('/')
    {
        problems.error("gates.disk.path", format!("{:?} is not a full path", disk.path));
    }
    if gates.clock_skew == Some(Span::ZERO) {
        problems.error(
            "gates.clock_skew",
            "no two clocks agree to the last bit: give a time above zero",
        );
    }
}

//! The gates.

use jiff::tz::TimeZoneDatabase;

use super::{Problems, template};
use crate::{
    Span,
    freeze::Window,
    manifest::{Freeze, Gates, Step},
};

pub(super) fn check(gates: &Gates, steps: &[Step], problems: &mut Problems) {
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
    let reference = |at: &str, text: &Option<String>, problems: &mut Problems| {
        if let Some(text) = text {
            template::check(text, "ref", &format!("gates.{at}.ref"), problems);
        }
    };
    if let Some(reviewed) = &gates.reviewed {
        reference("reviewed", &reviewed.reference, problems);
        if reviewed.branch.trim().is_empty() {
            problems.error("gates.reviewed.branch", "the branch is empty: write main");
        }
        repository("reviewed", &reviewed.repository, problems);
        if reviewed.approvals == 0 {
            problems.error("gates.reviewed.approvals", "0 approvals are no review: give 1 or more");
        }
    }
    if let Some(tests) = &gates.tests {
        reference("tests", &tests.reference, problems);
        for (i, check) in tests.checks.iter().enumerate() {
            if check.trim().is_empty() || tests.checks[..i].contains(check) {
                problems.error(
                    format!("gates.tests.checks[{i}]"),
                    format!("{check:?} is empty, or named before"),
                );
            }
        }
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
    if gates.image && !steps.iter().any(|step| matches!(step, Step::Image(_))) {
        problems.error("gates.image", "no step has an image that could be looked for");
    }
    if gates.clock_skew == Some(Span::ZERO) {
        problems.error(
            "gates.clock_skew",
            "no two clocks agree to the last bit: give a time above zero",
        );
    }
    if let Some(version) = &gates.agent_version
        && let Err(why) = semver::Version::parse(version)
    {
        problems.error(
            "gates.agent_version",
            format!("{version:?} is not a version ({why}): write all of it, like 0.1.0"),
        );
    }
    for (i, freeze) in gates.freeze.iter().enumerate() {
        check_freeze(freeze, &format!("gates.freeze[{i}]"), problems);
    }
}

/// By the zones that are compiled in: what is said of a manifest does not depend on where it is looked at.
fn check_freeze(freeze: &Freeze, at: &str, problems: &mut Problems) {
    if freeze.name.trim().is_empty() {
        problems
            .error(format!("{at}.name"), "the name is empty: whoever waits for its end is told it");
    }
    if let Err(why) = Window::of(freeze, &TimeZoneDatabase::bundled()) {
        problems.error(format!("{at}.{}", why.key), why.text);
    }
}

//! What happens on each host.

use super::{Problems, once, template};
use crate::{
    Span,
    manifest::{CheckoutStep, ComposeStep, ImageStep, RunStep, Step, UnitStep},
};

/// What systemd calls units.
const SUFFIXES: [&str; 11] = [
    "service",
    "socket",
    "target",
    "timer",
    "path",
    "mount",
    "automount",
    "swap",
    "slice",
    "scope",
    "device",
];

pub(super) fn check(steps: &[Step], problems: &mut Problems) {
    if steps.is_empty() {
        problems.error("steps", "there are no steps: say what happens on each host");
    }
    let backups = steps.iter().filter(|step| matches!(step, Step::Backup(_))).count();
    let migrations = steps.iter().filter(|step| matches!(step, Step::Migrate(_))).count();
    for (name, count) in [("backup", backups), ("migrate", migrations)] {
        if count > 1 {
            problems.error("steps", format!("there are {count} `{name}` steps: one is the most"));
        }
    }
    if let Some(index) = steps.iter().position(|step| matches!(step, Step::Backup(_)))
        && index > 0
    {
        problems.error(
            format!("steps[{index}].backup"),
            "the backup comes before anything is touched: make it the first step",
        );
    }
    for (index, step) in steps.iter().enumerate() {
        let at = |kind: &str| format!("steps[{index}].{kind}");
        match step {
            Step::Backup(step) => once::backup(step, &at("backup"), problems),
            Step::Migrate(step) => once::migrate(step, &at("migrate"), problems),
            Step::Image(image) => self::image(image, &at("image"), problems),
            Step::Compose(compose) => self::compose(compose, &at("compose"), problems),
            Step::Checkout(checkout) => self::checkout(checkout, &at("checkout"), problems),
            Step::Run(run) => self::run(run, &at("run"), problems),
            Step::Restart(step) => unit(step, &at("restart"), problems),
            Step::Start(step) => unit(step, &at("start"), problems),
            Step::Stop(step) => unit(step, &at("stop"), problems),
        }
    }
}

fn image(step: &ImageStep, path: &str, problems: &mut Problems) {
    let repository = format!("{path}.repository");
    let text = &step.repository;
    let last = text.rsplit('/').next().unwrap_or_default();
    if text.contains('@') || last.contains(':') {
        problems
            .error(repository, "a repository has neither tag nor digest: write the tag in `tag`");
    } else if !is_repository(text) {
        problems.error(
            repository,
            format!("{text:?} is not an image repository: write it like registry.example.com:5000/team/app"),
        );
    }
    let tag = format!("{path}.tag");
    template::check(&step.tag, "tag", &tag, problems);
    if !step.tag.trim().is_empty() && !step.tag.contains("${") && !is_tag(&step.tag) {
        problems.error(
            tag,
            format!(
                "{:?} is not a tag: 1 to 128 of letters, digits, '_', '.' and '-', not starting with '.' or '-'",
                step.tag
            ),
        );
    }
    timeout(step.timeout, path, problems);
}

fn compose(step: &ComposeStep, path: &str, problems: &mut Problems) {
    let project = &step.project;
    let form = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c);
    let starts = project.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    if !starts || !project.chars().all(form) {
        problems.error(
            format!("{path}.project"),
            format!(
                "{project:?} is not a compose project: a-z, 0-9, '-' and '_', starting with a letter or digit"
            ),
        );
    }
    timeout(step.timeout, path, problems);
}

fn checkout(step: &CheckoutStep, path: &str, problems: &mut Problems) {
    let tree = &step.tree;
    let mut parts = tree.split('/');
    if !tree.starts_with('/') || tree.len() < 2 || parts.any(|p| p == ".." || p == ".") {
        problems.error(
            format!("{path}.tree"),
            format!("{tree:?} is not a working tree: write its full path, like /srv/app"),
        );
    }
    let reference = format!("{path}.ref");
    template::check(&step.reference, "ref", &reference, problems);
    let bad = |c: char| c.is_whitespace() || c.is_control() || "~^:?*[\\".contains(c);
    let text = &step.reference;
    if text.starts_with('-') || text.contains("..") || text.trim().contains(bad) {
        problems
            .error(reference, format!("{text:?} is not a ref: name a branch, a tag or a commit"));
    }
    timeout(step.timeout, path, problems);
}

fn run(step: &RunStep, path: &str, problems: &mut Problems) {
    let known = if step.once.is_some() { template::ONCE } else { template::VERSION };
    argv_with(&step.argv, known, &format!("{path}.argv"), problems);
    if step.once.is_some() && step.repeatable {
        problems.error(
            format!("{path}.repeatable"),
            "what runs once is never run again by itself: take `repeatable` out, or `once`",
        );
    }
    if let Some(on) = &step.once {
        once::on(on, &format!("{path}.once"), problems);
    }
    match &step.undo {
        Some(undo) => argv_with(undo, known, &format!("{path}.undo"), problems),
        None => problems.warning(
            path,
            "nothing undoes this command: a rollback leaves what it did; give `undo` if it can be undone",
        ),
    }
    timeout(step.timeout, path, problems);
}

/// A command in which the variables `known` stand.
pub(super) fn argv_with(argv: &[String], known: &[&str], path: &str, problems: &mut Problems) {
    if argv.first().is_none_or(|program| program.trim().is_empty()) {
        problems.error(path, "the command is empty: give the program and its arguments");
    }
    for (index, argument) in argv.iter().enumerate() {
        template::variables(argument, known, &format!("{path}[{index}]"), problems);
    }
}

fn unit(step: &UnitStep, path: &str, problems: &mut Problems) {
    let unit = &step.unit;
    let path_of_unit = format!("{path}.unit");
    match unit.rsplit_once('.') {
        _ if unit.trim().is_empty() => problems.error(path_of_unit, "the unit is empty"),
        _ if unit.contains(['/', '*', '?', '[', '$']) || unit.contains(char::is_whitespace) => {
            let text = format!("{unit:?} is not a unit: name one, like app.service");
            problems.error(path_of_unit, text);
        }
        Some((name, suffix)) if !name.is_empty() && SUFFIXES.contains(&suffix) => {}
        _ => problems.error(
            path_of_unit,
            format!(
                "{unit:?} lacks the kind of the unit: write `{unit}.service`, if it is a service"
            ),
        ),
    }
    timeout(step.timeout, path, problems);
}

pub(super) fn timeout(timeout: Span, path: &str, problems: &mut Problems) {
    if timeout == Span::ZERO {
        problems.error(format!("{path}.timeout"), "no time at all: give a time above zero");
    }
}

fn is_repository(text: &str) -> bool {
    let (host, rest) = match text.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => {
            (Some(first), rest)
        }
        _ => (None, text),
    };
    let host_is_good = host.is_none_or(|h| {
        let (name, port) = h.rsplit_once(':').unwrap_or((h, "1"));
        port.parse::<u16>().is_ok()
            && !name.is_empty()
            && name.chars().all(|c| c.is_ascii_alphanumeric() || ".-".contains(c))
    });
    host_is_good
        && rest.split('/').all(|part| {
            part.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
                && part
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c))
        })
}

fn is_tag(text: &str) -> bool {
    text.len() <= 128
        && text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
}

//! The smoke test.

use super::{
    Problems,
    steps::{argv_with, timeout},
    template,
};
use crate::manifest::{Smoke, SmokeRequest};

pub(super) fn check(smoke: &Smoke, problems: &mut Problems) {
    match (&smoke.command, smoke.session.is_empty()) {
        (Some(_), false) => {
            problems.error("smoke", "give `session` or `command`, not both");
        }
        (None, true) => {
            problems.error("smoke", "there is nothing to test: give `session` or `command`");
        }
        (Some(command), true) => argv_with(command, template::VERSION, "smoke.command", problems),
        (None, false) => session(smoke, problems),
    }
    timeout(smoke.timeout, "smoke", problems);
}

fn session(smoke: &Smoke, problems: &mut Problems) {
    for (key, base) in [("base", &smoke.base), ("fleet", &smoke.fleet)] {
        if let Some(base) = base
            && !is_url(base)
        {
            problems.error(
                format!("smoke.{key}"),
                format!("{base:?} is not a URL: write it like http://localhost:8080"),
            );
        }
    }
    for (index, request) in smoke.session.iter().enumerate() {
        one(request, index, smoke, problems);
    }
}

fn one(request: &SmokeRequest, index: usize, smoke: &Smoke, problems: &mut Problems) {
    let path = format!("smoke.session[{index}]");
    match (&request.get, &request.submit) {
        (Some(get), None) if !is_url(get) && !get.starts_with('/') => problems.error(
            format!("{path}.get"),
            format!("{get:?} is neither a path, like /login, nor a URL"),
        ),
        (Some(get), None) if get.starts_with('/') && smoke.base.is_none() => {
            problems
                .error(format!("{path}.get"), "a path needs `smoke.base`, to which it is relative");
        }
        (None, Some(_)) if index == 0 => problems.error(
            format!("{path}.submit"),
            "there is no page yet whose form could be submitted: get one first",
        ),
        (Some(_), Some(_)) | (None, None) => {
            problems.error(&path, "a request is exactly one of `get` and `submit`");
        }
        _ => {}
    }
    if request.submit.is_none() && !request.fields.is_empty() {
        problems.error(format!("{path}.fields"), "`fields` goes with `submit` only");
    }
    if let Some(status) = request.expect.status
        && !(100..=599).contains(&status)
    {
        problems.error(
            format!("{path}.expect.status"),
            format!("{status} is not a status: 100 to 599 are"),
        );
    }
}

fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
}

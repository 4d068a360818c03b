//! How a host shows that it is well.

use super::Problems;
use crate::{
    Probe, Span,
    manifest::{Health, ProbeSpec},
    probe::InvalidProbe,
};

pub(super) fn check(health: Option<&Health>, problems: &mut Problems) {
    let Some(health) = health else {
        problems.warning(
            "health",
            "there are no probes: a host counts as healthy as soon as its steps are done",
        );
        return;
    };
    if health.live.is_none() && health.ready.is_none() {
        problems.error("health", "there are no probes: give `live`, `ready` or both");
    }
    for (name, spec) in [("live", &health.live), ("ready", &health.ready)] {
        if let Some(spec) = spec {
            probe(spec, &format!("health.{name}"), problems);
        }
    }
    for (name, span) in [("interval", health.interval), ("timeout", health.timeout)] {
        if span == Span::ZERO {
            problems.error(format!("health.{name}"), "no time at all: give a time above zero");
        }
    }
    if health.successes == 0 {
        problems.error("health.successes", "0 good answers prove nothing: give 1 or more");
    }
}

fn probe(spec: &ProbeSpec, path: &str, problems: &mut Problems) {
    if let Err(invalid) = Probe::try_from(spec) {
        let key = match &invalid {
            InvalidProbe::Kinds(_) => None,
            InvalidProbe::Misplaced { key, .. } => Some(*key),
            InvalidProbe::Url(_) => Some("http"),
            InvalidProbe::Address(_) if spec.tcp.is_some() => Some("tcp"),
            InvalidProbe::Address(_) => Some("grpc"),
            InvalidProbe::Empty => Some("command"),
        };
        let path = key.map_or_else(|| path.to_owned(), |key| format!("{path}.{key}"));
        problems.error(path, invalid.to_string());
    }
    let texts = [&spec.http, &spec.tcp, &spec.grpc].into_iter().flatten();
    if texts.chain(spec.command.iter().flatten()).any(|text| text.contains("${")) {
        problems
            .error(path, "a probe has no variables: ${version} stands in tags, refs and commands");
    }
    if let Some(status) = spec.status
        && !(100..=599).contains(&status)
    {
        problems
            .error(format!("{path}.status"), format!("{status} is not a status: 100 to 599 are"));
    }
}

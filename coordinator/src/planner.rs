//! From a manifest and a version to a plan: which hosts are meant, what they answer, what is to be done.

use std::time::Duration;

use dv_rollout::planning::{self, Asked};
use dv_types::{
    HostFacts, HostName, Manifest, Plan, Version,
    plan::{Note, Severity},
};

use crate::{
    fleet::{HostView, Question},
    refusal::Refusal,
    rollouts::Rollouts,
};

/// By then the hosts have answered, or count as out of contact.
const ANSWER_BY: Duration = Duration::from_secs(15);

/// Makes the plan that brings `version` out. Its notes may hold errors.
pub(crate) async fn plan(
    rollouts: &Rollouts,
    manifest: &Manifest,
    version: &Version,
) -> Result<Plan, Refusal> {
    let problems: Vec<_> = manifest
        .check()
        .into_iter()
        .filter(|problem| problem.severity == Severity::Error)
        .map(|problem| problem.to_string())
        .collect();
    if !problems.is_empty() {
        return Err(Refusal::Manifest(problems));
    }
    let mut fleet = rollouts.fleet.view();
    // Who is let in no more is no part of the fleet.
    fleet.retain(|host| host.revoked.is_none());
    let hosts = planning::select(manifest, fleet.iter().map(|host| (&host.name, &host.labels)));
    if hosts.is_empty() {
        return Err(Refusal::NoHosts);
    }
    let question = Question {
        subjects: planning::subjects(manifest, version),
        probing: manifest.health.as_ref().and_then(planning::probing),
    };
    let subjects = question.subjects.clone();
    let mut answers = rollouts.fleet.inspect(&hosts, question, ANSWER_BY).await;
    if answers.is_empty() {
        return Err(Refusal::NoneReachable(hosts.len()));
    }
    let asked = ask_once(rollouts, manifest, version, &hosts, &fleet).await;
    let mut labels: std::collections::HashMap<_, _> =
        fleet.into_iter().map(|host| (host.name, host.labels)).collect();
    let book = rollouts.book();
    let facts: Vec<_> = hosts
        .into_iter()
        .map(|name| {
            let answer = answers.remove(&name);
            HostFacts {
                labels: labels.remove(&name).unwrap_or_default(),
                connected: answer.is_some(),
                healthy: answer.as_ref().and_then(|facts| facts.healthy),
                version: book.version(&manifest.service, &name),
                findings: answer
                    .map(|facts| subjects.iter().cloned().zip(facts.findings).collect())
                    .unwrap_or_default(),
                name,
            }
        })
        .collect();
    drop(book);
    let mut plan = planning::forward(manifest, version, &facts, &asked);
    plan.notes.extend(unknown_prometheus(rollouts, manifest));
    Ok(plan)
}

/// A monitor that will see nothing, because the Prometheus that it is to ask is not configured here.
fn unknown_prometheus(rollouts: &Rollouts, manifest: &Manifest) -> Option<Note> {
    let source = &manifest.monitor.as_ref()?.prometheus.as_ref()?.source;
    let unknown = !rollouts.config.prometheus.contains_key(source);
    unknown.then(|| Note {
        severity: Severity::Warning,
        host: None,
        text: format!(
            "monitor.prometheus.source: the coordinator's configuration has no {source} under `prometheus`, so nothing \
             will be seen and the rollout pauses"
        ),
    })
}

/// What concerns what happens once: the hosts that may do it, and where the database's schema stands.
async fn ask_once(
    rollouts: &Rollouts,
    manifest: &Manifest,
    version: &Version,
    hosts: &[HostName],
    fleet: &[HostView],
) -> Asked {
    let known = || fleet.iter().map(|host| (&host.name, &host.labels));
    let (names, subjects) = planning::helpers(manifest, version, known().collect::<Vec<_>>());
    let question = Question { subjects: subjects.clone(), probing: None };
    let schema = async {
        let (listed, subject) = planning::schema_question(manifest, version, known())?;
        let candidates = if listed.is_empty() { hosts } else { &listed[..] };
        let first = candidates.iter().find(|host| rollouts.fleet.session(host).is_some())?.clone();
        let question = Question { subjects: vec![subject], probing: None };
        let mut answers = rollouts.fleet.inspect(&[first], question, ANSWER_BY).await;
        answers.drain().next()?.1.findings.pop()
    };
    let (mut answers, schema) =
        tokio::join!(rollouts.fleet.inspect(&names, question, ANSWER_BY), schema);
    let helpers = names.into_iter().map(|name| {
        let answer = answers.remove(&name);
        let labels = fleet.iter().find(|host| host.name == name).map(|host| host.labels.clone());
        HostFacts {
            labels: labels.unwrap_or_default(),
            connected: answer.is_some(),
            healthy: None,
            version: None,
            findings: answer
                .map(|facts| subjects.iter().cloned().zip(facts.findings).collect())
                .unwrap_or_default(),
            name,
        }
    });
    Asked { helpers: helpers.collect(), schema }
}

/// Refuses a plan that has errors, with all of them.
pub(crate) fn accept(plan: Plan) -> Result<Plan, Refusal> {
    let errors: Vec<_> = plan
        .errors()
        .map(|note| match &note.host {
            Some(host) => format!("{host}: {}", note.text),
            None => note.text.clone(),
        })
        .collect();
    if errors.is_empty() { Ok(plan) } else { Err(Refusal::Plan(errors)) }
}

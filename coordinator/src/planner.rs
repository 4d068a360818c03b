//! From a manifest and a version to a plan: which hosts are meant, what they answer, what is to be done.

use std::time::Duration;

use dv_rollout::planning;
use dv_types::{HostFacts, Manifest, Plan, Version, plan::Severity};

use crate::{fleet::Question, refusal::Refusal, rollouts::Rollouts};

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
    let fleet = rollouts.fleet.view();
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
    Ok(planning::forward(manifest, version, &facts))
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

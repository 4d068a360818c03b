//! Hosts that were out of reach, or are new, follow to where a rollout ended.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use dv_rollout::{Rollout, planning};
use dv_types::{Finding, HostName, Plan, RolloutId, Subject, gate::Answer};

use crate::{
    fleet::Question,
    follow::ITSELF,
    gates,
    refusal::Refusal,
    rollback::replay,
    rollouts::{Beginning, Rollouts},
};

/// By then a new host has said whether it is ready.
const ANSWER_BY: Duration = Duration::from_secs(15);

/// What would bring `hosts` to where `of` ended; or why not yet.
pub(crate) async fn prepare(
    rollouts: &Arc<Rollouts>,
    of: RolloutId,
    hosts: &[HostName],
) -> Result<Result<Beginning, String>, Refusal> {
    let of_machine = replay(rollouts, of).await?;
    let known: BTreeSet<_> = of_machine.plan().hosts.iter().map(|host| &host.name).collect();
    let (late, new): (Vec<_>, Vec<_>) = hosts.iter().cloned().partition(|h| known.contains(h));
    let signing = rollouts.book().known(of)?.signing_of();
    let mut ready = late.clone();
    let mut held = None;
    // Nothing was signed for a host that the plan did not have.
    let (unsigned, new) = match signing {
        Some(_) => (new.first().cloned(), Vec::new()),
        None => (None, new),
    };
    if let Some(host) = unsigned {
        held = Some(format!(
            "{host} is new, and nothing was signed for it: start a rollout of the version that it shall run"
        ));
    }
    for (host, answer) in are_ready(rollouts, &of_machine, &new).await {
        match answer {
            Ok(()) => ready.push(host),
            Err(why) => held = Some(format!("{host} is not ready: {why}")),
        }
    }
    let plan = planning::catch_up(&of_machine, &ready);
    if plan.hosts.is_empty() {
        return Ok(Err(held.unwrap_or_else(|| "it has none of them".to_owned())));
    }
    if let Err(why) = gates_hold(rollouts, &plan).await {
        return Ok(Err(why));
    }
    let reason = Some(match (late.is_empty(), new.is_empty()) {
        (true, false) => format!("new since {of}"),
        _ => format!("out of reach of {of}, and back in contact"),
    });
    let by = ITSELF.to_owned();
    let (release, overrides, bad) = Default::default();
    Ok(Ok(Beginning { plan, by, reason, overrides, release, signing, bad }))
}

/// A new host's owner may still be at it: nothing is begun there that its policy, or what is missing, would end. All are asked
/// at once.
async fn are_ready(
    rollouts: &Rollouts,
    of: &Rollout,
    hosts: &[HostName],
) -> Vec<(HostName, Result<(), String>)> {
    let plan = of.plan();
    let subjects = planning::subjects(&plan.manifest, &plan.version);
    let question = Question { subjects: subjects.clone(), probing: None };
    let mut answers = rollouts.fleet.inspect(hosts, question, ANSWER_BY).await;
    let bad = |(subject, finding): (&Subject, &Finding)| match finding {
        Finding::Refused(why) | Finding::NotFound(why) | Finding::Failed(why) => {
            Some(format!("{subject}: {why}"))
        }
        _ => None,
    };
    let mut judge = |host: &HostName| {
        let facts = answers.remove(host).ok_or("it does not answer")?;
        subjects.iter().zip(&facts.findings).find_map(bad).map_or(Ok(()), Err)
    };
    hosts.iter().map(|host| (host.clone(), judge(host))).collect()
}

/// Asked before anything begins, so that a freeze over the weekend does not leave a row of failed rollouts; they are asked
/// again, and their answers kept, when it has begun. Hosts go back whatever a gate says.
async fn gates_hold(rollouts: &Rollouts, plan: &Plan) -> Result<(), String> {
    let mut bad = Vec::new();
    gates::ask(rollouts, plan, plan.gates.clone(), |answer| {
        if answer.answer != Answer::Pass {
            bad.push(format!("gate {}: {}", answer.gate, answer.why));
        }
    })
    .await;
    if bad.is_empty() { Ok(()) } else { Err(bad.join("; ")) }
}

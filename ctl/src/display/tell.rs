//! One record as one line, where it is worth one.

use dv_types::{
    Fact, GateAnswer, HostName, OpResult, Outcome, Record, gate::Answer, monitor::MonitorVerdict,
    plan::WaveKind, record::Verb,
};

use super::{
    line::{Line, bad, faint, good, strong, warning},
    story::Story,
    time::{clock, length},
    words,
};

/// `21:54:10 web1  restart app.service: done in 0.4s`. Ask before `story` takes the record.
pub(crate) fn tell(record: &Record, story: &Story) -> Option<Line> {
    let (host, text) = fact(&record.fact, story)?;
    let width = story.plan.hosts.iter().map(|h| h.name.as_str().len()).max().unwrap_or(0);
    let who = host.map_or_else(|| story.rollout.to_string(), ToString::to_string);
    let line = Line::of(faint(), clock(record.at) + " ").add(strong(), who);
    Some(line.pad("00:00:00 ".len() + width.max(5) + 1).append(text))
}

/// What it says and the host that it is about.
pub(crate) fn fact<'f>(fact: &'f Fact, story: &Story) -> Option<(Option<&'f HostName>, Line)> {
    let about = |host| story.host(host);
    Some(match fact {
        Fact::Started { by, reason, overrides } => {
            (None, started(by, reason.as_deref(), overrides, story))
        }
        Fact::GateAnswered { answer } => (None, gate(answer)),
        Fact::OnceCommanded { once, host, .. } => {
            let operation = story.plan.once.get(*once as usize);
            let id = story.rollout.to_string();
            let operation = operation.map(|o| o.operation.to_string().replace("${rollout}", &id));
            let what = operation.unwrap_or_default();
            (Some(host), Line::of(strong(), story.once(*once)).plain(format!(", once: {what}")))
        }
        Fact::OnceCancelling { once } => {
            (None, Line::of(warning(), format!("{} is called off", story.once(*once))))
        }
        Fact::OnceReported { once, host, outcome } => {
            (Some(host), once_reported(story.once(*once), outcome))
        }
        Fact::OnceLost { once, known } => (
            None,
            Line::of(bad(), format!("nobody knows whether {} was done", story.once(*once)))
                .plain(format!(": {known}")),
        ),
        Fact::MonitorStarted { watching } => {
            (None, format!("the {watching} is watched: error rate and latency").into())
        }
        // Each would be a line of its own for a quarter of an hour.
        Fact::Sampled { .. } => return None,
        Fact::Judged { watching, judgement } => {
            let style = match judgement.verdict {
                MonitorVerdict::Pass => good(),
                MonitorVerdict::Fail => bad(),
                MonitorVerdict::Inconclusive => warning(),
            };
            let verdict = Line::from(format!("monitor of the {watching}: "));
            (
                None,
                verdict
                    .add(style, judgement.verdict.to_string())
                    .plain(format!(": {}", judgement.why)),
            )
        }
        Fact::Condemned { by, why } => {
            (None, Line::of(bad(), format!("{by} failed: {why}")).plain("; nothing more is begun"))
        }
        Fact::Recovered => (None, Line::of(warning(), "a coordinator took the rollout up again")),
        Fact::Connected { host } => {
            // Only coming back is news.
            (about(host)?.connected == Some(false)).then_some(())?;
            (Some(host), "back in contact".into())
        }
        Fact::Disconnected { host } => (Some(host), Line::of(warning(), "out of contact")),
        Fact::Health { host, good: true, .. } => {
            (about(host)?.good == Some(false)).then_some(())?;
            (Some(host), "its probes are good again".into())
        }
        Fact::Health { host, good: false, why } => {
            let why = why.as_deref().unwrap_or("no reason is given");
            (Some(host), Line::of(warning(), format!("its probes are bad: {why}")))
        }
        Fact::WaveStarted { wave } => (None, wave_line(*wave, story)),
        Fact::Commanded { host, attempt, step, .. } => {
            (Some(host), commanded(host, *attempt, *step, story))
        }
        Fact::Cancelling { host, .. } => (Some(host), Line::of(warning(), "told to give up")),
        Fact::Reported { host, outcome } => (Some(host), reported(host, outcome, story)),
        Fact::HostHealthy { host } => (Some(host), Line::of(good(), "healthy")),
        Fact::HostFailed { host, why } => (Some(host), Line::of(bad(), format!("failed: {why}"))),
        Fact::HostUnreachable { host, known } => {
            (Some(host), Line::of(warning(), format!("unreachable: {known}")))
        }
        Fact::HostStopped { host } => {
            (Some(host), Line::of(warning(), "left as it is, because the rollout ends"))
        }
        Fact::HostReturned { host } => (Some(host), "is back, and takes its turn again".into()),
        Fact::CanaryHealthy { .. } => {
            (None, Line::of(good(), "the canary is healthy, and waits to be promoted"))
        }
        Fact::BudgetSpent { failed, tolerated } => (
            None,
            Line::of(
                bad(),
                format!(
                    "{} failed, and max_failures is {tolerated}: nothing more is begun",
                    words::hosts(*failed)
                ),
            ),
        ),
        Fact::Paused { why } => (None, Line::of(warning(), format!("paused: {why}"))),
        Fact::Operator { by, verb, reason } => {
            let reason = reason.as_deref().map(|r| format!(" ({r})")).unwrap_or_default();
            let host = match verb {
                Verb::Retry { host } | Verb::Skip { host } => Some(host),
                _ => None,
            };
            if let Verb::Override { gate } = verb {
                let line = Line::of(bad(), format!("OVERRIDDEN by {by}"));
                return Some((host, line.plain(format!(": the gate {gate}{reason}"))));
            }
            let verb = match verb {
                Verb::Retry { .. } => "retry".to_owned(),
                Verb::Skip { .. } => "skip".to_owned(),
                verb => verb.to_string(),
            };
            (host, Line::from(format!("{by} says: {verb}{reason}")))
        }
        Fact::Ended { verdict, rollback } => {
            let line = Line::of(words::verdict_style(*verdict), verdict.to_string());
            (None, if *rollback { line.plain("; a rollback of it follows") } else { line })
        }
    })
}

fn gate(answer: &GateAnswer) -> Line {
    let style = match answer.answer {
        Answer::Pass => good(),
        Answer::Fail => bad(),
        Answer::CannotTell => warning(),
    };
    Line::from(format!("gate {}: ", answer.gate))
        .add(style, answer.answer.to_string())
        .plain(format!(": {}", answer.why))
}

fn once_reported(name: &str, outcome: &Outcome) -> Line {
    let line = Line::of(strong(), name).plain(": ");
    let took = length(outcome.took);
    let line = match &outcome.result {
        OpResult::Done => line.add(good(), "done").plain(format!(" in {took}")),
        OpResult::Cancelled => line.add(warning(), "cancelled").plain(format!(" after {took}")),
        result => line.add(bad(), result.to_string()).plain(format!(" (after {took})")),
    };
    let line = match outcome.evidence.as_ref().and_then(words::evidence) {
        Some(evidence) => line.plain(format!("; {evidence}")),
        None => line,
    };
    // Of what failed, its last words say more than an exit code.
    let last = outcome.output.tail.lines().map(str::trim).rfind(|text| !text.is_empty());
    match last.filter(|_| !matches!(outcome.result, OpResult::Done | OpResult::Cancelled)) {
        Some(last) => line.add(faint(), format!(" | {last}")),
        None => line,
    }
}

fn started(by: &str, reason: Option<&str>, overrides: &[String], story: &Story) -> Line {
    let plan = &story.plan;
    let reason = reason.map(|r| format!(" ({r})")).unwrap_or_default();
    let hosts = words::count(plan.hosts.len(), "host");
    let line = Line::from(format!(
        "{} of {} {} on {hosts}, started by {by}{reason}",
        plan.kind, plan.service, plan.version
    ));
    match overrides {
        [] => line,
        gates => line.add(bad(), format!("; OVERRIDDEN: {}", gates.join(", "))),
    }
}

fn wave_line(index: u32, story: &Story) -> Line {
    let waves = &story.plan.waves;
    let number = index as usize + 1;
    match waves.get(index as usize) {
        None => Line::from(format!("batch {number} begins")),
        Some(wave) => {
            let canary = if wave.kind == WaveKind::Canary { ", the canary," } else { "" };
            let hosts = words::names(&wave.hosts, 8);
            Line::of(strong(), format!("batch {number} of {}", waves.len()))
                .plain(format!("{canary} begins: {hosts}"))
        }
    }
}

fn commanded(host: &HostName, attempt: u32, step: u32, story: &Story) -> Line {
    let operation = story
        .operation(host, step)
        .map_or_else(|| format!("step {}", step + 1), ToString::to_string);
    let again = if attempt > 1 { format!(", attempt {attempt}") } else { String::new() };
    Line::from(format!("{}/{} {operation}{again}", step + 1, story.steps(host)))
}

fn reported(host: &HostName, outcome: &Outcome, story: &Story) -> Line {
    let run = story.host(host).and_then(|host| host.run(outcome.command));
    let operation = run.map_or_else(|| outcome.command.to_string(), |run| run.operation.clone());
    let place = run.map(|run| format!("{}/{} ", run.step + 1, story.steps(host)));
    let line = Line::from(place.unwrap_or_default()).plain(operation).plain(": ");
    let took = length(outcome.took);
    match &outcome.result {
        OpResult::Done => line.add(good(), "done").plain(format!(" in {took}")),
        OpResult::Cancelled => line.add(warning(), "cancelled").plain(format!(" after {took}")),
        result => line.add(bad(), result.to_string()).plain(format!(" (after {took})")),
    }
}

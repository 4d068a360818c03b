//! What the hosts say, against what was reported.

use dv_types::{
    Fact, HostName, Report,
    plan::Kind,
    report::{Phase, State},
};

use super::{
    Plan,
    round::{Played, STEADY, mark_of, succeeded},
};
use crate::{counts::works, manifest::Shape, scenario::Scenario};

/// The step of the unit shape's program that starts the service.
const RESTART: u32 = 1;

/// All that must be so after a round.
pub(super) fn check(scenario: &Scenario, plan: &Plan, played: &Played) -> Result<(), String> {
    let checks = [
        ended(played),
        once(scenario, played),
        versions(scenario, plan, played),
        out(scenario, plan, played),
        starts(scenario, plan, played),
        budget(scenario, plan, played),
        canary(scenario, plan, played),
    ];
    let wrong: Vec<_> = checks.into_iter().filter_map(Result::err).collect();
    if wrong.is_empty() {
        return Ok(());
    }
    Err(format!("{}\n{}\n{}", wrong.join("\n"), played.story(), played.seen.story()))
}

/// Every rollout has ended, and a bad version has not been called a success.
fn ended(played: &Played) -> Result<(), String> {
    match played.reports.iter().find(|report| !matches!(report.state, State::Ended(_))) {
        Some(report) => Err(format!("{} has not ended", report.rollout)),
        None => Ok(()),
    }
}

/// What happens once has happened at most once, by the marks that it leaves.
fn once(scenario: &Scenario, played: &Played) -> Result<(), String> {
    for report in played.reports.iter().filter(|report| report.kind == Kind::Forward) {
        let mark = mark_of(report.rollout);
        let times: usize = scenario.bed.hosts.iter().map(|host| works(host, &mark)).sum();
        // A person who looked too early may have had it done again.
        let most = 1 + played.not_done.get(&report.rollout).copied().unwrap_or_default();
        if times > most {
            return Err(format!("{}: its once-step was done {times} times", report.rollout));
        }
        if succeeded(report) && times == 0 {
            return Err(format!("{} succeeded without its once-step", report.rollout));
        }
    }
    Ok(())
}

/// Every host runs what dv says that it runs; and after a success nobody is left behind without a word.
fn versions(scenario: &Scenario, plan: &Plan, played: &Played) -> Result<(), String> {
    let hosts = scenario.dvctl.try_json(&["hosts"])?;
    for (host, runs) in scenario.bed.hosts.iter().zip(scenario.versions(plan.shape)) {
        let known = hosts.as_array().into_iter().flatten().find(|h| h["name"] == *host.name);
        let services = known.and_then(|known| known["services"].as_array()).into_iter().flatten();
        let said = services
            .filter(|service| service["service"] == *played.service)
            .find_map(|service| service["version"].as_str());
        if let Some(said) = said.filter(|said| !said.is_empty() && *said != runs) {
            return Err(format!("{} runs {runs}, and dv says {said}", host.name));
        }
        let name = HostName::new(&host.name).map_err(|why| why.to_string())?;
        let last = |report: &&Report| report.hosts.iter().any(|h| h.name == name && h.touched);
        let Some(report) = played.reports.iter().rev().find(last) else { continue };
        let told = report.hosts.iter().find(|h| h.name == name);
        let Some(told) = told else { continue };
        if let (Phase::Healthy, Some(to)) = (told.phase, &told.to)
            && to.as_str() != runs
        {
            return Err(format!("{} runs {runs}; {} says {to}", host.name, report.rollout));
        }
        // On a version that was taken back only if that is said.
        let taken_back = |r: &&Report| matches!(r.kind, Kind::Reversal { .. }) && succeeded(r);
        if plan.bad && runs == plan.version && told.phase == Phase::Healthy {
            let by = played.reports.iter().find(taken_back).map(|r| r.rollout);
            return Err(format!("{} is left on {runs}, which {by:?} took back", host.name));
        }
    }
    Ok(())
}

/// Of the hosts that no fault took out, never more than `max_parallel` at a time, nor so many that fewer than
/// `min_available` were left.
fn out(scenario: &Scenario, plan: &Plan, played: &Played) -> Result<(), String> {
    let struck: Vec<_> = plan.faults.iter().filter_map(|timed| timed.fault.takes_out()).collect();
    let unstruck: Vec<_> = (scenario.bed.hosts.iter().enumerate())
        .filter(|(n, _)| !struck.contains(n))
        .map(|(_, host)| host.name.as_str())
        .collect();
    let most = played.seen.most_out(&unstruck);
    if most > plan.care.most_out() {
        return Err(format!("{most} of {unstruck:?} were out at a time"));
    }
    Ok(())
}

/// On each host that no fault started anything on, the service was started no oftener than commanded.
fn starts(scenario: &Scenario, plan: &Plan, played: &Played) -> Result<(), String> {
    // A service that dies by itself is started by systemd.
    if plan.shape != Shape::Unit || plan.bad {
        return Ok(());
    }
    let mut journals = Vec::new();
    for report in &played.reports {
        journals.extend(scenario.journal(report.rollout));
    }
    let started_by: Vec<_> =
        plan.faults.iter().filter_map(|timed| timed.fault.starts_on()).collect();
    for (n, host) in scenario.bed.hosts.iter().enumerate() {
        if started_by.contains(&n) {
            continue;
        }
        let commanded = journals.iter().filter(|record| {
            matches!(&record.fact, Fact::Commanded { host: told, step, .. }
                if told.as_str() == host.name && *step == RESTART)
        });
        let (commanded, started) = (commanded.count(), played.mark.starts(host, plan.shape));
        if started > commanded {
            return Err(format!("{} started {started} times for {commanded} commands", host.name));
        }
    }
    Ok(())
}

/// Of a bad version nobody hears any more once it is known to be bad: no host more than might have begun until then, and one
/// more for each that a fault took out in its turn.
fn budget(scenario: &Scenario, plan: &Plan, played: &Played) -> Result<(), String> {
    if !plan.bad || played.helped {
        return Ok(());
    }
    let struck: Vec<_> = plan.faults.iter().filter_map(|timed| timed.fault.takes_out()).collect();
    let begun = scenario.bed.hosts.iter().enumerate().filter(|(n, _)| !struck.contains(n));
    let begun: Vec<_> = begun
        .filter(|(_, host)| played.mark.starts(host, plan.shape) > 0)
        .map(|(_, host)| host.name.as_str())
        .collect();
    if begun.len() > plan.care.first() + struck.len() {
        return Err(format!("{} was begun on {begun:?}, although it is bad", plan.version));
    }
    Ok(())
}

/// Where one host goes first, no other begins before that one has been well for a while, by systemd's own times.
fn canary(scenario: &Scenario, plan: &Plan, played: &Played) -> Result<(), String> {
    if !plan.care.canary || plan.shape != Shape::Unit || played.helped {
        return Ok(());
    }
    let by_others: Vec<_> =
        plan.faults.iter().filter_map(|timed| timed.fault.starts_on()).collect();
    let mut begun: Vec<_> = (scenario.bed.hosts.iter().enumerate())
        .filter(|(n, _)| !by_others.contains(n))
        .filter_map(|(_, host)| Some((played.mark.first_start(host, plan.shape.unit())?, host)))
        .collect();
    begun.sort_by_key(|(at, _)| *at);
    // Where the canary may be a host that others start, nobody can tell which one was first.
    let [(first, canary), (second, next), ..] = begun.as_slice() else { return Ok(()) };
    let apart = second.saturating_sub(*first);
    if by_others.is_empty() && apart < STEADY {
        return Err(format!(
            "{} began {apart:.1?} after the canary {}: that was not watched",
            next.name, canary.name
        ));
    }
    Ok(())
}

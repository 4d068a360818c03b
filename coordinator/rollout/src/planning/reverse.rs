//! A rollout is taken back: every host that it touched goes to what that host ran before, by the same steps
//! in the same order, each aimed at what was there.

use dv_types::{
    HostName, Operation, Plan, Version,
    manifest::{OnFailure, Smoke, Step, Strategy},
    plan::{Barrier, Database, Kind, Note, PlannedHost, PlannedOnce, Program, Severity, Turn, Way},
};

use super::{
    database::{backup_step, migrate_step},
    once,
    program::{fill, needs_version},
    trail::trails,
    waves::{Candidate, limits, waves},
    way_back::way_back,
};
use crate::Rollout;

/// The plan that takes `of` back, together with the rollouts that brought late hosts to it.
///
/// It has no canary, and no failure stops it: a host that can't go back is no reason to leave another on a
/// release that was found bad. `min_available` holds, save with `all_at_once`.
#[must_use]
pub fn reverse(of: &Rollout, catch_ups: &[Rollout], all_at_once: bool, database: Database) -> Plan {
    let mut programs: Vec<Program> = Vec::new();
    let mut hosts: Vec<PlannedHost> = Vec::new();
    let mut notes: Vec<Note> = Vec::new();
    let mut healthy = Vec::new();

    for trail in trails(std::iter::once(of).chain(catch_ups)) {
        let planned = trail.planned();
        let operations = match way_back(&of.plan.manifest, &trail) {
            Ok(operations) => operations,
            Err(why) => {
                let text = format!("stays as it is: {why}");
                let host = Some(planned.name.clone());
                notes.push(Note { severity: Severity::Warning, host, text });
                continue;
            }
        };
        let program = programs.iter().position(|p| p.operations == operations);
        let program = program.unwrap_or_else(|| {
            programs.push(Program { operations, barriers: Vec::new() });
            programs.len() - 1
        });
        let good = trail.serving();
        healthy.push(good);
        hosts.push(PlannedHost {
            name: planned.name.clone(),
            program,
            from: planned.to.clone(),
            before: Vec::new(),
            to: planned.from.clone(),
            healthy: good,
        });
    }

    let plan = &of.plan;
    let strategy = strategy_back(&plan.manifest.strategy, all_at_once, hosts.len() as u32);
    let labels = std::collections::BTreeMap::new();
    let candidates: Vec<_> = hosts
        .iter()
        .zip(&healthy)
        .map(|(h, good)| Candidate {
            name: &h.name,
            labels: &labels,
            connected: true,
            healthy: *good,
        })
        .collect();
    let waves = waves(&strategy, None, &candidates);
    let mut limits = limits(&strategy, hosts.len() as u32);
    // Of the whole fleet, not of the hosts that go back.
    limits.min_available = match all_at_once {
        true => 0,
        // Hosts outside this plan are not counted here; they are taken to be as they were.
        false => {
            let outside = (plan.hosts.len() as u32).saturating_sub(hosts.len() as u32);
            plan.limits.min_available.saturating_sub(outside)
        }
    };
    let mut once = once_back(of, &database, &mut notes);
    for program in &mut programs {
        let before = (0..once.len() as u32).map(|once| Barrier { before: 0, once });
        program.barriers.extend(before);
    }
    if let Some(smoke) = &plan.manifest.smoke {
        once.extend(smoke_back(smoke, &hosts, &mut notes));
    }
    Plan {
        format: Plan::FORMAT,
        service: plan.service.clone(),
        version: plan.version.clone(),
        kind: Kind::Reversal { of: of.id() },
        gates: Vec::new(),
        once,
        monitor: None,
        schema: None,
        database: Some(database),
        manifest: plan.manifest.clone(),
        programs,
        waves,
        limits,
        watch: plan.watch.clone(),
        hosts,
        notes,
    }
}

/// What happens once on the way back, before the first host: what is undone that happened once, the last first, and
/// then the database.
fn once_back(of: &Rollout, database: &Database, notes: &mut Vec<Note>) -> Vec<PlannedOnce> {
    let version = &of.plan.version;
    let id = of.id.to_string();
    // The commands name the rollout that is taken back, not the one that does it.
    let all = |argv: &[String], count: usize| -> Vec<String> {
        let count = count.to_string();
        let fill = |a: &String| {
            fill(a, Some(version)).replace("${rollout}", &id).replace("${count}", &count)
        };
        argv.iter().map(fill).collect()
    };
    let where_it_ran = |name: &str| -> Vec<HostName> {
        let once = of.once_named(name).map(|k| &of.once[k]).filter(|once| once.was_begun());
        once.and_then(|once| once.last()).map(|given| given.host.clone()).into_iter().collect()
    };
    let mut back = Vec::new();
    for (i, step) in of.plan.manifest.steps.iter().enumerate().rev() {
        let Step::Run(s) = step else { continue };
        let (Some(_), Some(undo)) = (&s.once, &s.undo) else { continue };
        let name = once::run_name(i + 1);
        let hosts = where_it_ran(&name);
        let Some(host) = hosts.first() else { continue };
        // As the `undo` of every host: with the version before.
        let before = before(of, host);
        if undo.iter().any(|a| needs_version(a)) && before.is_none() {
            notes.push(Note {
                severity: Severity::Warning,
                host: None,
                text: format!(
                    "{name} is not undone: `undo` of `{}` needs the version before, and dv has brought none",
                    s.argv.join(" ")
                ),
            });
            continue;
        }
        let fill = |a: &String| fill(a, before).replace("${rollout}", &id);
        let argv = undo.iter().map(fill).collect();
        let operation = Operation::Run { argv, timeout: s.timeout, repeatable: s.repeatable };
        let name = format!("undo-{name}");
        back.push(PlannedOnce { name, turn: Turn::Steps, hosts, operation });
    }
    let (name, ran, operation) = match &database.way {
        Way::Code => return back,
        Way::Downgrade { migrations } => {
            let Some(step) = migrate_step(of) else { return back };
            let downgrade = all(step.downgrade.as_deref().unwrap_or_default(), migrations.len());
            let (check, timeout) = (all(&step.check, 0), step.timeout);
            let (head, to) = (of.head_after().flatten(), of.head_before());
            let operation = Operation::Downgrade { check, downgrade, head, to, timeout };
            ("downgrade", "migrate", operation)
        }
        Way::Restore => {
            let Some(step) = backup_step(of) else { return back };
            let argv = all(step.restore.as_deref().unwrap_or_default(), 0);
            let operation = Operation::Run { argv, timeout: step.timeout, repeatable: false };
            ("restore", "backup", operation)
        }
    };
    let (name, hosts) = (name.to_owned(), where_it_ran(ran));
    back.push(PlannedOnce { name, turn: Turn::Steps, hosts, operation });
    back
}

/// What the service ran before `of` on this host; on one that is not the rollout's, what its hosts ran.
fn before<'r>(of: &'r Rollout, host: &HostName) -> Option<&'r Version> {
    let planned = of.plan.host(host).or_else(|| of.plan.hosts.first());
    planned?.from.as_ref()
}

/// Whether taking `of` back undoes something that happened once, the database aside.
pub(crate) fn undoes_something_once(of: &Rollout) -> bool {
    let database = Database { way: Way::Code, why: String::new() };
    !once_back(of, &database, &mut Vec::new()).is_empty()
}

/// The smoke test of what the hosts go back to. A command that names the version can't be run where that is not known,
/// or not the same everywhere.
fn smoke_back(smoke: &Smoke, hosts: &[PlannedHost], notes: &mut Vec<Note>) -> Vec<PlannedOnce> {
    let to = hosts.first().and_then(|host| host.to.as_ref());
    let to = to.filter(|to| hosts.iter().all(|host| host.to.as_ref() == Some(to)));
    let named = smoke.command.iter().flatten().any(|argument| needs_version(argument));
    match (to, named) {
        (Some(version), _) => once::smoke(smoke, Some(version), false),
        (None, false) => once::smoke(smoke, None, false),
        (None, true) => {
            notes.push(Note {
                severity: Severity::Warning,
                host: None,
                text: "no smoke test at the end: it names the version, and the hosts go back to none that is known, or to several".to_owned(),
            });
            Vec::new()
        }
    }
}

fn strategy_back(strategy: &Strategy, all_at_once: bool, hosts: u32) -> Strategy {
    use dv_types::Quota::{Hosts, Percent};
    let mut back = strategy.clone();
    back.canary = Hosts(0);
    back.max_failures = Hosts(0);
    back.max_unreachable = Percent(100);
    back.on_failure = OnFailure::Continue;
    if all_at_once {
        back.batches = None;
        back.max_parallel = Some(Hosts(hosts.max(1)));
    }
    back
}

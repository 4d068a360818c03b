//! A plan, as the playbook would be written: which hosts when, what on each, what each goes back to.

use std::collections::BTreeMap;

use dv_types::{
    Finding, HostName, Operation, Plan, Probe, Schema, Span, Subject,
    manifest::{Monitor, OnFailure, SmokeRequest, Step},
    outcome::ImageId,
    plan::{Database, Kind, Limits, Note, PlannedHost, Severity, Turn, WaveKind, Way},
    probe::Probing,
};

use super::{
    line::{Line, bad, faint, strong, warning},
    words,
};

/// The plan and its hash.
pub(crate) fn plan(plan: &Plan, hash: &str) -> Vec<Line> {
    let what = match plan.kind {
        Kind::Forward => format!("Rollout of {} {}", plan.service, plan.version),
        Kind::Reversal { .. } | Kind::CatchUp { .. } => {
            format!("{}: {} ({})", plan.service, plan.kind, plan.version)
        }
    };
    let hosts = words::count(plan.hosts.len(), "host");
    let mut lines = vec![Line::of(strong(), format!("{what} on {hosts}"))];
    if !plan.gates.is_empty() {
        section(&mut lines, "Gates, before anything is touched", gates(plan));
    }
    if let Some(database) = &plan.database {
        section(&mut lines, "Database", vec![self::database(database).into()]);
    }
    if !plan.once.is_empty() {
        section(&mut lines, "Once", once(plan));
    }
    if let Some(schema) = &plan.schema {
        section(&mut lines, "Pending migrations", pending(schema));
    }
    section(&mut lines, "Order", order(plan));
    for (index, _) in plan.programs.iter().enumerate() {
        let (title, body) = program(plan, index);
        if !body.is_empty() {
            section(&mut lines, &title, body);
        }
    }
    if let Some(monitor) = &plan.monitor {
        section(&mut lines, "Monitor", self::monitor(monitor));
    }
    section(&mut lines, "Going back", going_back(plan));
    section(&mut lines, "Limits", limits(&plan.limits));
    if !plan.notes.is_empty() {
        section(&mut lines, "Notes", notes(&plan.notes));
    }
    lines.push(Line::default());
    lines.push(Line::of(faint(), "Plan ").plain(hash));
    lines
}

/// What becomes of the database, and why.
pub(crate) fn database(database: &Database) -> String {
    let what = match &database.way {
        Way::Code => "The database stays as it is".to_owned(),
        Way::Downgrade { migrations } => {
            let names: Vec<_> = migrations.iter().rev().map(ToString::to_string).collect();
            let migrations = words::count(migrations.len(), "migration");
            format!("{migrations} taken back before the code: {}", names.join(", "))
        }
        Way::Restore => "The backup is restored before the code goes back".to_owned(),
    };
    format!("{what}: {}", database.why)
}

fn gates(plan: &Plan) -> Vec<Line> {
    let gates = plan.manifest.gates.as_ref();
    let what = |gate: &String| {
        let says = gates.and_then(|gates| match gate.as_str() {
            "reviewed" => gates.reviewed.as_ref().map(|g| {
                let people = words::count(g.approvals as usize, "approval");
                format!(
                    "the commit is on {} of {}, with {people} after its last push",
                    g.branch, g.repository
                )
            }),
            "reachable" => Some(match plan.limits.max_unreachable {
                0 => "every host is in contact".to_owned(),
                1 => "at most 1 host is out of contact".to_owned(),
                some => format!("at most {some} hosts are out of contact"),
            }),
            "image" => Some("every host finds the image in its registry, as planned".to_owned()),
            "tests" => gates.tests.as_ref().map(|g| format!("{} succeeded", g.checks.join(", "))),
            "disk" => {
                gates.disk.as_ref().map(|g| format!("{} free on {} of every host", g.free, g.path))
            }
            "clock_skew" => {
                gates.clock_skew.map(|skew| format!("no clock is off by more than {skew}"))
            }
            "agent_version" => {
                gates.agent_version.as_ref().map(|v| format!("every agent is {v} or newer"))
            }
            "freeze" => {
                let names: Vec<_> = gates.freeze.iter().map(|f| f.name.as_str()).collect();
                Some(format!("none of these is in force: {}", names.join(", ")))
            }
            _ => None,
        });
        let says = says.map(|says| format!(": {says}")).unwrap_or_default();
        Line::of(strong(), gate).plain(says)
    };
    plan.gates.iter().map(what).collect()
}

fn once(plan: &Plan) -> Vec<Line> {
    let mut lines = Vec::new();
    for once in &plan.once {
        let turn = match once.turn {
            Turn::Steps => match first_barrier(plan, &once.name) {
                Some(0) | None => "before the first host begins".to_owned(),
                Some(n) => format!("when the first host has done its operation {n}"),
            },
            Turn::Canary => "when the canary is healthy".to_owned(),
            Turn::End => "after the last host".to_owned(),
        };
        let place = match (once.hosts.as_slice(), once.turn) {
            ([], Turn::Steps) => "on the first host that comes to it".to_owned(),
            ([], Turn::Canary) => "on a host of the canary".to_owned(),
            ([], Turn::End) => "on the last host that is healthy".to_owned(),
            (hosts, _) if hosts.len() == 1 => format!("on {}", hosts[0]),
            (hosts, _) => format!("on the first in contact of {}", words::names(hosts, 8)),
        };
        lines.push(Line::of(strong(), once.name.clone()).plain(format!(": {turn}, {place}")));
        lines.push(Line::from(format!("   {}", once.operation)));
        lines.extend(
            detail(&once.operation).into_iter().map(|d| Line::of(faint(), format!("   {d}"))),
        );
        if let Some(undo) = undone_by(plan, &once.operation) {
            lines.push(Line::of(faint(), format!("   undone by: {undo}")));
        }
    }
    lines
}

/// The operation of the first program that a host does not begin before this is done.
fn first_barrier(plan: &Plan, name: &str) -> Option<u32> {
    let index = plan.once.iter().position(|once| once.name == name)? as u32;
    let barriers = plan.programs.iter().flat_map(|program| &program.barriers);
    barriers.filter(|barrier| barrier.once == index).map(|barrier| barrier.before).min()
}

fn undone_by(plan: &Plan, operation: &Operation) -> Option<String> {
    let words = |argv: &[String]| argv.join(" ").replace("${version}", plan.version.as_str());
    let mut steps = plan.manifest.steps.iter();
    match operation {
        Operation::Backup { .. } => steps.find_map(|step| match step {
            Step::Backup(step) => Some(format!(
                "{}, with dvctl rollback --restore-backup",
                words(step.restore.as_ref()?)
            )),
            _ => None,
        }),
        Operation::Migrate { .. } => steps.find_map(|step| match step {
            Step::Migrate(step) => Some(words(step.downgrade.as_ref()?)),
            _ => None,
        }),
        _ => None,
    }
}

fn pending(schema: &Schema) -> Vec<Line> {
    let head = schema.head.as_deref().unwrap_or("empty");
    let mut lines = vec![Line::from(format!("the schema's head is {head}"))];
    match schema.pending.as_slice() {
        [] => lines.push("none is pending".into()),
        pending => lines.extend(pending.iter().map(|m| Line::from(m.to_string()))),
    }
    lines
}

fn monitor(monitor: &Monitor) -> Vec<Line> {
    let source = match (&monitor.prometheus, &monitor.metrics) {
        (Some(prometheus), _) => format!("by the Prometheus {}", prometheus.source),
        (None, Some(metrics)) => format!("by {} on each host", metrics.url),
        (None, None) => "by the probes on each host".to_owned(),
    };
    let mut lines = vec![format!("every {}, {source}", monitor.interval)];
    if monitor.canary > Span::ZERO {
        lines.push(format!("{} after the canary, beside the still-old hosts", monitor.canary));
    }
    lines.push(format!("{} after the last host", monitor.duration));
    let limits = &monitor.thresholds;
    if let Some(percent) = limits.error_percent {
        lines.push(format!("bad above {percent} % failed requests"));
    }
    if let Some(latency) = limits.latency_p99 {
        lines.push(format!("bad above {latency} at the 99th percentile"));
    }
    if monitor.compare.enabled {
        lines.push(format!(
            "bad if the new hosts fail {} percentage points more often, or are {} times slower, than the old ones",
            monitor.compare.error_points, monitor.compare.latency_ratio
        ));
    }
    lines.push(format!(
        "with fewer than {} requests nothing can be told: it pauses for a person",
        monitor.min_requests
    ));
    lines.into_iter().map(Line::from).collect()
}

fn section(lines: &mut Vec<Line>, title: &str, body: Vec<Line>) {
    lines.push(Line::default());
    lines.push(Line::of(strong(), title));
    lines.extend(body.into_iter().map(|line| Line::from("  ").append(line)));
}

fn order(plan: &Plan) -> Vec<Line> {
    let mut lines = Vec::new();
    for (index, wave) in plan.waves.iter().enumerate() {
        let most = wave.max_parallel as usize;
        let pace = match (wave.hosts.len(), most) {
            (1, _) => String::new(),
            (n, most) if most >= n => ", all at once".to_owned(),
            (_, 1) => ", one at a time".to_owned(),
            (_, most) => format!(", {most} at a time"),
        };
        let hosts = words::count(wave.hosts.len(), "host");
        lines.push(Line::from(format!(
            "{}. {}: {hosts}{pace}: {}",
            index + 1,
            words::wave(index + 1, wave.kind),
            words::names(&wave.hosts, 20)
        )));
        if wave.kind == WaveKind::Canary {
            let how = if plan.limits.auto_promote {
                "then, if it is healthy, the others begin by themselves"
            } else {
                "then a person promotes it: dvctl rollout promote"
            };
            lines.push(Line::of(faint(), format!("   {how}")));
        }
    }
    lines
}

fn program(plan: &Plan, index: usize) -> (String, Vec<Line>) {
    let hosts: Vec<&HostName> =
        plan.hosts.iter().filter(|h| h.program == index).map(|h| &h.name).collect();
    let title = if plan.programs.len() == 1 {
        "On each host".to_owned()
    } else {
        format!("On {}", words::names(&hosts, 20))
    };
    if hosts.is_empty() {
        return (title, Vec::new());
    }
    let mut lines = Vec::new();
    for (index, operation) in plan.programs[index].operations.iter().enumerate() {
        lines.push(Line::from(format!("{}. {operation}", index + 1)));
        lines.extend(detail(operation).into_iter().map(|d| Line::of(faint(), format!("   {d}"))));
    }
    (title, lines)
}

/// The arguments that the operation's own line leaves out.
fn detail(operation: &Operation) -> Vec<String> {
    let within = |time: Span| format!("within {time}");
    match operation {
        Operation::PullImage { digest, timeout, .. } => {
            vec![digest.to_string(), within(*timeout)]
        }
        Operation::TagImage { digest, .. } => {
            vec![format!("previous becomes what latest was, latest becomes {}", digest)]
        }
        Operation::RestoreTags { latest, previous, .. } => vec![format!(
            "latest becomes {}, previous {}",
            image(latest),
            previous
                .as_ref()
                .map_or_else(|| "is removed".to_owned(), |p| format!("becomes {}", image(p)))
        )],
        Operation::Checkout { commit, timeout, .. } => {
            vec![commit.to_string(), within(*timeout)]
        }
        Operation::Run { argv, timeout, repeatable } => {
            let again = if *repeatable { ", may be run again" } else { "" };
            let words = argv.iter().any(|a| a.is_empty() || a.contains(char::is_whitespace));
            let mut lines = Vec::new();
            if words {
                lines.push(format!("{argv:?}"));
            }
            lines.push(format!("{}{again}", within(*timeout)));
            lines
        }
        Operation::ComposeUp { timeout, .. } | Operation::Unit { timeout, .. } => {
            vec![within(*timeout)]
        }
        Operation::Verify { probing, min_healthy_time, healthy_deadline } => {
            let mut lines = probes(probing);
            lines.push(format!(
                "healthy within {}, and for {} on end",
                healthy_deadline, min_healthy_time
            ));
            lines
        }
        Operation::Backup { proof, timeout, .. } => {
            let shows = match (&proof.file, &proof.command) {
                (Some(file), _) => format!("shown by {file}, {} at least", proof.min_size),
                (None, Some(command)) => format!("shown by: {}", command.join(" ")),
                (None, None) => "shown by what it prints".to_owned(),
            };
            vec![shows, within(*timeout)]
        }
        Operation::Migrate { check, timeout, .. } => {
            vec![format!("before and after it: {}", check.join(" ")), within(*timeout)]
        }
        Operation::Downgrade { check, head, to, timeout, .. } => {
            let head = head.as_deref().unwrap_or("empty");
            let mut lines =
                vec![format!("only if the schema's head is {head}, by: {}", check.join(" "))];
            let to = to.as_ref();
            lines.extend(to.map(|to| format!("afterwards the schema's head must be {to}")));
            lines.push(within(*timeout));
            lines
        }
        Operation::Smoke { smoke, base } => {
            let mut lines: Vec<_> = smoke.session.iter().map(request).collect();
            lines.extend(base.as_ref().map(|base| format!("at {base}")));
            lines.push(within(smoke.timeout));
            lines
        }
        Operation::Arm { revert, .. } => revert.iter().map(ToString::to_string).collect(),
        Operation::Confirm => Vec::new(),
    }
}

fn request(request: &SmokeRequest) -> String {
    let what = match (&request.get, &request.submit) {
        (Some(get), _) => format!("GET {get}"),
        (None, Some(form)) => format!("submit {form}"),
        (None, None) => String::new(),
    };
    let expect = &request.expect;
    let mut wants = Vec::new();
    wants.extend(expect.status.map(|status| status.to_string()));
    wants.extend(expect.path.as_ref().map(|path| format!("at {path}")));
    wants.extend(expect.text.as_ref().map(|text| format!("{text:?}")));
    wants.extend(expect.selector.clone());
    if wants.is_empty() { what } else { format!("{what} shows {}", wants.join(", ")) }
}

fn probes(probing: &Probing) -> Vec<String> {
    let mut lines: Vec<String> = probing
        .probes
        .iter()
        .map(|(name, probe)| match probe {
            Probe::Http { url, status: None } => format!("{name}: GET {url} answers 200 to 299"),
            Probe::Http { url, status: Some(status) } => {
                format!("{name}: GET {url} answers {status}")
            }
            Probe::Tcp { address } => format!("{name}: {address} accepts a connection"),
            Probe::Grpc { address, service } if service.is_empty() => {
                format!("{name}: {address} says SERVING")
            }
            Probe::Grpc { address, service } => {
                format!("{name}: {address} says SERVING for {service}")
            }
            Probe::Command { argv } => format!("{name}: {} exits with 0", argv.join(" ")),
        })
        .collect();
    lines.push(format!(
        "every {}, {} in a row",
        probing.interval,
        words::count(probing.successes as usize, "good answer")
    ));
    lines
}

/// Hosts that go back to the same share a line.
fn going_back(plan: &Plan) -> Vec<Line> {
    if plan.kind != Kind::Forward {
        return vec!["A rollback is not rolled back.".into()];
    }
    let mut groups: BTreeMap<String, Vec<&HostName>> = BTreeMap::new();
    for host in &plan.hosts {
        groups.entry(back(host)).or_default().push(&host.name);
    }
    let line = |(what, hosts): (String, Vec<&HostName>)| {
        Line::from(format!("{}: {what}", words::names(&hosts, 20)))
    };
    groups.into_iter().map(line).collect()
}

fn back(host: &PlannedHost) -> String {
    let version =
        host.from.as_ref().map_or_else(|| "what it runs now".to_owned(), ToString::to_string);
    let before: Vec<String> = host.before.iter().filter_map(|(s, f)| found(s, f)).collect();
    if before.is_empty() { version } else { format!("{version} ({})", before.join(", ")) }
}

fn found(subject: &Subject, finding: &Finding) -> Option<String> {
    match (subject, finding) {
        (Subject::Image { repository, .. }, Finding::Image { tags, .. }) => {
            Some(match &tags.latest {
                Some(latest) => format!("{repository} {}", image(latest)),
                None => format!("{repository} had no latest"),
            })
        }
        (Subject::Tree { tree, .. }, Finding::Tree { commit, .. }) => {
            Some(format!("{tree} at {}", &commit.as_str()[..12]))
        }
        _ => None,
    }
}

/// An image's digest, short enough to compare by eye.
fn image(image: &ImageId) -> String {
    let digest = image.digest.as_ref().unwrap_or(&image.id).as_str();
    digest.chars().take("sha256:".len() + 12).collect()
}

fn limits(limits: &Limits) -> Vec<Line> {
    let beyond = match limits.on_failure {
        OnFailure::Rollback => "then every touched host goes back",
        OnFailure::Pause => "then it pauses for a person",
        OnFailure::Continue => "then it goes on all the same",
    };
    let more_than = |n: u32| match n {
        0 => "1 host or more".to_owned(),
        n => format!("more than {}", words::hosts(n)),
    };
    let mut lines = vec![
        format!("{} failed: {beyond}", more_than(limits.max_failures)),
        format!(
            "{} unreachable (out of contact for {}): it pauses for a person",
            more_than(limits.max_unreachable),
            limits.lost_after
        ),
        format!("no host healthy for {}: it pauses for a person", limits.progress_deadline),
    ];
    if limits.min_available > 0 {
        lines.push(format!(
            "at least {} stay available, or no further one begins",
            words::hosts(limits.min_available)
        ));
    }
    lines.into_iter().map(Line::from).collect()
}

/// The worst first.
fn notes(notes: &[Note]) -> Vec<Line> {
    let mut notes: Vec<&Note> = notes.iter().collect();
    notes.sort_by_key(|note| std::cmp::Reverse(note.severity));
    let line = |note: &Note| {
        let (style, word) = match note.severity {
            Severity::Error => (bad(), "error"),
            Severity::Warning => (warning(), "warning"),
            Severity::Info => (faint(), "note"),
        };
        let host = note.host.as_ref().map(|h| format!("{h}: ")).unwrap_or_default();
        Line::of(style, format!("{word}: ")).plain(host).plain(&note.text)
    };
    notes.into_iter().map(line).collect()
}

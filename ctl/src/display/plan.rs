//! A plan, as the playbook would be written: which hosts when, what on each, what each goes back to.

use std::collections::BTreeMap;

use dv_types::{
    Finding, HostName, Operation, Plan, Probe, Span, Subject,
    manifest::OnFailure,
    outcome::ImageId,
    plan::{Kind, Limits, Note, PlannedHost, Severity, WaveKind},
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
    section(&mut lines, "Order", order(plan));
    for (index, _) in plan.programs.iter().enumerate() {
        let (title, body) = program(plan, index);
        if !body.is_empty() {
            section(&mut lines, &title, body);
        }
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
    }
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

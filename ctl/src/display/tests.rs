//! Every picture, at a fixed time.

use dv_types::{
    Fact, RolloutId, WaitingOn,
    plan::Kind,
    record::{PauseWhy, Verb, Verdict},
    report::{OnceState, Phase, Report, State},
};

use super::{
    explain::{explain, sentence},
    frame::{Sayings, frame},
    line::Line,
    next,
    playbook::{Told, condemned, failed_smoke, migrating, watching, whole},
    sample::{ID, Journal, at, host, plan, report},
    status::status,
    story::Story,
    summary::summary,
    tell::tell,
};

fn text(lines: &[Line]) -> String {
    lines.iter().map(|line| line.render(false) + "\n").collect()
}

fn under_way() -> Report {
    report(ID, &plan(), State::Running, &[Phase::Healthy, Phase::Working, Phase::Pending])
}

/// A fleet of `n` hosts: each tenth failed, the one after it works, the one after that is unreachable.
fn large(n: usize) -> Report {
    let mut plan = plan();
    let model = plan.hosts[0].clone();
    plan.hosts = (1..=n)
        .map(|i| dv_types::plan::PlannedHost { name: host(&format!("web{i:03}")), ..model.clone() })
        .collect();
    let phases: Vec<Phase> = (1..=n)
        .map(|i| match i % 10 {
            0 => Phase::Failed,
            1 => Phase::Working,
            2 => Phase::Unreachable,
            _ => Phase::Healthy,
        })
        .collect();
    report(ID, &plan, State::Running, &phases)
}

#[test]
fn a_frame_shows_what_each_host_does() {
    let mut report = under_way();
    report.waiting = vec![WaitingOn::Slot { under_way: 1, max_parallel: 1 }];
    let sayings = Sayings::from([(host("web2"), "job 17 is running".to_owned())]);
    insta::assert_snapshot!(text(&frame(&report, &sayings, at(22), (100, 24))));
}

#[test]
fn a_frame_shows_lost_contact_and_further_attempts() {
    let mut report = under_way();
    report.hosts[1].attempt = 2;
    report.hosts[1].connected = false;
    report.hosts[1].waiting =
        Some(WaitingOn::Reconnect { host: host("web2"), since: at(15), until: at(75) });
    report.hosts[2].phase = Phase::Unreachable;
    report.hosts[2].why = Some("out of contact for 60s".to_owned());
    insta::assert_snapshot!(text(&frame(&report, &Sayings::new(), at(22), (100, 24))));
}

#[test]
fn a_frame_fits_any_terminal() {
    for (width, height) in [(200, 50), (80, 24), (40, 10), (10, 3), (1, 1)] {
        for n in [3, 200] {
            let lines = frame(&large(n), &Sayings::new(), at(22), (width, height));
            assert!(lines.iter().all(|line| line.width() <= width), "{width} columns, {n} hosts");
            // A header and one more line at least, whatever the height.
            assert!(lines.len() <= height.max(3), "{height} rows, {n} hosts: {}", lines.len());
        }
    }
}

#[test]
fn a_frame_of_too_many_hosts_shows_those_that_matter() {
    insta::assert_snapshot!(text(&frame(&large(60), &Sayings::new(), at(22), (90, 18))));
}

#[test]
fn status_under_way() {
    insta::assert_snapshot!(text(&status(&under_way(), &plan(), at(22))));
}

#[test]
fn explain_answers_for_the_rollout_and_each_host() {
    let mut report = under_way();
    report.waiting = vec![WaitingOn::Slot { under_way: 1, max_parallel: 1 }];
    insta::assert_snapshot!(text(&explain(&report, at(22))));
}

#[test]
fn explain_of_a_rollout_that_is_over() {
    let report = report(ID, &plan(), State::Ended(Verdict::Aborted), &[Phase::Healthy; 3]);
    insta::assert_snapshot!(text(&explain(&report, at(22))));
}

#[test]
fn every_wait_says_what_would_end_it() {
    let (since, until) = (at(0), at(120));
    let all = [
        WaitingOn::Operation {
            host: host("web1"),
            operation: "restart app.service".to_owned(),
            since,
            until,
        },
        WaitingOn::Reconnect { host: host("web1"), since, until },
        WaitingOn::Wave { wave: 1 },
        WaitingOn::Slot { under_way: 1, max_parallel: 1 },
        WaitingOn::Slot { under_way: 3, max_parallel: 3 },
        WaitingOn::MinAvailable { available: 4, min_available: 4 },
        WaitingOn::Recovery { hosts: vec![host("web1")], since, until },
        WaitingOn::Recovery { hosts: vec![host("web1"), host("web2")], since, until },
        WaitingOn::Promotion,
        WaitingOn::Resume { why: PauseWhy::NoProgress },
        WaitingOn::Gates { gates: vec!["reviewed".to_owned(), "tests".to_owned()] },
        WaitingOn::Once { once: "migrate".to_owned(), host: Some(host("web1")) },
        WaitingOn::Once { once: "migrate".to_owned(), host: None },
        WaitingOn::Monitor { until },
        WaitingOn::Resume {
            why: PauseWhy::Gate { gate: "tests".to_owned(), why: "e2e has not ended".to_owned() },
        },
        WaitingOn::Resume {
            why: PauseWhy::OnceUnknown {
                once: "migrate".to_owned(),
                known: "web1 is not heard".to_owned(),
            },
        },
        WaitingOn::Resume {
            why: PauseWhy::Condemned {
                by: dv_types::record::Condemner::Once { once: "smoke".to_owned() },
                why: "GET /: 500".to_owned(),
            },
        },
        WaitingOn::Resume {
            why: PauseWhy::Migrated {
                migrations: vec!["0008_drop_tags".to_owned()],
                because: "monitor failed: 6 % failed".to_owned(),
            },
        },
        WaitingOn::Settling { hosts: vec![host("web1")] },
        WaitingOn::Settling { hosts: vec![host("web1"), host("web2")] },
        WaitingOn::Journal { why: "rollout/r42 would be 17093 bytes".to_owned() },
        WaitingOn::Coordinator,
    ];
    let lines: Vec<String> = all.iter().map(|w| sentence(w, &migrating().report, at(65))).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn what_happened_is_told_once_and_only_where_it_is_news() {
    let id = RolloutId(42);
    let journal = Journal::new(id)
        .then(0, Fact::Connected { host: host("web1") })
        .then(0, Fact::Health { host: host("web1"), good: true, why: None })
        .then(1, Fact::WaveStarted { wave: 0 })
        .done(1, "web1", 0)
        .then(6, Fact::Disconnected { host: host("web1") })
        .then(7, Fact::Recovered)
        .then(8, Fact::Connected { host: host("web1") })
        .then(
            9,
            Fact::Health { host: host("web1"), good: false, why: Some("ready: 503".to_owned()) },
        )
        .then(10, Fact::Health { host: host("web1"), good: true, why: None })
        .then(11, Fact::HostHealthy { host: host("web1") })
        .then(12, Fact::CanaryHealthy { wave: 0 })
        .then(
            13,
            Fact::Operator {
                by: "ann".to_owned(),
                verb: Verb::Promote,
                reason: Some("looks good".to_owned()),
            },
        )
        .then(14, Fact::WaveStarted { wave: 1 })
        .failed(15, "web2")
        .then(20, Fact::Paused { why: PauseWhy::Failures { failed: 1, tolerated: 0 } })
        .then(
            21,
            Fact::Operator {
                by: "ann".to_owned(),
                verb: Verb::Retry { host: host("web2") },
                reason: None,
            },
        )
        .then(
            22,
            Fact::HostUnreachable {
                host: host("web3"),
                known: "out of contact for 60s".to_owned(),
            },
        )
        .then(23, Fact::HostReturned { host: host("web3") })
        .then(24, Fact::HostStopped { host: host("web3") })
        .ended(Verdict::Aborted, false);
    let mut story = Story::new(id, plan().into());
    let mut lines = Vec::new();
    // A record that comes twice, as it may after a reconnection, is counted in once.
    for record in journal.records.iter().chain(&journal.records[..3]) {
        if record.number > story.record {
            lines.extend(tell(record, &story));
        }
        story.take(record);
    }
    assert_eq!(story.ended, Some((Verdict::Aborted, false)));
    insta::assert_snapshot!(text(&lines));
}

#[test]
fn what_a_host_prints_does_not_steer_the_terminal() {
    let mut report = under_way();
    report.hosts[2].phase = Phase::Failed;
    report.hosts[2].why = Some("\u{1b}[2J\u{7}gone".to_owned());
    let lines = frame(&report, &Sayings::new(), at(22), (100, 24));
    assert!(!text(&lines).contains('\u{1b}'));
}

#[test]
fn a_reversal_is_called_one() {
    let mut report = under_way();
    report.kind = Kind::Reversal { of: RolloutId(41) };
    assert_eq!(super::words::subject(&report), "app: rollback of r41 (v2)");
}

fn of(told: &Told, now: i64) -> String {
    text(&status(&told.report, &told.plan, at(now)))
}

#[test]
fn status_shows_what_happens_beside_the_hosts() {
    let all = [
        of(&migrating(), 50),
        of(&watching(), 90),
        of(&failed_smoke(), 90),
        of(&whole(), 900),
        of(&condemned(), 900),
    ];
    insta::assert_snapshot!(all.join("\n----\n"));
}

#[test]
fn a_frame_shows_what_of_it_is_under_way() {
    let sayings = Sayings::from([(host("web1"), "upgrading 0006 to 0007".to_owned())]);
    let picture = |told: &Told, now| text(&frame(&told.report, &sayings, at(now), (120, 24)));
    let mut begins = migrating();
    begins.report.wave.0 = 0;
    let all = [picture(&begins, 50), picture(&watching(), 90), picture(&failed_smoke(), 90)];
    insta::assert_snapshot!(all.join("\n----\n"));
}

#[test]
fn a_frame_with_much_beside_the_hosts_leaves_room_for_them() {
    let told = whole();
    for height in [3, 6, 10] {
        let lines = frame(&told.report, &Sayings::new(), at(900), (80, height));
        assert!(lines.len() <= height, "{height} rows: {}", lines.len());
        // The hosts, or how many there are.
        let hosts = if height < 10 { "3 more hosts" } else { "web3  healthy" };
        assert!(text(&lines).contains(hosts), "{}", text(&lines));
    }
}

#[test]
fn a_summary_tells_gates_and_what_happened_once() {
    let told = whole();
    let mut story = Story::new(ID, told.plan.clone().into());
    told.records.iter().for_each(|record| story.take(record));
    insta::assert_snapshot!(text(&summary(&told.report, &story)));
}

#[test]
fn the_live_lines_of_a_playbook() {
    let told = whole();
    let mut story = Story::new(ID, told.plan.clone().into());
    let mut lines = Vec::new();
    for record in &told.records {
        lines.extend(tell(record, &story));
        story.take(record);
    }
    insta::assert_snapshot!(text(&lines));
}

#[test]
fn what_a_person_can_do_is_what_the_rollout_takes() {
    // Going on is refused where somebody must say whether it was done.
    let next = next::next(&failed_smoke().report).join("\n");
    assert!(next.contains("dvctl rollout resolve r42 smoke-canary --as"), "{next}");
    assert!(!next.contains("rollout resume"), "{next}");
    let mut told = condemned();
    (told.report.rollback, told.report.reversed_by) = (false, None);
    told.report.totals.touched = 0;
    let next = next::next(&told.report).join("\n");
    assert!(next.contains("the database was migrated"), "{next}");
    assert!(next.contains("dvctl rollback r42 --plan"), "{next}");
    told.report.migrations.clear();
    told.report.gates[0].answer.as_mut().unwrap().answer = dv_types::gate::Answer::Fail;
    let next = next::next(&told.report).join("\n");
    assert!(next.contains("--override reviewed --reason WHY"), "{next}");
}

#[test]
fn an_override_is_told_although_the_gate_passes() {
    let mut told = watching();
    told.report.gates[0].overridden = Some("eve".to_owned());
    let status = of(&told, 90);
    assert!(status.contains("\ngates: pass: tests, disk\n"), "{status}");
    assert!(status.contains("\ngate reviewed: OVERRIDDEN by eve; it says pass: "), "{status}");
}

#[test]
fn a_failed_smoke_test_that_a_person_accepted_does_not_look_done() {
    let mut told = failed_smoke();
    told.report.once[2].state = OnceState::Done;
    told.report.once[2].resolved_by = Some("ann".to_owned());
    let status = of(&told, 90);
    let line =
        "smoke-canary: counts as done, says ann; failed: GET /login: 500, and 200 is expected";
    assert!(status.contains(line), "{status}");
}

//! Rollouts that are followed: what is shown, and the code at the end.

use dv_types::{
    Fact, RolloutId,
    plan::{Note, Severity},
    record::{PauseWhy, Verdict},
    report::{Phase, State},
};

use crate::{
    fake::{Beat, Fake, Scene},
    sample::{ID, Journal, host, plan, report, reversal},
    support::call,
};

const START: [&str; 5] = ["rollout", "start", "app.yaml", "--version", "v2"];

fn ended(verdict: Verdict) -> State {
    State::Ended(verdict)
}

/// All three hosts get v2.
pub(crate) fn success() -> Scene {
    let journal = Journal::new(ID)
        .then(0, Fact::Connected { host: host("web1") })
        .then(0, Fact::WaveStarted { wave: 0 })
        .healthy(0, "web1")
        .then(9, Fact::WaveStarted { wave: 1 })
        .healthy(10, "web2")
        .then(
            15,
            Fact::Health { host: host("web3"), good: false, why: Some("ready: 503".to_owned()) },
        )
        .then(16, Fact::Health { host: host("web3"), good: true, why: None })
        .healthy(20, "web3")
        .ended(Verdict::Succeeded, false);
    let report = report(ID, &plan(), ended(Verdict::Succeeded), &[Phase::Healthy; 3]);
    Scene::new(plan(), journal.records, report)
}

/// The canary fails.
fn failure(rollback: bool) -> Scene {
    let journal = Journal::new(ID)
        .then(0, Fact::WaveStarted { wave: 0 })
        .failed(0, "web1")
        .then(5, Fact::BudgetSpent { failed: 1, tolerated: 0 })
        .ended(Verdict::Failed, rollback);
    let phases = [Phase::Failed, Phase::Pending, Phase::Pending];
    let mut report = report(ID, &plan(), ended(Verdict::Failed), &phases);
    report.rollback = rollback;
    Scene::new(plan(), journal.records, report)
}

/// The way back of the canary.
fn way_back(verdict: Verdict) -> Scene {
    let id = RolloutId(43);
    let journal = Journal::begun(id, 61).then(61, Fact::WaveStarted { wave: 0 });
    let (journal, phase) = match verdict {
        Verdict::Succeeded => (journal.healthy(61, "web1"), Phase::Healthy),
        _ => (journal.failed(61, "web1"), Phase::Failed),
    };
    let report = report(id, &reversal(), ended(verdict), &[phase]);
    Scene::new(reversal(), journal.ended(verdict, false).records, report)
}

/// A rollout that is taken back, once the coordinator has been looked at twice.
fn taken_back(fake: &Fake, verdict: Verdict) {
    let mut scene = failure(true);
    let mut reversed = scene.looks[0].clone();
    reversed.reversed_by = Some(RolloutId(43));
    // The first look is the follower's, the second the summary's.
    scene.looks.push_back(scene.looks[0].clone());
    scene.looks.push_back(scene.looks[0].clone());
    scene.looks.push_back(reversed);
    fake.scene("r42", scene);
    fake.scene("r43", way_back(verdict));
}

#[test]
fn success_is_0() {
    let fake = Fake::new();
    fake.scene("r42", success());
    insta::assert_snapshot!(call(&fake, &START));
    assert_eq!(fake.asked()[0], r#"start v2 force=false reason="" plan="""#);
}

/// What users of other tools asked for: who was offline is skipped, and listed at the end.
#[test]
fn who_was_out_of_reach_is_listed_at_the_end() {
    let fake = Fake::new();
    let phases = [Phase::Healthy, Phase::Healthy, Phase::Unreachable];
    let journal = Journal::new(ID)
        .then(0, Fact::WaveStarted { wave: 0 })
        .healthy(0, "web1")
        .healthy(10, "web2")
        .ended(Verdict::Succeeded, false);
    let report = report(ID, &plan(), ended(Verdict::Succeeded), &phases);
    fake.scene("r42", Scene::new(plan(), journal.records, report));
    let shown = call(&fake, &["rollout", "watch", "r42", "-q"]);
    let last = ["Not on v2: web3 (unreachable)", "follows by itself when it is back"];
    assert!(last.iter().all(|line| shown.contains(line)), "{shown}");
}

#[test]
fn quiet_prints_the_summary_only() {
    let fake = Fake::new();
    fake.scene("r42", success());
    insta::assert_snapshot!(call(&fake, &["rollout", "watch", "r42", "-q"]));
}

#[test]
fn json_is_one_document_on_each_line() {
    let fake = Fake::new();
    fake.scene("r42", success());
    let told = call(&fake, &["rollout", "watch", "r42", "--output", "json"]);
    let lines: Vec<&str> = told.lines().filter(|l| l.starts_with('{')).collect();
    let kinds: Vec<String> = lines
        .iter()
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            match (&line["record"]["number"], &line["report"]["state"]) {
                (serde_json::Value::Null, state) => format!("report {state}"),
                (number, _) => format!("record {number} of {}", line["rollout"]),
            }
        })
        .collect();
    insta::assert_snapshot!(format!("{}\n{}", kinds.join("\n"), told.lines().next().unwrap()));
}

#[test]
fn failure_before_any_host_was_touched_is_4() {
    let fake = Fake::new();
    let journal = Journal::new(ID)
        .then(
            1,
            Fact::HostUnreachable { host: host("web1"), known: "it was never reached".to_owned() },
        )
        .ended(Verdict::Aborted, false);
    let phases = [Phase::Unreachable, Phase::Pending, Phase::Pending];
    let report = report(ID, &plan(), ended(Verdict::Aborted), &phases);
    fake.scene("r42", Scene::new(plan(), journal.records, report));
    insta::assert_snapshot!(call(&fake, &START));
}

#[test]
fn failure_with_hosts_changed_is_5() {
    let fake = Fake::new();
    fake.scene("r42", failure(false));
    insta::assert_snapshot!(call(&fake, &START));
}

#[test]
fn failure_that_was_taken_back_is_6() {
    let fake = Fake::new();
    taken_back(&fake, Verdict::Succeeded);
    insta::assert_snapshot!(call(&fake, &START));
}

#[test]
fn failure_whose_way_back_failed_is_5() {
    let fake = Fake::new();
    taken_back(&fake, Verdict::Failed);
    let told = call(&fake, &START);
    assert!(told.starts_with("exit: 5\n"), "{told}");
    assert!(
        told.contains("Not every host went back: look at web1, then try again: dvctl rollback r42"),
        "{told}"
    );
}

/// A rollback whose plan has no way back for these hosts; the canary goes back unless it is among them.
fn way_back_without(left: &[&str]) -> Scene {
    let mut plan = reversal();
    plan.notes = left
        .iter()
        .map(|name| Note {
            severity: Severity::Warning,
            host: Some(host(name)),
            text: "stays as it is: r/app had no `latest` before this rollout".to_owned(),
        })
        .collect();
    let (id, mut journal) = (RolloutId(43), Journal::begun(RolloutId(43), 61));
    let mut phases = vec![];
    if left.contains(&"web1") {
        plan.hosts.clear();
        plan.waves.clear();
    } else {
        journal = journal.then(61, Fact::WaveStarted { wave: 0 }).healthy(61, "web1");
        phases.push(Phase::Healthy);
    }
    let report = report(id, &plan, ended(Verdict::Failed), &phases);
    Scene::new(plan, journal.ended(Verdict::Failed, false).records, report)
}

#[test]
fn a_touched_host_that_has_nothing_to_go_back_to_is_5_and_says_why() {
    for (name, left) in [("no_way_back", &["web1"][..]), ("no_way_back_for_one", &["web2"])] {
        let fake = Fake::new();
        taken_back(&fake, Verdict::Succeeded);
        fake.scene("r43", way_back_without(left));
        insta::assert_snapshot!(name, call(&fake, &START));
    }
}

#[test]
fn a_rollback_that_was_asked_for_and_succeeds_is_0() {
    let fake = Fake::new();
    fake.scene("r43", way_back(Verdict::Succeeded));
    insta::assert_snapshot!(call(
        &fake,
        &["rollback", "app", "--all-at-once", "--reason", "too slow"]
    ));
    let first = r#"rollback rollout="r42" service="" all_at_once=true reason="too slow""#;
    assert_eq!(fake.asked()[..2], ["plan rollback app", first]);
}

#[test]
fn a_pause_is_7_and_says_what_to_do() {
    for (state, fact) in [
        (
            State::Paused(PauseWhy::Unreachable { unreachable: 2, tolerated: 1 }),
            Fact::Paused { why: PauseWhy::Unreachable { unreachable: 2, tolerated: 1 } },
        ),
        (State::AwaitingPromotion, Fact::CanaryHealthy { wave: 0 }),
    ] {
        let fake = Fake::new();
        let journal = Journal::new(ID).then(0, Fact::WaveStarted { wave: 0 }).healthy(0, "web1");
        let records = journal.then(9, fact).records;
        let begun = report(ID, &plan(), State::Running, &[Phase::Pending; 3]);
        let phases = [Phase::Healthy, Phase::Pending, Phase::Pending];
        let mut paused = report(ID, &plan(), state.clone(), &phases);
        paused.record = records.len() as u64;
        let scene = Scene::new(plan(), records, begun);
        fake.scene("r42", scene.beat(Beat::Report(Box::new(paused))).beat(Beat::Silence));
        let name = if state == State::AwaitingPromotion { "promotion" } else { "pause" };
        insta::assert_snapshot!(name, call(&fake, &START));
    }
}

#[test]
fn contact_that_comes_back_goes_unnoticed_in_the_data() {
    let whole = Fake::new();
    whole.scene("r42", success());
    let cut = Fake::new();
    let mut scene = success();
    scene.beats.insert(9, Beat::Cut);
    scene.beats.insert(4, Beat::Cut);
    cut.scene("r42", scene);
    let (whole, cut_told) = (call(&whole, &START), call(&cut, &START));
    let data = |told: &str| told.split("-- stderr").next().unwrap().to_owned();
    assert_eq!(data(&cut_told), data(&whole));
    assert!(cut_told.contains("contact with the coordinator is lost"), "{cut_told}");
    assert!(cut_told.contains("contact with the coordinator is back"), "{cut_told}");
    let after: Vec<String> = cut.asked().into_iter().filter(|a| a.starts_with("watch")).collect();
    assert_eq!(after.len(), 3, "{after:?}");
    assert_ne!(after[1], "watch r42 after 0", "what was had is not asked for again");
}

#[test]
fn contact_that_stays_lost_is_8() {
    let fake = Fake::new();
    let mut scene = success();
    scene.beats.insert(4, Beat::Gone);
    fake.scene("r42", scene);
    let arguments = [&START[..], &["--reconnect-timeout", "700ms"]].concat();
    let told = call(&fake, &arguments);
    assert!(told.starts_with("exit: 8\n"), "{told}");
    assert!(told.contains("dvctl rollout watch r42"), "{told}");
}

#[test]
fn a_start_whose_answer_is_lost_is_8() {
    let fake = Fake::new();
    fake.script.cut_answers.store(true, std::sync::atomic::Ordering::SeqCst);
    let told = call(&fake, &START);
    assert!(told.starts_with("exit: 8\n"), "{told}");
    assert!(told.contains("dvctl rollout history"), "{told}");
}

#[test]
fn detached_from_the_beginning_it_names_the_rollout() {
    let fake = Fake::new();
    let arguments =
        [&START[..], &["--detach", "--force", "--reason", "known", "--plan", "abc"]].concat();
    insta::assert_snapshot!(call(&fake, &arguments));
    assert_eq!(fake.asked(), [r#"start v2 force=true reason="known" plan="abc""#]);
}

#[test]
fn ctrl_c_detaches_with_130() {
    use std::{
        io::{BufRead as _, BufReader, Read as _},
        process::Stdio,
    };

    let fake = Fake::new();
    let mut scene = success();
    scene.beats.truncate(3);
    fake.scene("r42", scene.beat(Beat::Silence));
    let home = tempfile::tempdir().unwrap();
    let mut command = crate::support::prepared(home.path(), &fake.context());
    let mut child =
        command.args(START).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().contains("started by admin"));
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{said}");
    insta::assert_snapshot!(said);
}

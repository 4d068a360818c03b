mod host;

use std::fs;

use dv_types::{Outcome, operation::UnitVerb, probe::Probing};

use super::*;
use crate::adapter::{self, disk::HostDisk};
use host::{Host, restart, start, unit};

const MINUTE: Span = Span::from_secs(60);

fn id(text: &str) -> CommandId {
    text.parse().unwrap()
}

fn arm(revert: Vec<Operation>) -> Operation {
    Operation::Arm { within: MINUTE, revert }
}

fn verify_for_ever() -> Operation {
    let probing = Probing {
        probes: Vec::new(),
        interval: Span::from_secs(1),
        timeout: Span::from_secs(1),
        successes: 1,
    };
    let hours = Span::from_secs(36_000);
    Operation::Verify { probing, min_healthy_time: hours, healthy_deadline: hours }
}

/// There is no such program: what is begun fails.
fn migrate() -> Operation {
    Operation::Migrate {
        check: vec!["/bin/x".into()],
        upgrade: vec!["/bin/x".into()],
        kinds: BTreeMap::new(),
        timeout: MINUTE,
    }
}

fn downgrade() -> Operation {
    Operation::Downgrade {
        check: vec!["/bin/x".into()],
        downgrade: vec!["/bin/x".into()],
        head: None,
        to: None,
        timeout: MINUTE,
    }
}

async fn sleep(secs: u64) {
    tokio::time::sleep(Duration::from_secs(secs)).await;
}

/// It says that the host went back by itself; whether in full.
fn went_back(outcome: &Outcome) -> bool {
    let OpResult::Failed(why) = &outcome.result else { panic!("{outcome:?}") };
    assert!(why.starts_with("the host went back by itself at "), "{why}");
    assert!(why.contains(", because nobody confirmed it within 1m"), "{why}");
    let Some(Evidence::Reverted { complete, .. }) = outcome.evidence else { panic!("{outcome:?}") };
    complete
}

#[tokio::test(start_paused = true)]
async fn a_host_that_nobody_confirms_goes_back_when_its_time_is_up() {
    let host = Host::new();
    let mut agent = host.start();
    let armed = agent.ask("r1-1", arm(vec![restart("a"), start("b")])).await;
    assert_eq!(armed.result, OpResult::Done);
    let until = MINUTE.after(host.wall());
    assert_eq!(armed.evidence, Some(Evidence::Armed { until }));
    // Asked again, it does not get more time.
    sleep(58).await;
    assert_eq!(agent.ask("r1-1", arm(vec![restart("a"), start("b")])).await, armed);
    assert!(host.did().is_empty());
    sleep(3).await;
    assert_eq!(host.did(), ["restart a.service", "start b.service"]);

    // A coordinator that missed it does not fight it.
    let refused = agent.ask("r1-2", restart("a")).await;
    assert!(went_back(&refused));
    let Some(Evidence::Reverted { at, .. }) = refused.evidence else { unreachable!() };
    assert!(at >= until);
    for (number, operation) in
        [("r1-3", verify_for_ever()), ("r1-4", Operation::Confirm), ("r1-5", arm(vec![start("a")]))]
    {
        let outcome = agent.ask(number, operation).await;
        assert_eq!(
            (outcome.result, outcome.evidence),
            (refused.result.clone(), refused.evidence.clone())
        );
    }
    // A later agent says so in the same words.
    drop(agent);
    let mut agent = host.start();
    assert_eq!(agent.ask("r1-6", restart("a")).await.result, refused.result);
    assert_eq!(host.did().len(), 2);
    // The rollback is another rollout.
    assert_eq!(agent.ask("r2-1", restart("a")).await.result, OpResult::Done);
    assert_eq!(host.did().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_confirmed_stays() {
    let host = Host::new();
    let mut agent = host.start();
    agent.ask("r1-1", arm(vec![restart("a")])).await;
    sleep(59).await;
    assert_eq!(agent.ask("r1-2", Operation::Confirm).await.result, OpResult::Done);
    drop(agent);
    let mut agent = host.start();
    sleep(3600).await;
    assert!(host.did().is_empty());
    assert_eq!(agent.ask("r1-3", restart("b")).await.result, OpResult::Done);
    // Nothing to let go is no fault.
    assert_eq!(agent.ask("r1-4", Operation::Confirm).await.result, OpResult::Done);
}

#[tokio::test(start_paused = true)]
async fn a_switch_outlives_the_agent_and_fires_late() {
    let host = Host::new();
    let mut agent = host.start();
    agent.ask("r1-1", arm(vec![restart("a")])).await;
    drop(agent);
    sleep(30).await;
    let agent = host.start();
    sleep(20).await;
    assert!(host.did().is_empty());
    drop(agent);
    sleep(300).await;
    // Nobody confirms it any more.
    let mut agent = host.start();
    assert!(went_back(&agent.ask("r1-2", Operation::Confirm).await));
    assert_eq!(host.did(), ["restart a.service"]);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_fires_nothing_and_holds_nothing_up() {
    for shift in [-86_400, 86_400] {
        let host = Host::new();
        let mut agent = host.start();
        agent.ask("r1-1", arm(vec![restart("a")])).await;
        host.set_clock(shift);
        sleep(50).await;
        assert!(host.did().is_empty(), "{shift}");
        sleep(20).await;
        assert_eq!(host.did().len(), 1, "{shift}");
    }
    // After a reboot there is no other clock.
    let host = Host::new();
    let mut agent = host.start();
    agent.ask("r1-1", arm(vec![restart("a")])).await;
    drop(agent);
    host.reboot();
    let _agent = host.start();
    sleep(50).await;
    assert!(host.did().is_empty());
    sleep(20).await;
    assert_eq!(host.did().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_crash_on_the_way_back_does_nothing_twice() {
    for (stuck, unit) in [("before restart", "a"), ("after restart", "a"), ("before start", "b")] {
        let host = Host::new();
        let mut agent = host.start();
        agent.ask("r1-1", arm(vec![restart("a"), start("b"), restart("c")])).await;
        host.stick(&format!("{stuck} {unit}.service"));
        sleep(61).await;
        let before = host.did();
        assert!(before.len() < 3, "{before:?}");
        drop(agent);

        host.stick("");
        let mut agent = host.start();
        assert!(went_back(&agent.ask("r1-2", restart("c")).await), "{stuck}");
        assert_eq!(
            host.did(),
            ["restart a.service", "start b.service", "restart c.service"],
            "{stuck}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_nobody_knows_after_a_crash_is_said_and_the_rest_is_done() {
    let host = Host::new();
    let mut agent = host.start();
    let run = Operation::Run {
        argv: vec!["/bin/x".into()],
        timeout: Span::from_secs(1),
        repeatable: false,
    };
    agent.ask("r1-1", arm(vec![run, start("a")])).await;
    let mut switch = agent.runner.switches.get(RolloutId(1)).unwrap();
    for change in [Change::Firing(host.wall()), Change::Begun(Begun { mark: None })] {
        switch = agent.runner.switches.note(&switch, change).await.unwrap();
    }
    drop(agent);
    let mut agent = host.start();
    let outcome = agent.ask("r1-2", Operation::Confirm).await;
    assert!(!went_back(&outcome));
    let why = outcome.result.to_string();
    assert!(why.contains("on the way, run /bin/x: outcome unknown: the agent died"), "{why}");
    assert_eq!(host.did(), ["start a.service"]);
}

#[tokio::test(start_paused = true)]
async fn what_the_policy_no_longer_allows_is_not_done() {
    let host = Host::new();
    let mut agent = host.start();
    agent.ask("r1-1", arm(vec![restart("a"), restart("b")])).await;
    host.allow("units: [b.service]");
    sleep(61).await;
    assert_eq!(host.did(), ["restart b.service"]);
    let outcome = agent.ask("r1-2", Operation::Confirm).await;
    assert!(!went_back(&outcome));
    assert!(outcome.result.to_string().contains("does not list unit a.service"), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_armed_that_could_not_be_done() {
    let host = Host::new();
    let mut agent = host.start();
    for (number, revert, part) in [
        ("r1-1", vec![restart("a"), restart("other")], "does not list unit other.service"),
        ("r1-2", vec![], "what takes the host back"),
        ("r1-3", vec![Operation::Confirm], "a switch itself"),
        ("r1-4", vec![arm(vec![restart("a")])], "a switch itself"),
    ] {
        let outcome = agent.ask(number, arm(revert)).await;
        assert!(
            matches!(&outcome.result, OpResult::Refused(why) if why.contains(part)),
            "{outcome:?}"
        );
    }
    assert!(agent.runner.switches.all().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_latest_switch_counts_for_its_rollout_and_for_its_subjects() {
    let host = Host::new();
    let mut agent = host.start();
    agent.ask("r1-1", arm(vec![restart("a")])).await;
    sleep(30).await;
    agent.ask("r1-2", arm(vec![restart("a"), start("a")])).await;
    agent.ask("r2-1", arm(vec![restart("c")])).await;
    sleep(40).await;
    assert!(host.did().is_empty());
    // It has something to do with the first rollout's, and nothing with the second's.
    agent.ask("r3-1", arm(vec![start("a"), start("b")])).await;
    agent.ask("r3-2", Operation::Confirm).await;
    sleep(3600).await;
    assert_eq!(host.did(), ["restart c.service"]);
    assert_eq!(agent.ask("r1-3", restart("a")).await.result, OpResult::Done);
    assert!(went_back(&agent.ask("r2-2", restart("c")).await));
    // A newer rollout of the same service is a new beginning.
    agent.ask("r4-1", arm(vec![restart("c")])).await;
    assert_eq!(agent.ask("r2-3", restart("c")).await.result, OpResult::Done);
}

#[tokio::test(start_paused = true)]
async fn what_is_under_way_is_called_off_before_the_host_goes_back() {
    let host = Host::new();
    let mut agent = host.start();
    agent.ask("r1-1", arm(vec![restart("a")])).await;
    agent.tell("r1-2", verify_for_ever());
    host.stick("before restart b.service");
    agent.tell("r1-3", restart("b"));
    sleep(59).await;
    assert!(host.did().is_empty());
    sleep(2).await;
    assert_eq!(host.did(), ["restart a.service"]);
    assert!(went_back(&agent.outcome("r1-2").await));
    assert!(went_back(&agent.outcome("r1-3").await));
}

#[tokio::test(start_paused = true)]
async fn what_was_under_way_when_the_agent_died_is_not_taken_for_the_way_back() {
    let host = Host::new();
    let mut agent = host.start();
    agent.ask("r1-1", arm(vec![restart("a")])).await;
    host.stick("before restart a.service");
    agent.tell("r1-2", restart("a"));
    agent.tell("r1-3", verify_for_ever());
    sleep(1).await;
    drop(agent);
    host.stick("");
    sleep(120).await;
    let mut agent = host.start();
    sleep(1).await;
    assert!(went_back(&agent.ask("r1-2", restart("a")).await));
    assert!(went_back(&agent.ask("r1-3", verify_for_ever()).await));
    assert_eq!(host.did(), ["restart a.service"]);
}

#[tokio::test(start_paused = true)]
async fn a_host_does_not_go_back_while_another_rollout_changes_it() {
    let host = Host::new();
    let mut agent = host.start();
    agent.ask("r1-1", arm(vec![restart("a")])).await;
    host.stick("before restart b.service");
    let slow = unit("b", UnitVerb::Restart, Span::from_secs(100));
    agent.tell("r2-1", slow);
    sleep(90).await;
    assert!(host.did().is_empty());
    // Its own rollout waits for it, and others begin nothing either.
    agent.tell("r1-2", restart("c"));
    agent.tell("r3-1", start("c"));
    sleep(1).await;
    assert!(host.did().is_empty());
    host.release();
    assert!(went_back(&agent.outcome("r1-2").await));
    assert_eq!(agent.outcome("r3-1").await.result, OpResult::Done);
    assert_eq!(host.did(), ["restart b.service", "restart a.service", "start c.service"]);
}

#[tokio::test(start_paused = true)]
async fn a_later_rollout_that_changes_the_same_lets_the_switch_go() {
    let host = Host::new();
    let mut agent = host.start();
    agent.ask("r1-1", arm(vec![restart("a"), start("a")])).await;
    agent.ask("r2-1", arm(vec![restart("c")])).await;
    sleep(30).await;
    // The rollback of the first arms nothing and confirms nothing.
    assert_eq!(agent.ask("r3-1", start("a")).await.result, OpResult::Done);
    assert_eq!(host.switches(), ["r2.json"]);
    sleep(600).await;
    // What it has nothing to do with goes back all the same.
    assert_eq!(host.did(), ["start a.service", "restart c.service"]);
    // The first is not told that it went back.
    assert_eq!(agent.ask("r1-2", Operation::Confirm).await.result, OpResult::Done);
}

#[tokio::test(start_paused = true)]
async fn a_command_may_change_what_any_switch_goes_back_to() {
    let run = || Operation::Run {
        argv: vec!["/bin/x".into()],
        timeout: Span::from_secs(1),
        repeatable: true,
    };
    for (revert, later) in [(restart("a"), run()), (run(), restart("a"))] {
        let host = Host::new();
        let mut agent = host.start();
        agent.ask("r1-1", arm(vec![revert])).await;
        agent.ask("r2-1", later).await;
        assert!(host.switches().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_schema_that_changes_lets_the_switch_of_any_earlier_rollout_go() {
    for (later, earlier) in [(migrate(), downgrade()), (downgrade(), migrate())] {
        let host = Host::new();
        let mut agent = host.start();
        agent.ask("r2-1", arm(vec![restart("a")])).await;
        // Neither an earlier rollout, nor its own, nor what the policy refuses.
        agent.ask("r1-1", earlier.clone()).await;
        agent.ask("r2-2", earlier).await;
        host.allow("units: [a.service]");
        assert!(matches!(agent.ask("r3-1", later.clone()).await.result, OpResult::Refused(_)));
        assert_eq!(host.switches(), ["r2.json"], "{later}");
        host.allow("units: [a.service]\ncommands: [[/bin/x]]");
        agent.ask("r3-2", later.clone()).await;
        assert!(host.switches().is_empty(), "{later}");
        sleep(600).await;
        assert!(host.did().is_empty(), "{later}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_changes_nothing_or_is_earlier_or_refused_leaves_the_switch_armed() {
    let host = Host::new();
    let mut agent = host.start();
    agent.ask("r2-1", arm(vec![restart("a"), verify_for_ever()])).await;
    agent.tell("r3-1", verify_for_ever());
    assert_eq!(agent.ask("r3-2", Operation::Confirm).await.result, OpResult::Done);
    assert_eq!(agent.ask("r1-1", start("a")).await.result, OpResult::Done);
    assert_eq!(agent.ask("r2-2", start("a")).await.result, OpResult::Done);
    host.allow("units: [b.service]");
    assert!(matches!(agent.ask("r3-3", start("a")).await.result, OpResult::Refused(_)));
    host.allow("units: [a.service]");
    assert_eq!(host.switches(), ["r2.json"]);
    sleep(61).await;
    assert_eq!(host.did(), ["start a.service", "start a.service", "restart a.service"]);
}

#[tokio::test(start_paused = true)]
async fn a_switch_that_was_let_go_stays_so_after_a_crash() {
    for stuck in ["before start a.service", "after start a.service"] {
        let host = Host::new();
        let mut agent = host.start();
        agent.ask("r1-1", arm(vec![restart("a")])).await;
        host.stick(stuck);
        agent.tell("r2-1", start("a"));
        sleep(1).await;
        // It is gone before the command is carried out.
        assert!(host.switches().is_empty(), "{stuck}");
        drop(agent);
        host.stick("");
        let mut agent = host.start();
        sleep(600).await;
        assert_eq!(agent.ask("r2-1", start("a")).await.result, OpResult::Done);
        assert!(!host.did().contains(&"restart a.service".to_owned()), "{stuck}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_between_letting_go_and_the_intent_leaves_nothing_armed_and_nothing_begun() {
    let host = Host::new();
    let mut agent = host.start();
    agent.ask("r1-1", arm(vec![restart("a")])).await;
    let switches = agent.runner.switches.clone();
    assert!(switches.let_earlier_go(RolloutId(2), &start("a")).await.unwrap());
    drop((agent, switches));
    let mut agent = host.start();
    sleep(600).await;
    assert!(host.did().is_empty());
    // Told again, it is begun.
    assert_eq!(agent.ask("r2-1", start("a")).await.result, OpResult::Done);
    assert_eq!(host.did(), ["start a.service"]);
}

#[tokio::test(start_paused = true)]
async fn a_later_rollout_waits_for_a_switch_that_is_firing() {
    let host = Host::new();
    let mut agent = host.start();
    agent.ask("r1-1", arm(vec![restart("a"), restart("b")])).await;
    host.stick("before restart a.service");
    sleep(61).await;
    agent.tell("r2-1", start("b"));
    agent.tell("r2-2", start("a"));
    agent.runner.cancel(id("r2-2"));
    assert_eq!(agent.outcome("r2-2").await.result, OpResult::Cancelled);
    host.release();
    assert_eq!(agent.outcome("r2-1").await.result, OpResult::Done);
    assert_eq!(host.did(), ["restart a.service", "restart b.service", "start b.service"]);
    assert!(went_back(&agent.ask("r1-2", Operation::Confirm).await));
}

#[tokio::test(start_paused = true)]
async fn a_switch_whose_time_is_up_under_another_change_fires_before_the_later_rollout() {
    let host = Host::new();
    let mut agent = host.start();
    agent.ask("r1-1", arm(vec![restart("a")])).await;
    // It holds the switch up, and has nothing to do with it.
    host.stick("before restart b.service");
    agent.tell("r2-1", restart("b"));
    sleep(61).await;
    assert!(!agent.runner.switches.let_earlier_go(RolloutId(3), &start("a")).await.unwrap());
    agent.tell("r3-1", start("a"));
    sleep(1).await;
    host.release();
    assert_eq!(agent.outcome("r3-1").await.result, OpResult::Done);
    assert_eq!(host.did(), ["restart b.service", "restart a.service", "start a.service"]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_begun_over_a_switch_that_can_not_be_let_go() {
    let host = Host::new();
    let mut agent = host.start();
    agent.ask("r1-1", arm(vec![restart("a")])).await;
    // In the file's place is what can't be removed as a file.
    let file = host.config.switches_dir().join("r1.json");
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    let outcome = agent.ask("r2-1", start("a")).await;
    let OpResult::Refused(why) = &outcome.result else { panic!("{outcome:?}") };
    assert!(why.contains("can't be let go"), "{why}");
    assert!(host.did().is_empty());
}

#[tokio::test]
async fn of_a_confirmation_and_the_firing_one_wins() {
    let mut confirmed_ones = 0;
    for round in 0..200 {
        let dir = tempfile::tempdir().unwrap();
        let readings = std::sync::atomic::AtomicU64::new(0);
        // The time is up somewhere among the readings that the two take.
        let clock = Clock::of(move || {
            let reading = readings.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let late = reading >= 3 + round % 3;
            host::moment(if late { MINUTE } else { Span::ZERO })
        });
        let switches =
            Switches::open(Arc::new(HostDisk), dir.path().join("switches"), clock).unwrap();
        switches.arm(id("r1-1"), MINUTE, vec![restart("a")]).await.unwrap().unwrap();
        let (confirmed, fired) =
            tokio::join!(switches.confirm(RolloutId(1)), switches.fire(RolloutId(1)));
        let confirmed = confirmed.unwrap().is_ok();
        // Too early is not too late.
        let fired = fired.unwrap().or(switches.fire(RolloutId(1)).await.unwrap());
        assert_ne!(confirmed, fired.is_some(), "round {round}");
        confirmed_ones += u32::from(confirmed);
        let kept = Switches::open(
            Arc::new(HostDisk),
            dir.path().join("switches"),
            Clock::of_host(Arc::new(adapter::host::Host)),
        )
        .unwrap();
        assert_eq!(kept.all().is_empty(), confirmed, "round {round}");
    }
    assert!((1..200).contains(&confirmed_ones), "{confirmed_ones}");
}

#[tokio::test(start_paused = true)]
async fn that_a_switch_has_fired_is_forgotten_after_a_week() {
    let host = Host::new();
    let mut agent = host.start();
    agent.ask("r1-1", arm(vec![restart("a")])).await;
    sleep(61).await;
    drop(agent);
    sleep(6 * 86_400).await;
    assert_eq!(host.start().runner.switches.all().len(), 1);
    sleep(86_400).await;
    assert!(host.start().runner.switches.all().is_empty());
    assert!(fs::read_dir(host.config.switches_dir()).unwrap().next().is_none());
}

#[test]
fn a_damaged_file_hurts_no_other() {
    let host = Host::new();
    let directory = host.config.switches_dir();
    HostDisk.private_directory(&directory).unwrap();
    for (name, text) in [("r1.json", "{"), ("r2.json", ""), ("r3.json.tmp", "{"), ("notes.txt", "")]
    {
        fs::write(directory.join(name), text).unwrap();
    }
    let switches = Switches::open(
        Arc::new(HostDisk),
        directory.clone(),
        Clock::of_host(Arc::new(adapter::host::Host)),
    )
    .unwrap();
    assert!(switches.all().is_empty());
    assert!(directory.join("r1.json").exists() && !directory.join("r3.json.tmp").exists());
}

#[tokio::test(start_paused = true)]
async fn a_host_goes_back_on_a_full_disk_also_when_its_agent_dies_in_the_middle() {
    let host = Host::new();
    let mut agent = host.start();
    agent.ask("r1-1", arm(vec![restart("a"), restart("b"), start("c")])).await;
    host.fill(true);
    host.stick("before restart b.service");
    sleep(61).await;
    assert_eq!(host.did(), ["restart a.service"]);
    // What has happened is on record: it does not happen again.
    drop(agent);
    host.stick("");
    let agent = host.start();
    sleep(10).await;
    let all = ["restart a.service", "restart b.service", "start c.service"];
    assert_eq!(host.did(), all);
    drop(agent);
    let mut agent = host.start();
    sleep(10).await;
    assert!(went_back(&agent.ask("r1-2", Operation::Confirm).await));
    assert_eq!(host.did(), all);
    // Nothing new is armed where there is no room for all of it.
    let refused = agent.ask("r2-1", arm(vec![restart("a")])).await;
    assert!(matches!(refused.result, OpResult::Refused(_)), "{refused:?}");
    host.fill(false);
    assert_eq!(agent.ask("r2-2", arm(vec![restart("a")])).await.result, OpResult::Done);
}

#[tokio::test(start_paused = true)]
async fn a_switch_that_an_earlier_version_armed_is_given_room() {
    let host = Host::new();
    let mut agent = host.start();
    agent.ask("r1-1", arm(vec![restart("a"), start("b")])).await;
    drop(agent);
    // Its whole file was one document, and was written anew each time.
    let file = host.config.switches_dir().join("r1.json");
    let mut text = fs::read(&file).unwrap();
    text.truncate(text.iter().position(|byte| *byte == b'\n').unwrap());
    fs::write(&file, text).unwrap();
    let mut agent = host.start();
    host.fill(true);
    sleep(61).await;
    assert_eq!(host.did(), ["restart a.service", "start b.service"]);
    assert!(went_back(&agent.ask("r1-2", Operation::Confirm).await));
}

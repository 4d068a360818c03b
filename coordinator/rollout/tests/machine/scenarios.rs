//! What a person would try first, one story each.

use dv_rollout::{Event, planning};
use dv_types::{
    Fact, OpResult, Operation, Span, Timestamp, WaitingOn,
    outcome::Tags,
    record::{PauseWhy, Verb, Verdict},
    report::{Phase, State},
};

use crate::world::{World, facts, host, image, is_reversal, manifest, number, plan, reverse};

fn done(_: usize, _: &Operation) -> OpResult {
    OpResult::Done
}

fn unready(op: &Operation) -> OpResult {
    match op {
        Operation::Verify { .. } => OpResult::Failed("ready: 503".to_owned()),
        _ => OpResult::Done,
    }
}

#[test]
fn one_host_after_the_other_until_all_are_healthy() {
    let mut world = World::new(plan("{}", 5));
    assert_eq!(world.report().totals.working, 1);
    world.run(done);
    assert_eq!(world.report().state, State::Ended(Verdict::Succeeded));
    assert_eq!(world.report().totals.healthy, 5);
    let new = Tags { latest: Some(image(2)), previous: Some(image(1)) };
    assert!(world.agents.values().all(|a| a.tags == new));
    assert!(world.agents.values().all(|a| a.unacknowledged.is_empty()));
}

#[test]
fn the_canary_waits_for_a_person() {
    let mut world = World::new(plan(r#"{ "canary": 1, "max_parallel": 4 }"#, 5));
    world.run(done);
    assert_eq!(world.report().state, State::AwaitingPromotion);
    assert_eq!(world.report().waiting, [WaitingOn::Promotion]);
    assert_eq!(world.report().totals.touched, 1);
    world.pass(Span::from_secs(86_400));
    assert_eq!(
        world.report().state,
        State::AwaitingPromotion,
        "a canary waits as long as it takes"
    );
    world.operator(Verb::Promote).unwrap();
    assert_eq!(world.report().totals.working, 4);
    world.run(done);
    assert_eq!(world.report().state, State::Ended(Verdict::Succeeded));
}

#[test]
fn batches_are_cumulative_shares_of_the_fleet() {
    let plan = plan(r#"{ "batches": [1, "10%", "50%", "100%"] }"#, 20);
    let sizes: Vec<_> = plan.waves.iter().map(|w| w.hosts.len()).collect();
    assert_eq!(sizes, [1, 1, 8, 10]);
    let mut world = World::new(plan);
    world.run(done);
    assert_eq!(world.report().state, State::Ended(Verdict::Succeeded));
}

#[test]
fn hosts_under_way_together_are_of_different_zones() {
    let plan = plan(r#"{ "max_parallel": 3 }"#, 9);
    let first: Vec<_> = plan.waves[0].hosts.iter().take(3).map(ToString::to_string).collect();
    assert_eq!(first, ["h3", "h1", "h2"]);
}

#[test]
fn a_canary_that_fails_is_the_only_host_touched_and_goes_back() {
    let mut world = World::new(plan(r#"{ "canary": 1 }"#, 5));
    world.run(|_, op| unready(op));
    assert_eq!(world.rollout.ended(), Some((Verdict::Failed, true)));
    assert_eq!(world.report().totals.touched, 1);

    let back = reverse(&world.rollout, &[], false);
    assert!(is_reversal(&back));
    assert_eq!(back.hosts.len(), 1);
    let mut back = World::new(back);
    back.agents.values_mut().for_each(|a| a.tags.latest = Some(image(2)));
    back.run(done);
    assert_eq!(back.report().state, State::Ended(Verdict::Succeeded));
    let old = Tags { latest: Some(image(1)), previous: None };
    assert!(back.agents.values().all(|a| a.tags == old));
}

#[test]
fn a_failure_at_the_fourth_host_leaves_the_fifth_untouched() {
    let mut world = World::new(plan("{}", 5));
    let fourth = world.rollout.plan().waves[0].hosts[3].clone();
    let bad = number(&fourth);
    world.run(|n, op| if n == bad { unready(op) } else { OpResult::Done });
    let fifth = world.rollout.plan().waves[0].hosts[4].clone();
    let back = reverse(&world.rollout, &[], false);
    assert_eq!(back.hosts.len(), 4);
    assert!(back.host(&fifth).is_none());
    assert!(back.waves.iter().all(|w| w.max_parallel == 1), "back in the same safe batches");
    assert_eq!(back.waves[0].hosts[0], fourth, "the host that is down goes first");
    let at_once = reverse(&world.rollout, &[], true);
    assert_eq!(at_once.waves[0].max_parallel, 4);
}

#[test]
fn a_host_goes_back_by_what_it_has_begun_and_no_more() {
    let refuse = |what: fn(&Operation) -> bool| {
        let mut world = World::new(plan("{}", 2));
        world.run(|_, op| match what(op) {
            true => OpResult::Refused("the policy does not list it".to_owned()),
            false => OpResult::Done,
        });
        world
    };
    let whole = |operations: &[Operation]| {
        matches!(
            operations,
            [Operation::RestoreTags { .. }, Operation::ComposeUp { .. }, Operation::Verify { .. }]
        )
    };
    // Tagged, and its containers not reached: a reboot may have started them with the new image. So it may where the host
    // refused to start them, because its disk was full.
    let world = refuse(|op| matches!(op, Operation::ComposeUp { .. }));
    assert_eq!(world.rollout.ended(), Some((Verdict::Failed, true)));
    let back = reverse(&world.rollout, &[], false);
    assert!(whole(back.operations(&back.hosts[0])));
    let mut world = World::new(plan("{}", 2));
    let first = number(&world.order()[0]);
    world.carry_out(first, |_| OpResult::Done);
    world.disconnect(first);
    world.carry_out(first, |_| OpResult::Done);
    world.operator(Verb::Abort).unwrap();
    world.connect(first);
    assert_eq!(world.report().totals.touched, 1);
    let back = reverse(&world.rollout, &[], false);
    assert!(whole(back.operations(&back.hosts[0])));
    // It refused the first change: it was not touched, and nothing is to be taken back.
    let world = refuse(|op| matches!(op, Operation::TagImage { .. }));
    assert_eq!(world.rollout.ended(), Some((Verdict::Failed, false)));
    assert_eq!(world.report().totals.touched, 0);
}

#[test]
fn on_failure_pause_waits_and_goes_on_when_resumed() {
    let mut world = World::new(plan(r#"{ "on_failure": "pause" }"#, 3));
    let first = world.order()[0].clone();
    let bad = number(&first);
    world.run(|n, op| if n == bad { unready(op) } else { OpResult::Done });
    let why = PauseWhy::Failures { failed: 1, tolerated: 0 };
    assert_eq!(world.report().state, State::Paused(why));
    assert_eq!(world.report().totals.touched, 1);
    world.operator(Verb::Resume).unwrap();
    world.run(done);
    assert_eq!((world.report().totals.healthy, world.report().totals.failed), (2, 1));
    // It was let go on, but more failed than the manifest tolerates: that is no success.
    assert_eq!(world.rollout.ended(), Some((Verdict::Failed, false)));
}

#[test]
fn going_on_without_any_host_is_no_success() {
    let mut world = World::new(plan(r#"{ "max_unreachable": "100%" }"#, 2));
    (1..=2).for_each(|n| world.disconnect(n));
    world.pass(Span::from_secs(60));
    assert_eq!(world.rollout.ended(), Some((Verdict::Failed, false)));
}

#[test]
fn a_pause_of_a_person_forgives_no_failure() {
    let mut world = World::new(plan(r#"{ "max_failures": 1 }"#, 4));
    let bad = number(&world.order()[0]);
    while world.phase(bad) != Phase::Failed {
        world.carry_out(bad, unready);
    }
    world.operator(Verb::Pause).unwrap();
    world.operator(Verb::Resume).unwrap();
    world.run(|_, op| unready(op));
    assert_eq!(world.report().totals.failed, 2, "one is tolerated, the second ends it");
    assert_eq!(world.rollout.ended(), Some((Verdict::Failed, true)));
}

#[test]
fn a_failed_host_can_be_tried_again() {
    let mut world = World::new(plan(r#"{ "on_failure": "pause" }"#, 2));
    let first = world.order()[0].clone();
    let bad = number(&first);
    world.run(|n, op| if n == bad { unready(op) } else { OpResult::Done });
    world.operator(Verb::Retry { host: first.clone() }).unwrap();
    world.operator(Verb::Resume).unwrap();
    world.run(done);
    let report = world.report();
    assert_eq!(report.state, State::Ended(Verdict::Succeeded));
    assert_eq!(report.totals.healthy, 2);
    assert_eq!(report.hosts.iter().find(|h| h.name == first).unwrap().attempt, 2);
    // What it goes back to is what it ran before the first attempt, not before the second.
    let back = reverse(&world.rollout, &[], false);
    let operation = &back.operations(back.host(&first).unwrap())[0];
    assert!(matches!(operation, Operation::RestoreTags { latest, .. } if *latest == image(1)));
}

#[test]
fn failures_within_the_budget_do_not_stop_it() {
    let mut world = World::new(plan(r#"{ "max_failures": 1 }"#, 5));
    let bad = number(&world.order()[0]);
    world.run(|n, op| if n == bad { unready(op) } else { OpResult::Done });
    assert_eq!(world.report().state, State::Ended(Verdict::Succeeded));
    assert_eq!((world.report().totals.healthy, world.report().totals.failed), (4, 1));
}

#[test]
fn on_failure_continue_tells_the_truth_at_the_end() {
    let mut world = World::new(plan(r#"{ "on_failure": "continue" }"#, 5));
    let bad = number(&world.order()[0]);
    world.run(|n, op| if n == bad { unready(op) } else { OpResult::Done });
    assert_eq!(world.rollout.ended(), Some((Verdict::Failed, false)));
    assert_eq!(world.report().totals.healthy, 4);
}

#[test]
fn a_host_cut_off_in_its_turn_neither_holds_nor_fails_the_rollout() {
    let mut world = World::new(plan("{}", 5));
    let first = world.order()[0].clone();
    let n = number(&first);
    world.disconnect(n);
    assert!(
        matches!(&world.report().waiting[0], WaitingOn::Reconnect { host, .. } if *host == first)
    );
    world.pass(Span::from_secs(60));
    assert_eq!(world.phase(n), Phase::Unreachable);
    assert_eq!(world.order().len(), 2, "the next host takes its turn");
    let why = world.report().hosts.iter().find(|h| h.name == first).unwrap().why.clone().unwrap();
    assert!(
        why.contains("pull registry:5000/debvisor:v2") && why.contains("outcome unknown"),
        "{why}"
    );
    world.connect(n);
    world.run(done);
    assert_eq!(world.report().state, State::Ended(Verdict::Succeeded));
    assert_eq!(world.report().totals.healthy, 5, "it is dealt with when it comes back");
}

#[test]
fn a_host_that_stays_away_is_listed_and_can_be_caught_up() {
    let mut world = World::new(plan("{}", 5));
    let first = world.order()[0].clone();
    let n = number(&first);
    world.disconnect(n);
    world.pass(Span::from_secs(60));
    world.run(|host, _| if host == n { OpResult::Cancelled } else { OpResult::Done });
    assert_eq!(world.report().state, State::Ended(Verdict::Succeeded));
    assert_eq!(world.report().totals.unreachable, 1);
    let catch_up = planning::catch_up(&world.rollout, std::slice::from_ref(&first));
    assert_eq!(catch_up.waves[0].hosts, [first]);
}

#[test]
fn too_many_unreachable_hosts_pause_and_never_roll_back() {
    let mut world = World::new(plan(r#"{ "max_unreachable": 1 }"#, 5));
    for n in 2..=4 {
        world.disconnect(n);
    }
    world.pass(Span::from_secs(60));
    let why = PauseWhy::Unreachable { unreachable: 3, tolerated: 1 };
    assert_eq!(world.report().state, State::Paused(why));
    assert!(!world.facts().any(|f| matches!(f, Fact::BudgetSpent { .. })));
}

#[test]
fn min_available_is_asked_before_every_command() {
    let mut world = World::new(plan(r#"{ "min_available": 4, "max_parallel": 3 }"#, 5));
    assert_eq!(world.report().totals.working, 3, "a pull takes nothing from the fleet");
    let second = world.rollout.plan().waves[0].hosts[1].clone();
    // One falls ill while the three pull: no other may be taken out, but it may itself be worked on.
    world.turn(vec![Event::Health { host: second.clone(), good: false, why: None }]);
    let verify = |op: &Operation| matches!(op, Operation::Verify { .. });
    for _ in 0..20 {
        (1..=5).for_each(|n| {
            let next = world.agents[&host(n)].inbox.values().next().map(|c| c.operation.clone());
            if next.is_some_and(|op| !verify(&op)) {
                world.carry_out(n, |_| OpResult::Done);
            }
        });
    }
    let out = world.agents.iter().filter(|(_, a)| a.inbox.values().any(|c| verify(&c.operation)));
    assert_eq!(out.map(|(name, _)| name).collect::<Vec<_>>(), [&second]);
    // It is well again: there is room for one at a time.
    world.run(done);
    assert_eq!(world.report().state, State::Ended(Verdict::Succeeded));
}

#[test]
fn a_host_whose_restart_failed_does_not_serve_until_its_probes_are_asked_anew() {
    let strategy = r#"{ "min_available": 2, "max_parallel": 1, "max_failures": 2 }"#;
    let mut world = World::new(plan(strategy, 3));
    for n in 1..=3 {
        world.turn(vec![Event::Health { host: host(n), good: true, why: None }]);
    }
    let n = number(&world.order()[0]);
    while world.phase(n) == Phase::Working {
        let fails = |op: &Operation| match op.disrupts() {
            true => OpResult::Failed("it does not start".to_owned()),
            false => OpResult::Done,
        };
        world.carry_out(n, fails);
    }
    assert_eq!(world.phase(n), Phase::Failed);
    for other in (1..=3).filter(|&other| other != n) {
        while world.carry_out(other, |_| OpResult::Done) {}
    }
    let available = world.report().totals.available;
    assert_eq!(
        available, 2,
        "the probes of the host that failed said that it is well before it did"
    );
    assert_eq!(world.report().totals.healthy, 0, "no other may be taken out");
    world.turn(vec![Event::Health { host: host(n), good: true, why: None }]);
    world.run(done);
    assert_eq!(world.report().totals.healthy, 2);
}

#[test]
fn a_silent_agent_is_a_failed_host() {
    let mut world = World::new(plan("{}", 2));
    world.pass(Span::from_secs(600));
    assert_eq!(world.report().state, State::Paused(PauseWhy::NoProgress));
    world.pass(Span::from_secs(31));
    assert_eq!(world.rollout.ended(), Some((Verdict::Failed, false)), "nothing was touched");
}

#[test]
fn abort_calls_off_what_is_under_way_and_leaves_the_rest() {
    let mut world = World::new(plan("{}", 3));
    world.carry_out_all_but_verify();
    world.operator(Verb::Abort).unwrap();
    let n = number(&world.order()[0]);
    world.report_outcomes(n);
    assert_eq!(world.rollout.ended(), Some((Verdict::Aborted, false)));
    assert_eq!(world.phase(n), Phase::Stopped);
    assert_eq!(world.report().totals.pending, 2);
}

#[test]
fn a_rollback_can_be_aborted_but_not_rolled_back() {
    let mut world = World::new(plan("{}", 2));
    world.run(done);
    let mut back = World::new(reverse(&world.rollout, &[], false));
    let why = back.operator(Verb::Rollback).unwrap_err();
    assert!(why.contains("never rolled back"), "{why}");
    back.operator(Verb::Abort).unwrap();
}

#[test]
fn a_rollback_that_leaves_a_host_behind_has_failed() {
    let mut world = World::new(plan("{}", 3));
    world.run(done);
    let mut back = World::new(reverse(&world.rollout, &[], false));
    back.run(|n, op| if n == 1 { unready(op) } else { OpResult::Done });
    assert_eq!(back.rollout.ended(), Some((Verdict::Failed, false)));
    assert_eq!(back.report().totals.healthy, 2, "the others go back all the same");
}

#[test]
fn a_crash_between_any_two_records_changes_nothing() {
    let mut calm = World::new(plan(r#"{ "max_parallel": 2 }"#, 4));
    calm.run(done);
    let mut world = World::new(plan(r#"{ "max_parallel": 2 }"#, 4));
    for _ in 0..100 {
        world.crash();
        for n in 1..=4 {
            world.connect(n);
        }
        if !(1..=4).any(|n| world.carry_out(n, |_| OpResult::Done)) {
            break;
        }
    }
    assert_eq!(world.report().state, calm.report().state);
    assert_eq!(world.report().totals, calm.report().totals);
    let executed = |w: &World| w.agents.values().map(|a| a.executed.len()).sum::<usize>();
    assert_eq!(executed(&world), executed(&calm), "no operation was done twice, none left out");
}

#[test]
fn a_plan_says_what_is_wrong_with_it() {
    let manifest = manifest("{}");
    let version = "v2".parse().unwrap();
    let errors = |facts: &[dv_types::HostFacts]| {
        let plan = planning::forward(&manifest, &version, facts, &planning::Asked::default());
        plan.errors().map(|n| n.text.clone()).collect::<Vec<_>>().join("\n")
    };
    assert!(errors(&[]).contains("no host"), "{}", errors(&[]));
    let mut named = manifest.clone();
    named.hosts.names = vec![host(1), host(9)];
    let plan =
        planning::forward(&named, &version, &facts(&manifest, 1), &planning::Asked::default());
    assert!(plan.errors().any(|n| n.text.contains("h9")), "{:?}", plan.notes);
    let mut away = facts(&manifest, 5);
    away.iter_mut().for_each(|h| (h.connected, h.findings) = (false, Vec::new()));
    assert!(errors(&away).contains("none of the hosts is in contact"), "{}", errors(&away));
    let mut refused = facts(&manifest, 5);
    refused[1].findings[0].1 = dv_types::Finding::Refused("not in `images`".to_owned());
    assert!(errors(&refused).contains("refuses image"), "{}", errors(&refused));
    let mut unknown = facts(&manifest, 1);
    unknown[0].findings[0].1 = dv_types::Finding::NotFound("manifest unknown".to_owned());
    assert!(
        errors(&unknown).contains("has no image registry:5000/debvisor:v2"),
        "{}",
        errors(&unknown)
    );
}

impl World {
    /// The host under way has done all but its verification.
    fn carry_out_all_but_verify(&mut self) {
        let n = number(&self.order()[0]);
        for _ in 0..3 {
            assert!(self.carry_out(n, |_| OpResult::Done), "{:#?}", self.agents[&host(n)]);
        }
    }
}

#[test]
fn a_long_reason_is_told_in_short_as_the_hosts() {
    let mut world = World::new(plan("{}", 1));
    world.run(|_, _| OpResult::Failed("é".repeat(5000)));
    let why = world.facts().find_map(|fact| match fact {
        Fact::HostFailed { why, .. } => Some(why.clone()),
        _ => None,
    });
    let why = why.unwrap();
    assert!(why.len() < 1300 && why.ends_with("é…"), "{} bytes: {why}", why.len());
}

#[test]
fn an_agent_that_only_dials_anew_makes_no_record_unless_it_is_waited_for() {
    let mut world = World::new(plan(r#"{ "max_parallel": 1 }"#, 2));
    let again = |n| Event::Connected { host: host(n), enrolled: Timestamp::MIN };
    let records = world.journal.len();
    let pending = world.report().hosts.into_iter().find(|host| host.phase == Phase::Pending);
    let pending = number(&pending.unwrap().name);
    world.turn(vec![again(pending), again(pending)]);
    assert_eq!(world.journal.len(), records);
    // The time that one has for its answer begins anew.
    let hosts = world.report().hosts;
    let working = hosts.iter().find(|host| host.phase == Phase::Working).unwrap();
    world.turn(vec![again(number(&working.name))]);
    assert_eq!(world.journal.len(), records + 1);
}

#[test]
fn it_rests_where_a_person_decides_and_nothing_is_under_way() {
    let mut world = World::new(plan(r#"{ "max_parallel": 1 }"#, 3));
    assert!(!world.rollout.rests());
    world.operator(Verb::Pause).unwrap();
    assert!(!world.rollout.rests(), "the first goes on to its end");
    world.run(done);
    assert!(world.rollout.rests(), "{:#?}", world.report());
    // One that was healthy and turns bad is waited for, and that ends by itself.
    let hosts = world.report().hosts;
    let healthy = hosts.iter().find(|host| host.phase == Phase::Healthy).unwrap();
    let turned = |good| Event::Health { host: healthy.name.clone(), good, why: None };
    world.turn(vec![turned(false)]);
    assert!(!world.rollout.rests());
    world.turn(vec![turned(true)]);
    world.pass(Span::from_secs(600));
    assert!(world.rollout.rests(), "{:#?}", world.report());
    world.operator(Verb::Resume).unwrap();
    assert!(!world.rollout.rests());
}

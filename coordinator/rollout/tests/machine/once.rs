//! What happens once: exactly one time, wherever it runs and whatever is lost meanwhile.

use dv_rollout::Event;
use dv_types::{
    Fact, HostName, OpResult, Operation, Span, WaitingOn,
    record::{Condemner, PauseWhy, Verb, Verdict},
    report::{OnceState, Phase, State},
};
use serde_json::{Value, json};

use crate::{
    playbook::{HELPER, backup, compose, done, failed, image, migrate, plan_of, run_once, steps},
    world::{World, host, number},
};

/// `lost_after` of a manifest that says nothing.
const LOST_AFTER: Span = Span::from_secs(60);

fn is_backup(operation: &Operation) -> bool {
    matches!(operation, Operation::Backup { .. })
}

fn is_migrate(operation: &Operation) -> bool {
    matches!(operation, Operation::Migrate { .. })
}

fn world(strategy: &Value, on: &Value) -> World {
    World::new(plan_of(strategy, steps(on), Value::Null, 6))
}

fn assert_done_once(world: &World) {
    assert_eq!(world.report().state, State::Ended(Verdict::Succeeded), "{:#?}", world.report());
    assert_eq!((world.carried_out(is_backup), world.carried_out(is_migrate)), (1, 1));
    assert_eq!((world.told("backup").len(), world.told("migrate").len()), (1, 1));
    assert_eq!(world.report().totals.healthy, 6);
}

/// Where a step that happens once may be said to run, and where it then does.
fn places() -> Vec<(Value, Option<HostName>)> {
    vec![
        (json!({}), None),
        (json!({ "host": "h4" }), Some(host(4))),
        (json!({ "host": "h90" }), Some(host(HELPER))),
        (json!({ "labels": { "role": "db" } }), Some(host(HELPER))),
        (json!({ "labels": { "role": "old" } }), Some(host(1))),
    ]
}

fn paces() -> [Value; 4] {
    [
        json!({}),
        json!({ "max_parallel": 6 }),
        json!({ "batches": [1, "50%", "100%"] }),
        json!({ "canary": 1, "max_parallel": 3, "auto_promote": true }),
    ]
}

#[test]
fn it_happens_once_wherever_it_runs_and_however_many_hosts_go_at_once() {
    for (on, place) in places() {
        for pace in paces() {
            let mut world = world(&pace, &on);
            let first = world.rollout.plan().waves[0].hosts[0].clone();
            world.run(done);
            assert_done_once(&world);
            let expected = [place.clone().unwrap_or(first)];
            assert_eq!(world.told("backup"), expected, "{on} {pace}");
            let migrated = world.told("migrate");
            if place.is_some() {
                assert_eq!(migrated, expected, "{on} {pace}");
            }
        }
    }
}

#[test]
fn the_first_in_contact_of_several_does_it() {
    let mut world = World::unstarted(plan_of(
        &json!({}),
        steps(&json!({ "labels": { "role": "old" } })),
        Value::Null,
        6,
    ));
    let start = Event::Start { by: "alice".to_owned(), reason: None, overrides: Vec::new() };
    world.turn(vec![start]);
    for n in 2..=6 {
        world.connect(n);
    }
    assert_eq!(world.told("backup"), [host(2)]);
}

#[test]
fn nobody_passes_while_no_host_that_may_do_it_is_in_contact() {
    let mut world = world(&json!({ "max_parallel": 6 }), &json!({ "host": "h90" }));
    assert_eq!(world.up_to("backup"), HELPER);
    assert!(world.carry_out(HELPER, |_| OpResult::Done));
    world.disconnect(HELPER);
    world.run(done);
    // Every host is before the migrations, and none beyond.
    let nobody = WaitingOn::Once { once: "migrate".to_owned(), host: None };
    assert!(world.report().waiting.contains(&nobody), "{:?}", world.report().waiting);
    assert!(world.report().hosts.iter().all(|h| h.waiting == Some(nobody.clone())));
    assert_eq!(world.carried_out(|op| matches!(op, Operation::ComposeUp { .. })), 0);
    assert_eq!(nobody.to_string(), "a host in contact that may do migrate");
    // It waits for the host, and after progress_deadline for a person, too.
    world.pass(Span::from_secs(3600));
    assert_eq!(world.paused(), PauseWhy::NoProgress);
    world.connect(HELPER);
    assert_eq!(world.told("migrate"), []);
    world.operator(Verb::Resume).unwrap();
    world.run(done);
    assert_done_once(&world);
}

type Disturbance = (&'static str, fn(&mut World));

/// What may happen right before, during and right after it.
fn disturbances() -> Vec<Disturbance> {
    vec![
        ("a crash", |world| {
            world.crash();
            world.reconnect();
        }),
        ("two crashes", |world| {
            world.crash();
            world.crash();
            world.reconnect();
        }),
        ("a person pauses and resumes", |world| {
            world.operator(Verb::Pause).unwrap();
            world.crash();
            world.reconnect();
            world.operator(Verb::Resume).unwrap();
        }),
        ("every agent comes back", |world| {
            let hosts: Vec<_> = world.agents.keys().map(number).collect();
            for n in hosts {
                world.disconnect(n);
                world.connect(n);
                world.connect(n);
            }
        }),
        ("outcomes come twice", |world| {
            let known: Vec<_> = world
                .agents
                .iter()
                .flat_map(|(name, agent)| {
                    agent.outcomes.values().map(|o| (name.clone(), o.clone()))
                })
                .collect();
            for (host, outcome) in known {
                world.turn(vec![Event::Outcome { host, outcome }]);
            }
        }),
    ]
}

#[test]
fn it_happens_once_whatever_happens_right_before_during_and_after_it() {
    for (on, _) in places() {
        for (what, disturb) in disturbances() {
            for name in ["backup", "migrate"] {
                // Before: nothing has been begun yet, or its host is at the operation in front of it.
                let mut world = world(&json!({ "max_parallel": 2 }), &on);
                if name == "migrate" {
                    world.up_to("backup");
                    world.run_until(|world| world.stands("backup") == OnceState::Done);
                }
                disturb(&mut world);
                let n = world.up_to(name);
                // During: told, and not carried out.
                disturb(&mut world);
                // During: carried out, and not heard of.
                world.agents.get_mut(&host(n)).unwrap().connected = false;
                assert!(world.carry_out(n, |_| OpResult::Done), "{what} {on}");
                world.crash();
                world.reconnect();
                assert_eq!(world.stands(name), OnceState::Done, "{what} {on}");
                disturb(&mut world);
                world.run(done);
                assert_done_once(&world);
            }
        }
    }
}

#[test]
fn a_host_that_is_tried_again_does_not_do_it_again() {
    let mut world =
        world(&json!({ "on_failure": "pause", "max_parallel": 1, "batches": [1] }), &json!({}));
    world.run(|_, op| match op {
        Operation::Verify { .. } => failed(),
        _ => OpResult::Done,
    });
    let first = number(&world.order()[0]);
    assert_eq!(world.phase(first), Phase::Failed);
    world.operator(Verb::Retry { host: host(first) }).unwrap();
    world.operator(Verb::Resume).unwrap();
    world.run(done);
    assert_done_once(&world);
}

#[test]
fn its_host_vanishes_and_nobody_knows() {
    for (on, _) in places() {
        let mut world = world(&json!({ "max_unreachable": "100%" }), &on);
        let n = world.up_to("migrate");
        world.disconnect(n);
        world.pass(LOST_AFTER);
        let PauseWhy::OnceUnknown { once, known } = world.paused() else { panic!() };
        assert_eq!(once, "migrate");
        assert!(known.starts_with(&format!("h{n} was told at ")), "{known}");
        assert!(known.contains("not in contact since"), "{known}");
        assert_eq!(world.stands("migrate"), OnceState::Unknown);
        let why = world.operator(Verb::Resume).unwrap_err();
        assert!(why.contains("dvctl rollout resolve r7 migrate --as done|not-done"), "{why}");
        // Neither time nor a new coordinator sends it again.
        world.pass(Span::from_secs(7200));
        world.crash();
        world.pass(Span::from_secs(7200));
        assert_eq!(world.told("migrate").len(), 1);
        assert_eq!(world.report().waiting[0], WaitingOn::Resume { why: world.paused() });
        // It is back and says what became of it: nobody needs to say anything.
        world.carry_out(n, |_| OpResult::Done);
        world.reconnect();
        assert_eq!(world.stands("migrate"), OnceState::Done);
        world.run(done);
        assert_done_once(&world);
    }
}

/// A new machine has the host's name: what the old one did, it does not know, and would do it again.
#[test]
fn its_host_is_made_anew_and_nobody_knows() {
    for (on, _) in places() {
        let mut world = world(&json!({}), &on);
        let n = world.up_to("migrate");
        world.pass(Span::from_secs(1));
        world.disconnect(n);
        world.replace(n);
        let PauseWhy::OnceUnknown { once, known } = world.paused() else { panic!() };
        assert_eq!(once, "migrate");
        assert!(known.contains("and has enrolled anew at "), "{known}");
        assert!(world.agents[&host(n)].inbox.is_empty(), "it is not told");
        // Nor by a new coordinator.
        world.crash();
        world.reconnect();
        world.pass(Span::from_secs(7200));
        assert!(world.agents[&host(n)].inbox.is_empty(), "it is not told");
        assert_eq!(world.told("migrate").len(), 1);
        world.resolve("migrate", true).unwrap();
        world.run(done);
        assert_eq!(world.report().state, State::Ended(Verdict::Succeeded));
        assert_eq!((world.carried_out(is_migrate), world.told("migrate").len()), (0, 1));
    }
}

/// The connection was lost and is back, and the migration goes on all the while.
#[test]
fn a_host_in_the_middle_of_it_is_not_told_to_stop() {
    let mut world = world(&json!({}), &json!({ "host": "h90" }));
    let n = world.up_to("migrate");
    world.disconnect(n);
    world.pass(LOST_AFTER);
    world.connect(n);
    assert_eq!(world.cancelled.len(), 0, "nobody knows: it may be in the middle");
    assert_eq!(world.stands("migrate"), OnceState::Unknown);
    world.run(done);
    assert_done_once(&world);
}

#[test]
fn a_person_says_that_it_was_done() {
    let mut world = world(&json!({}), &json!({ "host": "h90" }));
    let n = world.up_to("backup");
    world.disconnect(n);
    world.pass(LOST_AFTER);
    world.resolve("backup", true).unwrap();
    assert_eq!(world.once("backup").resolved_by.as_deref(), Some("alice"));
    world.connect(n);
    assert_eq!(world.cancelled.len(), 1, "what was not begun is not begun any more");
    world.report_outcomes(n);
    world.run(done);
    assert_eq!(world.report().state, State::Ended(Verdict::Succeeded));
    assert_eq!((world.carried_out(is_backup), world.told("backup").len()), (0, 1));
    let why = world.resolve("backup", true).unwrap_err();
    assert!(why.contains("has succeeded"), "{why}");
}

#[test]
fn a_person_says_that_it_was_not_done() {
    let mut world = world(&json!({}), &json!({ "labels": { "role": "old" } }));
    assert_eq!(world.up_to("backup"), 1);
    world.disconnect(1);
    world.pass(LOST_AFTER);
    world.resolve("backup", false).unwrap();
    // A new number, on the next host that may.
    assert_eq!(world.told("backup"), [host(1), host(2)]);
    assert!(world.carry_out(2, |_| OpResult::Done));
    world.connect(1);
    let old = world
        .facts()
        .find_map(|fact| match fact {
            Fact::OnceCommanded { command, .. } => Some(*command),
            _ => None,
        })
        .unwrap();
    assert!(world.cancelled.contains(&old), "the old host is told to let it be");
    world.report_outcomes(1);
    assert!(world.agents[&host(1)].unacknowledged.is_empty());
    world.run(done);
    assert_eq!(world.report().state, State::Ended(Verdict::Succeeded));
    assert_eq!(world.carried_out(is_backup), 1);
}

#[test]
fn a_late_outcome_is_kept_and_changes_nothing_that_a_person_said() {
    for (late, resolved_as) in
        [(OpResult::Done, false), (failed(), true), (OpResult::Done, true), (failed(), false)]
    {
        let mut world = world(&json!({}), &json!({ "labels": { "role": "old" } }));
        assert_eq!(world.up_to("migrate"), 1);
        world.disconnect(1);
        world.pass(LOST_AFTER);
        world.resolve("migrate", resolved_as).unwrap();
        let stands = world.stands("migrate");
        let kept = |world: &World| {
            world.facts().filter(|f| matches!(f, Fact::OnceReported { once: 1, .. })).count()
        };
        assert_eq!(kept(&world), 0);
        // It had carried it out before it could hear that it need not.
        assert!(world.carry_out(1, |_| late.clone()));
        world.connect(1);
        assert_eq!(kept(&world), 1);
        assert!(world.agents[&host(1)].unacknowledged.is_empty(), "it is acknowledged");
        assert_eq!(world.stands("migrate"), stands, "{late:?} after {resolved_as}");
        assert_eq!(world.report().state, State::Running);
    }
}

/// An agent in contact that does not answer within its time limit and some grace.
#[test]
fn a_silent_agent_is_no_answer_either() {
    let mut world = world(&json!({}), &json!({ "host": "h90" }));
    world.up_to("backup");
    world.pass(Span::from_secs(3600));
    assert_eq!(world.report().state, State::Running);
    world.pass(Span::from_secs(30));
    let PauseWhy::OnceUnknown { known, .. } = world.paused() else { panic!() };
    assert!(known.ends_with("and has not answered by its time limit"), "{known}");
    world.resolve("backup", false).unwrap();
    assert_eq!(world.cancelled.len(), 1, "it is in contact, and told at once");
    assert_eq!(world.told("backup").len(), 2);
    world.report_outcomes(HELPER);
    world.run(done);
    assert_done_once_of_two(&world);
}

fn assert_done_once_of_two(world: &World) {
    assert_eq!(world.report().state, State::Ended(Verdict::Succeeded));
    assert_eq!((world.carried_out(is_backup), world.told("backup").len()), (1, 2));
}

#[test]
fn an_agent_that_cant_tell_is_asked_for_by_the_rollout() {
    let mut world = world(&json!({}), &json!({}));
    let n = world.up_to("backup");
    world.carry_out(n, |_| OpResult::Unknown("the agent died".to_owned()));
    assert!(matches!(world.paused(), PauseWhy::OnceUnknown { .. }));
    world.resolve("backup", true).unwrap();
    world.run(done);
    assert_done_once(&world);
}

/// Nobody called it off, and yet it says so: it is not begun again by itself.
#[test]
fn what_says_that_it_was_called_off_is_asked_about() {
    let mut world = world(&json!({ "on_failure": "pause" }), &json!({}));
    let n = world.up_to("backup");
    world.carry_out(n, |_| OpResult::Cancelled);
    assert!(matches!(world.paused(), PauseWhy::Condemned { .. }));
    assert_eq!(world.told("backup").len(), 1);
}

#[test]
fn a_verb_in_the_middle_of_it_ends_it_and_never_hangs() {
    // The agent: in contact and obedient, gone, or in contact and silent.
    for agent in ["obeys", "gone", "silent"] {
        for verb in [Verb::Abort, Verb::Rollback] {
            for name in ["backup", "migrate"] {
                let mut world = world(&json!({}), &json!({ "host": "h90" }));
                world.up_to(name);
                match agent {
                    "gone" => world.disconnect(HELPER),
                    "silent" => world.agents.get_mut(&host(HELPER)).unwrap().inbox.clear(),
                    _ => {}
                }
                world.operator(verb.clone()).unwrap();
                world.run(done);
                world.report_outcomes(HELPER);
                for _ in 0..3 {
                    world.pass(LOST_AFTER);
                }
                let (verdict, _) = world.rollout.ended().expect("it ends");
                assert_eq!(verdict, Verdict::Aborted);
                let expected = match agent {
                    "obeys" => OnceState::Pending,
                    _ => OnceState::Unknown,
                };
                assert_eq!(world.stands(name), expected, "{agent} {verb} {name}");
            }
        }
    }
}

/// After the end nothing is taken in: what was done to the database is waited for, for a while.
#[test]
fn the_end_waits_for_a_lost_migration_and_not_for_a_lost_backup() {
    let mut world = world(&json!({}), &json!({ "host": "h90" }));
    world.up_to("backup");
    world.disconnect(HELPER);
    world.operator(Verb::Abort).unwrap();
    assert!(world.rollout.ended().is_some());

    let mut world = self::world(&json!({}), &json!({ "host": "h90" }));
    world.up_to("migrate");
    world.disconnect(HELPER);
    world.carry_out(HELPER, |_| OpResult::Done);
    world.operator(Verb::Abort).unwrap();
    assert_eq!(world.report().state, State::Ending(Verdict::Aborted));
    world.crash();
    assert_eq!(world.report().state, State::Ending(Verdict::Aborted));
    world.connect(HELPER);
    assert_eq!(world.stands("migrate"), OnceState::Done);
    assert_eq!(world.report().state, State::Ended(Verdict::Aborted));
}

#[test]
fn verbs_while_it_is_under_way_unknown_and_failed() {
    let mut world = world(&json!({ "on_failure": "pause" }), &json!({ "host": "h90" }));
    let why = world.resolve("migrate", true).unwrap_err();
    assert!(why.contains("has not begun"), "{why}");
    let why = world.resolve("nothing", true).unwrap_err();
    assert!(why.contains("it does backup, migrate"), "{why}");
    let why = world.resolve("backup", true).unwrap_err();
    assert!(why.contains("under way on h90"), "{why}");
    // Paused and resumed under way: nothing is sent again.
    world.operator(Verb::Pause).unwrap();
    world.operator(Verb::Resume).unwrap();
    assert_eq!(world.told("backup").len(), 1);
    world.carry_out(HELPER, |_| failed());
    let condemned = PauseWhy::Condemned {
        by: Condemner::Once { once: "backup".to_owned() },
        why: "back up: /bin/backup ${rollout} failed: it broke".to_owned(),
    };
    assert_eq!(world.paused(), condemned);
    assert!(world.operator(Verb::Resume).is_err(), "a failed backup is not accepted by going on");
    world.resolve("backup", false).unwrap();
    assert_eq!(world.told("backup").len(), 2);
    world.carry_out(HELPER, |_| failed());
    world.resolve("backup", true).unwrap();
    let why = world.resolve("backup", true).unwrap_err();
    assert!(why.contains("is done"), "{why}");
    world.run(done);
    assert_eq!(world.report().state, State::Ended(Verdict::Succeeded));
    assert_eq!(world.told("migrate").len(), 1);
}

/// While a person has paused it, what is known to be bad is acted on all the same.
#[test]
fn a_backup_that_fails_while_it_is_paused_ends_the_rollout() {
    let mut world = world(&json!({}), &json!({}));
    let n = world.up_to("backup");
    world.operator(Verb::Pause).unwrap();
    world.carry_out(n, |_| failed());
    assert_eq!(world.rollout.ended(), Some((Verdict::Failed, false)));
}

#[test]
fn without_a_backup_no_host_is_touched() {
    for result in
        [failed(), OpResult::Refused("policy".to_owned()), OpResult::TimedOut("1h".to_owned())]
    {
        for (on, _) in places() {
            let mut world = world(&json!({ "max_parallel": 6 }), &on);
            world.run(|_, op| if is_backup(op) { result.clone() } else { OpResult::Done });
            assert_eq!(world.rollout.ended(), Some((Verdict::Failed, false)));
            assert_eq!((world.report().totals.touched, world.order()), (0, Vec::new()));
            assert_eq!(world.carried_out(is_migrate), 0);
        }
    }
}

#[test]
fn a_step_behind_the_last_operation_happens_at_the_end() {
    let steps = json!([image(), compose(), run_once(json!({}))]);
    let without_probes = json!({ "health": null });
    let mut world = World::new(plan_of(&json!({}), steps, without_probes, 3));
    world.run(done);
    assert_eq!(world.report().state, State::Ended(Verdict::Succeeded));
    let (_, last) = world.done.last().unwrap();
    assert!(matches!(last, Operation::Run { argv, .. } if *argv == ["/bin/announce", "r7"]));
    assert_eq!(world.told("run-3").len(), 1);
    assert!(world.report().hosts.iter().all(|h| h.phase == Phase::Healthy));
}

#[test]
fn steps_with_nothing_else_happen() {
    let steps = json!([run_once(json!({ "host": "h90" })), run_once(json!({}))]);
    let mut world = World::new(plan_of(&json!({}), steps, json!({ "health": null }), 3));
    world.run(done);
    assert_eq!(world.report().state, State::Ended(Verdict::Succeeded));
    assert_eq!((world.told("run-1"), world.told("run-2").len()), (vec![host(HELPER)], 1));
}

#[test]
fn hosts_before_a_barrier_go_on_while_it_is_done_elsewhere() {
    // The first host is at the migrations; the others still pull, and wait behind it.
    let mut world = world(&json!({ "max_parallel": 6 }), &json!({}));
    let n = world.up_to("migrate");
    let others: Vec<_> = (1..=6).filter(|&other| other != n).collect();
    for other in others {
        while world.carry_out(other, |_| OpResult::Done) {}
    }
    let host_is = Some(WaitingOn::Once { once: "migrate".to_owned(), host: Some(host(n)) });
    let hosts = world.report().hosts;
    assert_eq!(hosts.iter().filter(|h| h.waiting == host_is).count(), 6);
    world.run(done);
    assert_done_once(&world);
}

#[test]
fn a_rollout_that_lost_the_only_host_for_it_says_so_and_goes_on_with_it() {
    let mut world = world(&json!({ "max_unreachable": 1 }), &json!({ "host": "h4" }));
    world.up_to("backup");
    world.carry_out(4, |_| OpResult::Done);
    world.disconnect(4);
    world.run(done);
    world.pass(LOST_AFTER);
    assert_eq!(world.phase(4), Phase::Unreachable);
    let nobody = WaitingOn::Once { once: "migrate".to_owned(), host: None };
    assert_eq!(world.report().waiting, [nobody]);
    world.connect(4);
    world.run(done);
    assert_done_once(&world);
}

#[test]
fn a_smoke_test_runs_on_the_canary_and_at_the_end() {
    let smoke = json!({ "smoke": { "command": ["/bin/smoke"] } });
    let strategy = json!({ "canary": 1, "max_parallel": 5 });
    let mut world = World::new(plan_of(&strategy, json!([image(), compose()]), smoke, 6));
    world.run(done);
    let canary = world.rollout.plan().waves[0].hosts[0].clone();
    assert_eq!(world.told("smoke-canary"), [canary]);
    assert_eq!(world.report().state, State::AwaitingPromotion);
    world.operator(Verb::Promote).unwrap();
    world.run(done);
    assert_eq!(world.report().state, State::Ended(Verdict::Succeeded));
    assert_eq!(world.told("smoke").len(), 1);
}

#[test]
fn a_smoke_test_that_fails_takes_the_version_back() {
    let smoke = json!({ "smoke": { "command": ["/bin/smoke"] } });
    let is_smoke = |op: &Operation| matches!(op, Operation::Smoke { .. });
    let bad_smoke = |_: usize, op: &Operation| match op {
        Operation::Smoke { .. } => failed(),
        _ => OpResult::Done,
    };
    for (canary, touched) in [(1, 1), (0, 6)] {
        for on_failure in ["rollback", "pause", "continue"] {
            let strategy = json!({ "canary": canary, "max_parallel": 5, "on_failure": on_failure });
            let plan = plan_of(&strategy, json!([image(), compose()]), smoke.clone(), 6);
            let mut world = World::new(plan);
            world.run(bad_smoke);
            assert_eq!(world.report().totals.touched, touched);
            if on_failure == "rollback" {
                assert_eq!(world.rollout.ended(), Some((Verdict::Failed, true)));
                continue;
            }
            let name = if canary == 1 { "smoke-canary" } else { "smoke" };
            let by = Condemner::Once { once: name.to_owned() };
            let why = "smoke test: /bin/smoke failed: it broke".to_owned();
            assert_eq!(world.paused(), PauseWhy::Condemned { by, why });
            world.operator(Verb::Resume).unwrap();
            assert_eq!(world.once(name).resolved_by.as_deref(), Some("alice"));
            if canary == 1 {
                world.operator(Verb::Promote).unwrap();
            }
            world.run(done);
            assert_eq!(world.report().state, State::Ended(Verdict::Succeeded));
            assert_eq!(world.carried_out(is_smoke), 1 + canary, "it is accepted, not repeated");
        }
    }
}

/// Going on after a failed smoke test is no word on hosts that failed.
#[test]
fn going_on_accepts_only_what_it_paused_for() {
    let smoke = json!({ "smoke": { "command": ["/bin/smoke"] } });
    let strategy = json!({
        "canary": 3, "max_parallel": 3, "on_failure": "pause", "max_failures": 1,
    });
    let mut world = World::new(plan_of(&strategy, json!([image(), compose()]), smoke, 6));
    let canary = number(&world.rollout.plan().waves[0].hosts[0]);
    let result = move |n: usize, op: &Operation| match op {
        Operation::Smoke { .. } => failed(),
        Operation::Verify { .. } if n == canary => failed(),
        _ => OpResult::Done,
    };
    world.run(result);
    assert!(matches!(world.paused(), PauseWhy::Condemned { .. }));
    world.operator(Verb::Resume).unwrap();
    world.operator(Verb::Promote).unwrap();
    world.run(|_, op| match op {
        Operation::Verify { .. } => failed(),
        _ => OpResult::Done,
    });
    assert_eq!(world.paused(), PauseWhy::Failures { failed: 2, tolerated: 1 });
}

#[test]
fn catch_up_plans_have_the_gates_and_the_smoke_test_of_it() {
    let more = json!({
        "smoke": { "command": ["/bin/smoke"] },
        "gates": { "agent_version": "0.1.0" },
        "monitor": { "duration": "60s" },
    });
    let plan =
        plan_of(&json!({}), json!([backup(json!({})), migrate(json!({})), compose()]), more, 3);
    assert!(!plan.gates.is_empty() && plan.once.len() == 3 && plan.monitor.is_some());
    let of = World::unstarted(plan).rollout;
    let late = dv_rollout::planning::catch_up(&of, &[host(2)]);
    // Of what happens once, neither the backup nor the migrations.
    let once: Vec<_> = late.once.iter().map(|once| once.name.as_str()).collect();
    assert_eq!(
        (&*late.gates, &*once, late.monitor.is_none()),
        (&["agent_version".to_owned()][..], &["smoke"][..], true)
    );
    assert!(late.programs.iter().all(|program| program.barriers.is_empty()));
    let mut late = World::new(late);
    late.run(done);
    assert_eq!(late.report().totals.working + late.report().totals.healthy, 0, "the gate first");
    late.turn(vec![crate::playbook::answer("agent_version", dv_types::gate::Answer::Pass)]);
    late.run(done);
    assert_eq!(late.report().state, State::Ended(Verdict::Succeeded));
}

#[test]
fn late_hosts_follow_as_many_at_once_as_their_rollout_had() {
    let at_once = |strategy: Value, late: &[usize]| {
        let of = World::unstarted(plan_of(&strategy, json!([compose()]), json!({}), 8)).rollout;
        let late: Vec<_> = late.iter().map(|n| host(*n)).collect();
        dv_rollout::planning::catch_up(&of, &late).waves[0].max_parallel
    };
    assert_eq!(at_once(json!({}), &[1, 2, 3]), 1);
    assert_eq!(at_once(json!({ "max_parallel": 4 }), &[1, 2, 3, 4, 5]), 4);
    // A part of the service, not of those who are late.
    assert_eq!(at_once(json!({ "max_parallel": "50%" }), &[1, 2, 3, 4, 5]), 4);
    assert_eq!(at_once(json!({ "max_parallel": "50%" }), &[1, 2]), 2);
    assert_eq!(at_once(json!({ "max_parallel": 4, "min_available": 6 }), &[1, 2, 3, 4]), 2);
    // New hosts, more than there were.
    let new: Vec<_> = (11..31).collect();
    assert_eq!(at_once(json!({ "max_parallel": "50%" }), &new), 10);
}

#[test]
fn only_a_catch_up_makes_way() {
    let mut world = World::new(plan_of(&json!({}), json!([compose()]), json!({}), 3));
    world.operator(Verb::MakeWay).unwrap_err();
    let mut late = World::new(dv_rollout::planning::catch_up(&world.rollout, &[host(1), host(2)]));
    late.operator(Verb::MakeWay).unwrap();
    late.run(done);
    let report = late.report();
    assert_eq!((report.state, report.made_way), (State::Ended(Verdict::Aborted), true));
}

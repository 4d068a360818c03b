//! Migrations, and the way back: what follows by itself never touches the database.

use dv_rollout::planning;
use dv_types::{
    MigrationKind::{self, Expand, Irreversible, Reversible},
    OpResult, Operation, Plan, Schema, Span,
    operation::Head,
    plan::{Kind, Way, Wish},
    record::{Condemner, PauseWhy, Verb, Verdict},
    report::{OnceState, State},
};
use serde_json::{Value, json};

use crate::{
    playbook::{
        HELPER, backup, compose, done, failed, image, migrate, migrations, plan_of, run_once, steps,
    },
    world::{World, host},
};

const LOST_AFTER: Span = Span::from_secs(60);

fn unready(_: usize, op: &Operation) -> OpResult {
    match op {
        Operation::Verify { .. } => failed(),
        _ => OpResult::Done,
    }
}

fn by_person() -> Wish {
    Wish { by_person: true, ..Wish::default() }
}

fn way(world: &World, wish: Wish) -> Result<Way, String> {
    planning::way_back(&world.rollout, wish).map(|database| database.way)
}

fn plan(more: Value) -> Plan {
    plan_of(&json!({ "max_parallel": 3 }), steps(&json!({ "host": "h90" })), more, 3)
}

/// A rollout of these migrations that succeeded.
fn migrated(kinds: &[MigrationKind]) -> World {
    let mut world = World::pending(plan(Value::Null), kinds);
    world.run(done);
    assert_eq!(world.rollout.ended(), Some((Verdict::Succeeded, false)));
    assert_eq!(world.rollout.migrations(), migrations(kinds));
    world
}

fn back(world: &World, wish: Wish) -> Plan {
    let database = planning::way_back(&world.rollout, wish).unwrap();
    planning::reverse(&world.rollout, &[], wish.all_at_once, database)
}

#[test]
fn nothing_follows_by_itself_where_the_old_code_cant_run_on_the_schema() {
    type Case = (&'static [MigrationKind], bool);
    let cases: [Case; 6] = [
        (&[], true),
        (&[Expand], true),
        (&[Expand, Expand], true),
        (&[Reversible], false),
        (&[Expand, Irreversible], false),
        (&[Reversible, Expand], false),
    ];
    let smoke = json!({ "smoke": { "command": ["/bin/smoke"] } });
    let bad_smoke = |_: usize, op: &Operation| match op {
        Operation::Smoke { .. } => failed(),
        _ => OpResult::Done,
    };
    for (kinds, by_itself) in cases {
        for is_smoke in [false, true] {
            let mut world = World::pending(plan(smoke.clone()), kinds);
            if is_smoke {
                world.run(bad_smoke);
            } else {
                world.run(unready);
            }
            if by_itself {
                assert_eq!(world.rollout.ended(), Some((Verdict::Failed, true)), "{kinds:?}");
                assert_eq!(way(&world, Wish::default()), Ok(Way::Code));
                continue;
            }
            let PauseWhy::Migrated { migrations: named, because } = world.paused() else {
                panic!("{:?}", world.paused())
            };
            let forbid = migrations(kinds).into_iter().filter(|m| m.kind != Expand);
            assert_eq!(named, forbid.map(|m| m.to_string()).collect::<Vec<_>>());
            let expected = match is_smoke {
                true => "smoke failed: smoke test: /bin/smoke failed: it broke",
                false => "1 failed, and max_failures is 0",
            };
            assert_eq!(because, expected);
            assert!(way(&world, Wish::default()).is_err());
            // Nothing moves, and a person chooses: back,
            world.run(done);
            world.pass(Span::from_secs(7200));
            let back = World::replayed(&world);
            assert!(matches!(back.report().state, State::Paused(PauseWhy::Migrated { .. })));
            // or on.
            world.operator(Verb::Resume).unwrap();
            world.run(done);
            world.pass(Span::from_secs(1));
            assert!(world.report().ended.is_some(), "{:#?}", world.report());
        }
    }
}

impl World {
    /// What a new coordinator finds.
    fn replayed(of: &Self) -> dv_rollout::Rollout {
        let plan = std::sync::Arc::clone(of.rollout.plan());
        dv_rollout::Rollout::replay(of.rollout.id(), plan, &of.journal).unwrap()
    }
}

#[test]
fn a_bad_host_pauses_it_too_while_the_fleet_is_watched() {
    let monitor = json!({ "monitor": { "duration": "600s", "min_requests": 0 } });
    let mut world = World::pending(plan(monitor), &[Irreversible]);
    world.run(done);
    assert!(world.sampling);
    let bad = dv_rollout::Event::Health { host: host(1), good: false, why: None };
    world.turn(vec![bad]);
    // The window ends while it is held for the host: it is judged all the same, and no deadline stays behind.
    for _ in 0..70 {
        world.pass(Span::from_secs(10));
        let deadline = world.rollout.next_deadline();
        assert!(deadline.is_none_or(|at| at > world.now), "{deadline:?} at {}", world.now);
    }
    assert!(matches!(world.paused(), PauseWhy::Migrated { .. }), "{:?}", world.paused());
    assert!(world.report().monitor[0].judgement.is_some() && !world.sampling);
}

#[test]
fn the_monitor_is_judged_while_a_person_has_paused() {
    let monitor = json!({ "monitor": { "duration": "60s", "min_requests": 0 } });
    let mut world = World::pending(plan(monitor), &[]);
    world.run(done);
    world.operator(Verb::Pause).unwrap();
    world.pass(Span::from_secs(60));
    assert!(world.report().monitor[0].judgement.is_some() && !world.sampling);
    assert_eq!(world.paused(), PauseWhy::Operator);
    // Nothing was seen, which the monitor says now, and a person accepts.
    world.operator(Verb::Resume).unwrap();
    assert!(matches!(world.paused(), PauseWhy::Inconclusive { .. }), "{:?}", world.paused());
    world.operator(Verb::Resume).unwrap();
    assert_eq!(world.report().state, State::Ended(Verdict::Succeeded));
}

#[test]
fn migrations_that_fail_half_way_are_known_by_what_they_did() {
    for (kinds, after, ended) in [
        // Nothing was applied, or nothing that the old code minds.
        (vec![Reversible, Expand], 0, true),
        (vec![Expand, Reversible], 1, true),
        (vec![Reversible, Expand], 1, false),
    ] {
        let mut world = World::pending(plan(Value::Null), &kinds);
        world.database.fails_after = after;
        world.run(|_, op| match op {
            Operation::Migrate { .. } => failed(),
            _ => OpResult::Done,
        });
        assert_eq!(world.rollout.migrations(), migrations(&kinds[..after]));
        assert_eq!(world.report().migrations, migrations(&kinds[..after]));
        if ended {
            let (verdict, _) = world.rollout.ended().expect("it ends");
            assert_eq!(verdict, Verdict::Failed);
            continue;
        }
        assert!(matches!(world.paused(), PauseWhy::Migrated { .. }), "{:?}", world.paused());
        assert!(world.operator(Verb::Resume).is_err());
        // It was mended, and is tried again: what is left is applied.
        world.resolve("migrate", false).unwrap();
        assert_eq!(world.report().state, State::Running, "{:#?}", world.report());
        world.run(done);
        assert_eq!(world.report().state, State::Ended(Verdict::Succeeded));
        assert_eq!(world.rollout.migrations(), migrations(&kinds));
        // All of them go back, the first as well as the second run's.
        let Ok(Way::Downgrade { migrations }) = way(&world, by_person()) else { panic!() };
        assert_eq!(migrations.len(), 2);
    }
}

#[test]
fn where_nobody_knows_nothing_follows_by_itself() {
    let mut world = World::pending(plan(Value::Null), &[Expand]);
    world.up_to("migrate");
    world.disconnect(HELPER);
    world.pass(LOST_AFTER);
    let why = way(&world, by_person()).unwrap_err();
    assert!(why.starts_with("nobody knows what the migrations of r7 did"), "{why}");
    assert!(why.contains("rollout resolve"), "{why}");
    // What has ended can't be resolved, and nobody is told to try.
    let mut ended = World::pending(plan(Value::Null), &[Expand]);
    ended.up_to("migrate");
    ended.disconnect(HELPER);
    ended.pass(LOST_AFTER);
    ended.operator(Verb::Abort).unwrap();
    // The host may still come back with its outcome.
    ended.pass(LOST_AFTER);
    assert!(ended.rollout.is_ended(), "{:?}", ended.report().state);
    let why = way(&ended, by_person()).unwrap_err();
    assert!(why.contains("then use `--restore-backup`") && !why.contains("resolve"), "{why}");
    // A person says that they were applied, and not which: the next failure pauses.
    world.resolve("migrate", true).unwrap();
    world.run(unready);
    let PauseWhy::Migrated { migrations, .. } = world.paused() else { panic!() };
    assert_eq!(migrations, ["migrations that nobody knows the end of"]);
    // Its host is back and tells: now it is known.
    world.operator(Verb::Rollback).unwrap();
    assert_eq!(world.rollout.ended(), Some((Verdict::Aborted, true)));
    assert!(way(&world, by_person()).is_err());
    assert_eq!(way(&world, Wish { code_only: true, ..by_person() }), Ok(Way::Code));
}

#[test]
fn who_says_that_it_was_not_done_is_believed() {
    let mut world = World::pending(plan(Value::Null), &[Expand]);
    world.up_to("migrate");
    world.disconnect(HELPER);
    world.pass(LOST_AFTER);
    world.operator(Verb::Pause).unwrap_err();
    world.resolve("migrate", false).unwrap();
    world.operator(Verb::Abort).unwrap();
    assert_eq!(way(&world, by_person()), Ok(Way::Code));

    // Unless its host says otherwise: what it says of the schema counts.
    let mut world = World::pending(plan(Value::Null), &[Reversible]);
    world.up_to("migrate");
    world.disconnect(HELPER);
    world.pass(LOST_AFTER);
    world.resolve("migrate", false).unwrap();
    world.carry_out(HELPER, |_| OpResult::Done);
    world.connect(HELPER);
    assert_eq!(world.rollout.migrations(), migrations(&[Reversible]));
    world.run(unready);
    assert!(matches!(world.paused(), PauseWhy::Migrated { .. }));
}

/// A run of the migrations of which nobody hears how far it came.
fn unheard(op: &Operation) -> OpResult {
    match op {
        Operation::Migrate { .. } => OpResult::Unknown("the agent died".to_owned()),
        _ => OpResult::Done,
    }
}

/// A rollout whose first run came so far unheard; a person says that it was not done, and so many more are committed
/// late. The second run applies what is left, and then a host fails.
fn begun_twice(mut world: World, first: usize, late: usize) -> World {
    world.up_to("migrate");
    world.database.fails_after = first;
    world.carry_out(HELPER, unheard);
    assert!(matches!(world.paused(), PauseWhy::OnceUnknown { .. }), "{:?}", world.paused());
    world.resolve("migrate", false).unwrap();
    world.commit_late(late);
    world.run(unready);
    assert_eq!(world.stands("migrate"), OnceState::Done);
    assert_eq!(world.database.pending, []);
    world
}

impl World {
    /// A statement whose run is over takes effect.
    fn commit_late(&mut self, count: usize) {
        self.database.applied.extend(self.database.pending.drain(..count));
    }
}

#[test]
fn what_an_unheard_run_applied_is_known_by_the_plan() {
    let kinds = [Reversible, Expand, Expand];
    // By the run before it died, after a person had looked, and none at all.
    for (first, late) in [(1, 0), (3, 0), (0, 1), (0, 3), (1, 1), (1, 2), (0, 0)] {
        let mut world = begun_twice(World::pending(plan(Value::Null), &kinds), first, late);
        assert_eq!(world.rollout.migrations(), migrations(&kinds), "{first} and {late}");
        // Nothing follows by itself, and a person takes all of them back.
        let PauseWhy::Migrated { migrations: named, .. } = world.paused() else {
            panic!("{first} and {late}: {:?}", world.paused())
        };
        assert_eq!(named, ["m0 (reversible)"]);
        assert!(way(&world, Wish::default()).is_err());
        world.operator(Verb::Rollback).unwrap();
        world.run(done);
        let plan = back(&world, by_person());
        let Operation::Downgrade { downgrade, head, to, .. } = &plan.once[0].operation else {
            panic!("{:?}", plan.once)
        };
        assert_eq!(*downgrade, ["/bin/db", "downgrade", "3"], "{first} and {late}");
        assert_eq!((head.as_deref(), to), (Some("m2"), &Some(Head::Empty)));
        let mut back = world.going_back(plan);
        back.run(done);
        assert_eq!(back.report().state, State::Ended(Verdict::Succeeded));
        assert_eq!(back.database.applied, []);
    }
}

#[test]
fn what_a_run_that_was_heard_commits_late_is_known_by_the_plan() {
    let kinds = [Reversible, Irreversible, Expand];
    let mut world = World::pending(plan(Value::Null), &kinds);
    world.database.fails_after = 1;
    world.run(|_, op| match op {
        Operation::Migrate { .. } => failed(),
        _ => OpResult::Done,
    });
    assert_eq!(world.rollout.migrations(), migrations(&kinds[..1]));
    world.commit_late(1);
    world.resolve("migrate", false).unwrap();
    world.run(done);
    assert_eq!(world.report().state, State::Ended(Verdict::Succeeded));
    assert_eq!(world.rollout.migrations(), migrations(&kinds));
}

#[test]
fn what_an_unheard_run_applied_is_unknown_where_the_plan_does_not_explain_it() {
    let kinds = [Expand, Expand];
    let schema = |head: Option<&str>, pending: &[_]| {
        Some(Schema { head: head.map(str::to_owned), pending: migrations(pending) })
    };
    let cases = [
        None,
        // Another head than the one that was planned on, nothing that was pending, and less than what was.
        schema(Some("of somebody"), &kinds),
        schema(None, &[]),
        schema(None, &kinds[..1]),
    ];
    for schema in cases {
        let mut plan = plan(Value::Null);
        plan.schema = schema.clone();
        let world = begun_twice(World::pending_unplanned(plan, &kinds), 0, 0);
        let PauseWhy::Migrated { migrations, .. } = world.paused() else {
            panic!("{schema:?}: {:?}", world.paused())
        };
        assert_eq!(migrations, ["migrations that nobody knows the end of"], "{schema:?}");
        let why = way(&world, by_person()).unwrap_err();
        assert!(why.starts_with("nobody knows what the migrations of r7 did"), "{why}");
        assert_eq!(way(&world, Wish { code_only: true, ..by_person() }), Ok(Way::Code));
    }
}

#[test]
fn where_every_run_tells_the_plan_is_not_asked() {
    let mut plan = plan(Value::Null);
    plan.schema = None;
    let mut world = World::pending_unplanned(plan, &[Reversible, Expand]);
    // Somebody migrated after it was planned, and before the rollout did.
    world.commit_late(1);
    world.run(done);
    assert_eq!(world.rollout.migrations(), migrations(&[Reversible, Expand])[1..]);
    assert_eq!(way(&world, by_person()), Ok(Way::Code));
}

/// A spent budget while the migrations are under way: their end is not known yet.
#[test]
fn a_budget_that_is_spent_while_it_migrates_pauses() {
    let steps = json!([image(), migrate(json!({ "host": "h90" })), compose()]);
    let plan = plan_of(&json!({ "max_parallel": 3 }), steps, Value::Null, 3);
    let mut world = World::pending(plan, &[Expand]);
    world.up_to("migrate");
    let other = (1..=3).find(|n| !world.agents[&host(*n)].inbox.is_empty()).unwrap();
    world.carry_out(other, |_| failed());
    let PauseWhy::Migrated { migrations, .. } = world.paused() else { panic!() };
    assert_eq!(migrations, ["migrations that nobody knows the end of"]);
    world.carry_out(HELPER, |_| OpResult::Done);
    assert_eq!(world.stands("migrate"), OnceState::Done);
    assert!(matches!(world.paused(), PauseWhy::Migrated { .. }), "a person has been asked");
}

#[test]
fn every_way_back_and_its_reason() {
    let code_only = Wish { code_only: true, ..by_person() };
    let lossy = Wish { accept_data_loss: true, ..by_person() };
    let restore = Wish { restore_backup: true, ..by_person() };
    let all = [Wish::default(), by_person(), code_only, lossy, restore];
    type Row = (&'static [MigrationKind], [(&'static str, &'static str); 5]);
    // By itself, asked, --code-only, --accept-data-loss, --restore-backup: the way, and a part of why.
    let table: [Row; 5] = [
        (
            &[],
            [
                ("code", "no migration ran"),
                ("code", "no migration ran"),
                ("code", "--code-only"),
                ("code", "no migration ran"),
                ("restore", "what was written since is lost"),
            ],
        ),
        (
            &[Expand, Expand],
            [
                ("code", "m0 (expand), m1 (expand) only adds"),
                ("code", "only adds"),
                ("code", "--code-only"),
                ("code", "only adds"),
                ("restore", "--restore-backup"),
            ],
        ),
        (
            &[Reversible],
            [
                ("none", "choose with `dvctl rollback r7`"),
                ("downgrade 1", "taking back m0 (reversible) loses nothing"),
                ("code", "--code-only"),
                ("downgrade 1", "loses nothing"),
                ("restore", "--restore-backup"),
            ],
        ),
        (
            &[Expand, Reversible, Expand],
            [
                ("none", "nothing touches the database by itself"),
                ("downgrade 3", "m0 (expand), m1 (reversible), m2 (expand)"),
                ("code", "--code-only"),
                ("downgrade 3", "loses nothing"),
                ("restore", "--restore-backup"),
            ],
        ),
        (
            &[Expand, Irreversible],
            [
                ("none", "nothing touches the database by itself"),
                ("none", "use `--accept-data-loss` if that is meant, or `--restore-backup`"),
                ("code", "--code-only"),
                ("downgrade 2", "m1 (irreversible) loses data is accepted"),
                ("restore", "--restore-backup"),
            ],
        ),
    ];
    for (kinds, expected) in table {
        let world = migrated(kinds);
        for (wish, (way, part)) in all.into_iter().zip(expected) {
            let (found, why) = match planning::way_back(&world.rollout, wish) {
                Ok(database) => (database.way, database.why),
                Err(why) => {
                    assert_eq!(way, "none", "{kinds:?} {wish:?}: {why}");
                    assert!(why.contains(part), "{kinds:?} {wish:?}: {why}");
                    continue;
                }
            };
            let found = match found {
                Way::Code => "code".to_owned(),
                Way::Restore => "restore".to_owned(),
                Way::Downgrade { migrations } => format!("downgrade {}", migrations.len()),
            };
            assert_eq!(found, way, "{kinds:?} {wish:?}: {why}");
            assert!(why.contains(part), "{kinds:?} {wish:?}: {why}");
        }
    }
}

#[test]
fn a_way_that_the_manifest_does_not_give_is_not_offered() {
    let mut migrate = migrate(json!({}));
    migrate["migrate"].as_object_mut().unwrap().remove("downgrade");
    let mut plan = plan_of(&json!({}), json!([migrate, compose()]), Value::Null, 2);
    let mut world = World::pending(plan.clone(), &[Reversible]);
    world.run(done);
    let why = way(&world, by_person()).unwrap_err();
    assert!(why.contains("the manifest gives no `downgrade`"), "{why}");
    let restore = Wish { restore_backup: true, ..by_person() };
    let why = way(&world, restore).unwrap_err();
    assert_eq!(why, "r7 has made no backup that could be restored");

    let mut backup = backup(json!({}));
    backup["backup"].as_object_mut().unwrap().remove("restore");
    plan = plan_of(&json!({}), json!([backup, compose()]), Value::Null, 2);
    let mut world = World::new(plan);
    world.run(done);
    let why = way(&world, restore).unwrap_err();
    assert!(why.contains("gives no `restore`"), "{why}");
}

#[test]
fn a_downgrade_takes_back_what_was_applied_before_the_first_host() {
    let mut world = migrated(&[Expand, Reversible]);
    let plan = back(&world, by_person());
    let [downgrade] = plan.once.as_slice() else { panic!("{:?}", plan.once) };
    assert_eq!((downgrade.name.as_str(), &downgrade.hosts), ("downgrade", &vec![host(HELPER)]));
    let Operation::Downgrade { downgrade, head, to, .. } = &downgrade.operation else { panic!() };
    assert_eq!(*downgrade, ["/bin/db", "downgrade", "2"]);
    assert_eq!((head.as_deref(), to), (Some("m1"), &Some(Head::Empty)));
    let mut back = world.going_back(plan);
    assert_eq!(back.told("downgrade"), [host(HELPER)]);
    assert_eq!(back.order(), [], "no host goes before it");
    back.run(done);
    assert_eq!(back.report().state, State::Ended(Verdict::Succeeded));
    assert!(matches!(back.done[0].1, Operation::Downgrade { .. }));
    assert_eq!((back.database.applied.len(), back.database.pending.len()), (0, 2));
}

#[test]
fn a_restore_is_of_exactly_this_rollouts_backup() {
    let mut world = migrated(&[Irreversible]);
    let plan = back(&world, Wish { restore_backup: true, ..by_person() });
    let mut back = world.going_back(plan);
    assert_eq!(back.rollout.id().to_string(), "r8");
    assert_eq!(back.told("restore"), [host(HELPER)]);
    back.run(done);
    assert_eq!(back.report().state, State::Ended(Verdict::Succeeded));
    let (n, first) = &back.done[0];
    let Operation::Run { argv, repeatable: false, .. } = first else { panic!("{first}") };
    assert_eq!(
        (n, argv.as_slice()),
        (&host(HELPER), ["/bin/restore", "r7"].map(str::to_owned).as_slice())
    );
}

#[test]
fn what_was_run_once_is_undone_once_where_it_ran() {
    let steps =
        json!([run_once(json!({ "host": "h2" })), compose(), run_once(json!({ "host": "h90" }))]);
    let mut world = World::new(plan_of(&json!({ "max_parallel": 3 }), steps, Value::Null, 3));
    world.run(done);
    let plan = back(&world, Wish::default());
    let names: Vec<_> =
        plan.once.iter().map(|once| (once.name.as_str(), once.hosts[0].clone())).collect();
    assert_eq!(names, [("undo-run-3", host(HELPER)), ("undo-run-1", host(2))]);
    let mut back = world.going_back(plan);
    back.run(done);
    assert_eq!(back.report().state, State::Ended(Verdict::Succeeded));
    let undone = back.done.iter().filter_map(|(host, op)| match op {
        Operation::Run { argv, .. } => Some((host.clone(), argv.clone())),
        _ => None,
    });
    // It names the rollout that is taken back, and the version that goes on.
    let argv = ["/bin/retract", "r7", "v1"].map(str::to_owned).to_vec();
    assert_eq!(undone.collect::<Vec<_>>(), [(host(HELPER), argv.clone()), (host(2), argv)]);
    assert!(!matches!(back.done[2].1, Operation::Run { .. }), "and the hosts come after that");
}

#[test]
fn what_was_refused_is_not_undone() {
    let steps = json!([run_once(json!({ "host": "h90" })), compose()]);
    let mut world = World::new(plan_of(&json!({}), steps, Value::Null, 3));
    world.carry_out(HELPER, |_| OpResult::Refused("policy".to_owned()));
    assert_eq!(world.rollout.ended(), Some((Verdict::Failed, false)));
    assert_eq!(back(&world, Wish::default()).once, []);
}

#[test]
fn what_needs_a_version_before_and_has_none_is_said() {
    let steps = json!([run_once(json!({ "host": "h90" })), compose()]);
    let mut plan = plan_of(&json!({}), steps, Value::Null, 3);
    plan.hosts.iter_mut().for_each(|h| h.from = None);
    let mut world = World::new(plan);
    world.run(done);
    let back = back(&world, Wish::default());
    assert_eq!(back.once, []);
    assert!(back.notes[0].text.starts_with("run-1 is not undone: `undo` of"), "{:?}", back.notes);
}

#[test]
fn the_way_back_ends_with_the_smoke_test() {
    let smoke = json!({ "smoke": { "command": ["/bin/smoke"] } });
    let mut world = World::pending(plan(smoke), &[Reversible]);
    world.run(done);
    let plan = back(&world, by_person());
    let names: Vec<_> = plan.once.iter().map(|once| once.name.as_str()).collect();
    assert_eq!(names, ["downgrade", "smoke"]);
    let mut good = world.going_back(plan.clone());
    good.run(done);
    assert_eq!(good.report().state, State::Ended(Verdict::Succeeded));
    assert!(matches!(good.done.last().unwrap().1, Operation::Smoke { .. }));
    // One that fails is told as it is; it is neither rolled back nor does it wait for ever.
    world.database = std::mem::take(&mut good.database);
    world.database.applied = std::mem::take(&mut world.database.pending);
    let mut bad = world.going_back(plan);
    bad.run(|_, op| match op {
        Operation::Smoke { .. } => failed(),
        _ => OpResult::Done,
    });
    assert_eq!(bad.rollout.ended(), Some((Verdict::Failed, false)));
    assert_eq!(bad.report().totals.healthy, 3);
}

#[test]
fn the_smoke_test_of_the_way_back_names_the_version_that_hosts_go_back_to() {
    let command = |from: &[Option<&str>]| {
        let smoke = json!({ "smoke": { "command": ["/bin/smoke", "${version}"] } });
        let mut plan = plan(smoke);
        for (host, from) in plan.hosts.iter_mut().zip(from) {
            host.from = from.map(|version| version.parse().unwrap());
        }
        let mut world = World::pending(plan, &[]);
        world.run(done);
        let back = back(&world, by_person());
        let smoke = back.once.iter().find_map(|once| match &once.operation {
            Operation::Smoke { smoke, .. } => smoke.command.clone(),
            _ => None,
        });
        (smoke, back.notes.iter().any(|note| note.text.contains("no smoke test")))
    };
    let words = |version: &str| Some(vec!["/bin/smoke".to_owned(), version.to_owned()]);
    assert_eq!(command(&[Some("v1"); 3]), (words("v1"), false));
    // Several, or none that is known: it could only name a wrong one.
    assert_eq!(command(&[Some("v1"), Some("v0"), Some("v1")]), (None, true));
    assert_eq!(command(&[None; 3]), (None, true));
}

#[test]
fn a_rollout_that_migrated_and_touched_no_host_can_be_taken_back() {
    let steps = json!([migrate(json!({ "host": "h90" })), image(), compose()]);
    let plan = plan_of(&json!({ "max_parallel": 3 }), steps, Value::Null, 3);
    let mut world = World::pending(plan, &[Reversible]);
    world.up_to("migrate");
    assert!(world.carry_out(HELPER, |_| OpResult::Done));
    world.operator(Verb::Rollback).unwrap();
    world.run(done);
    assert_eq!(world.report().totals.touched, 0);
    assert_eq!(world.rollout.ended(), Some((Verdict::Aborted, true)));
    let plan = back(&world, by_person());
    assert_eq!((plan.hosts.len(), plan.once.len()), (0, 1));
    let mut back = world.going_back(plan);
    // Also where the host for it is away at first.
    back.disconnect(HELPER);
    back.connect(HELPER);
    back.run(done);
    assert_eq!(back.report().state, State::Ended(Verdict::Succeeded));
    assert_eq!(back.database.applied, []);
}

/// Hosts that come back after a rollback are caught up without another word: the schema must have gone first.
#[test]
fn the_database_goes_back_although_no_host_comes_to_it() {
    let mut world = migrated(&[Reversible]);
    let plan = back(&world, by_person());
    let mut back = World::unstarted_as(dv_types::RolloutId(8), plan);
    back.database = std::mem::take(&mut world.database);
    let start =
        dv_rollout::Event::Start { by: "alice".to_owned(), reason: None, overrides: Vec::new() };
    back.turn(vec![start]);
    back.connect(HELPER);
    assert_eq!(back.told("downgrade"), [host(HELPER)]);
    back.run(done);
    back.pass(LOST_AFTER);
    assert_eq!(back.stands("downgrade"), OnceState::Done);
    assert_eq!(back.rollout.ended(), Some((Verdict::Failed, false)));
}

#[test]
fn a_downgrade_that_fails_asks_before_any_host_goes_back() {
    let mut world = migrated(&[Reversible]);
    let plan = back(&world, by_person());
    assert!(matches!(plan.kind, Kind::Reversal { .. }));
    let mut back = world.going_back(plan);
    back.carry_out(HELPER, |_| failed());
    let PauseWhy::Condemned { by: Condemner::Once { once }, .. } = back.paused() else { panic!() };
    assert_eq!((once.as_str(), back.order()), ("downgrade", Vec::new()));
    back.resolve("downgrade", true).unwrap();
    back.run(done);
    assert_eq!(back.report().state, State::Ended(Verdict::Succeeded));
}

#[test]
fn a_late_host_that_fails_after_a_migration_does_not_go_back_by_itself() {
    for (kind, rollback) in [(Expand, true), (Reversible, false)] {
        let world = migrated(&[kind]);
        let mut late = World::new(planning::catch_up(&world.rollout, &[host(2)]));
        late.run(unready);
        match rollback {
            true => assert_eq!(late.rollout.ended(), Some((Verdict::Failed, true))),
            false => assert!(matches!(late.paused(), PauseWhy::Failures { .. })),
        }
        // The one that follows it does likewise.
        let next = planning::catch_up(&late.rollout, &[host(2)]);
        assert_eq!(next.limits.on_failure, late.rollout.plan().limits.on_failure);
    }
}

/// What is heard of the schema between the decision to go back and the end forbids what would follow.
#[test]
fn what_is_heard_while_it_ends_counts() {
    let steps = json!([image(), migrate(json!({ "host": "h90" })), compose()]);
    let plan = plan_of(&json!({ "max_parallel": 3 }), steps, Value::Null, 3);
    let mut world = World::pending(plan, &[Reversible]);
    world.up_to("migrate");
    world.disconnect(HELPER);
    world.pass(LOST_AFTER);
    world.resolve("migrate", false).unwrap();
    let busy: Vec<_> = (1..=3).filter(|n| !world.agents[&host(*n)].inbox.is_empty()).collect();
    world.carry_out(busy[0], |_| failed());
    assert_eq!(world.report().state, State::Ending(Verdict::Failed));
    world.carry_out(HELPER, |_| OpResult::Done);
    world.connect(HELPER);
    world.report_outcomes(busy[1]);
    assert_eq!(world.rollout.ended(), Some((Verdict::Failed, false)));
}

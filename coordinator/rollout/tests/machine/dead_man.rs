//! The dead-man's switch: where it is armed, and what becomes of a host that went back by itself.

use dv_rollout::{
    Event,
    planning::{self, Asked},
};
use dv_types::{
    Evidence, Finding, Migration, MigrationKind, OpResult, Operation, Outcome, Plan, Schema, Span,
    Timestamp,
    manifest::{MigrateStep, Step},
    outcome::Output,
    plan::Wish,
    record::{Verb, Verdict},
    report::{Phase, State},
};

use crate::world::{World, facts, host, image, manifest, plan};

const STRATEGY: &str = r#"{ "confirm_within": "1m", "on_failure": "continue", "max_failures": 5 }"#;

fn names(plan: &Plan, n: usize) -> Vec<String> {
    let planned = plan.host(&host(n)).unwrap();
    plan.operations(planned).iter().map(ToString::to_string).collect()
}

/// A plan for two hosts before which a migration of this kind is found to be pending, or nothing is known; it is
/// applied before the manifest's step `at`.
fn migrating(at: usize, kind: Option<MigrationKind>) -> Plan {
    let mut manifest = manifest(STRATEGY);
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    manifest.steps.insert(
        at,
        Step::Migrate(MigrateStep {
            check: words("/cli check"),
            upgrade: words("/cli upgrade"),
            downgrade: Some(words("/cli downgrade -${count}")),
            kinds: Default::default(),
            on: Default::default(),
            timeout: "1m".parse().unwrap(),
        }),
    );
    let schema = kind.map(|kind| Finding::Schema(Schema { head: None, pending: pending(kind) }));
    let asked = Asked { helpers: Vec::new(), schema };
    planning::forward(&manifest, &"v2".parse().unwrap(), &facts(&manifest, 2), &asked)
}

fn pending(kind: MigrationKind) -> Vec<Migration> {
    vec![Migration { name: "2".to_owned(), kind }]
}

/// A rollout that was planned for a migration that the old code can live with, and finds one of this kind.
fn surprised(at: usize, kind: MigrationKind) -> World {
    let mut world = World::new(migrating(at, Some(MigrationKind::Expand)));
    world.database.pending = pending(kind);
    world
}

fn of_switch(operation: &Operation) -> bool {
    matches!(operation, Operation::Arm { .. } | Operation::Confirm)
}

fn armed(world: &World) -> usize {
    world.done.iter().filter(|(_, o)| matches!(o, Operation::Arm { .. })).count()
}

#[test]
fn it_is_armed_right_before_what_changes_the_host_and_let_go_when_that_is_healthy() {
    let plan = plan(STRATEGY, 2);
    assert_eq!(
        names(&plan, 1),
        [
            "pull registry:5000/debvisor:v2",
            "arm the way back, to be confirmed within 1m",
            "tag registry:5000/debvisor:latest",
            "compose up debvisor",
            "verify ready",
            "confirm",
        ]
    );
    let planned = plan.host(&host(1)).unwrap();
    let Some(Operation::Arm { revert, .. }) = plan.operations(planned).get(1) else { panic!() };
    let revert: Vec<_> = revert.iter().map(ToString::to_string).collect();
    assert_eq!(
        revert,
        ["tag registry:5000/debvisor:latest back", "compose up debvisor", "verify ready"]
    );
    // And the way back of a rollout with a switch is the same as without one.
    let mut world = World::new(plan);
    world.run(|_, _| OpResult::Done);
    assert_eq!(world.report().state, State::Ended(Verdict::Succeeded));
    let back = crate::world::reverse(&world.rollout, &[], false);
    assert_eq!(
        names(&back, 1),
        ["tag registry:5000/debvisor:latest back", "compose up debvisor", "verify ready"]
    );
}

#[test]
fn it_is_never_armed_where_the_old_code_could_not_live_with_the_new_schema() {
    let armed = |plan: &Plan| names(plan, 1).iter().any(|name| name.starts_with("arm"));
    let says =
        |plan: &Plan| plan.notes.iter().any(|note| note.text.contains("no dead-man's switch"));

    let expand = migrating(1, Some(MigrationKind::Expand));
    assert!(armed(&expand) && !says(&expand));
    // The migration takes its time before the switch is armed.
    let at = names(&expand, 1).iter().position(|name| name.starts_with("arm")).unwrap() as u32;
    assert!(expand.programs[0].barriers.iter().all(|barrier| barrier.before <= at));
    for kind in [None, Some(MigrationKind::Reversible), Some(MigrationKind::Irreversible)] {
        let plan = migrating(1, kind);
        assert!(!armed(&plan) && says(&plan), "{kind:?}: {:?}", plan.notes);
    }
}

#[test]
fn a_host_that_went_back_by_itself_has_failed_and_is_left_alone() {
    let mut world = World::new(plan(
        r#"{ "confirm_within": "1m", "on_failure": "rollback", "max_failures": 0 }"#,
        1,
    ));
    while !world.agents[&host(1)]
        .inbox
        .values()
        .any(|c| matches!(c.operation, Operation::Verify { .. }))
    {
        assert!(world.carry_out(1, |_| OpResult::Done));
    }
    // The coordinator was away: the switch fired.
    let command = *world.agents[&host(1)].inbox.keys().next().unwrap();
    let outcome = Outcome {
        command,
        given: None,
        result: OpResult::Failed("the host went back by itself".to_owned()),
        began: Timestamp::UNIX_EPOCH,
        took: Span::ZERO,
        output: Output::default(),
        evidence: Some(Evidence::Reverted { at: Timestamp::UNIX_EPOCH, complete: true }),
    };
    assert!(world.turn(vec![Event::Outcome { host: host(1), outcome }]).is_empty());
    let report = world.report();
    assert_eq!(report.hosts[0].phase, Phase::Failed);
    assert!(report.hosts[0].reverted && !report.hosts[0].touched, "{:?}", report.hosts[0]);
    // Nothing is left that a rollback could take back.
    assert_eq!(report.state, State::Ended(Verdict::Failed));
    assert!(!report.rollback);
}

#[test]
fn it_is_not_armed_where_the_schema_has_gone_further_than_the_plan_foresaw() {
    // Right after the switch would come the tag, or what restarts the service.
    for (at, kind, times) in [
        (0, MigrationKind::Expand, 2),
        (0, MigrationKind::Reversible, 0),
        (1, MigrationKind::Expand, 2),
        (1, MigrationKind::Irreversible, 0),
    ] {
        let mut world = surprised(at, kind);
        world.run(|_, _| OpResult::Done);
        assert_eq!(world.report().state, State::Ended(Verdict::Succeeded), "{kind:?}");
        assert_eq!(armed(&world), times, "{kind:?}");
        // All else is done, on both.
        let count = |so: fn(&Operation) -> bool| world.done.iter().filter(|(_, o)| so(o)).count();
        assert_eq!(count(|o| matches!(o, Operation::TagImage { .. })), 2, "{kind:?}");
        assert_eq!(count(|o| matches!(o, Operation::ComposeUp { .. })), 2, "{kind:?}");
        assert_eq!(count(|o| matches!(o, Operation::Verify { .. })), 2, "{kind:?}");
    }
}

#[test]
fn it_is_not_armed_where_nobody_knows_what_the_migrations_did() {
    let mut world = surprised(0, MigrationKind::Expand);
    let unknown = |_: usize, o: &Operation| match o {
        Operation::Migrate { .. } => OpResult::Unknown("the agent died".to_owned()),
        _ => OpResult::Done,
    };
    world.run(unknown);
    world.operator(Verb::Resolve { once: "migrate".to_owned(), done: true }).unwrap();
    world.run(unknown);
    assert_eq!(world.report().state, State::Ended(Verdict::Succeeded));
    assert_eq!(armed(&world), 0);
}

#[test]
fn what_follows_a_switch_that_was_left_out_fails_under_its_own_name_and_can_be_tried_again() {
    let mut world = surprised(0, MigrationKind::Irreversible);
    world.run(|_, o| match o {
        Operation::TagImage { .. } => OpResult::Failed("the disk is full".to_owned()),
        _ => OpResult::Done,
    });
    let report = world.report();
    let why = report.hosts[0].why.as_deref().unwrap();
    assert!(why.starts_with("tag registry:5000/debvisor:latest"), "{why}");

    let mut world = surprised(0, MigrationKind::Irreversible);
    let tags = |w: &World| {
        w.agents[&host(1)].inbox.values().any(|c| matches!(c.operation, Operation::TagImage { .. }))
    };
    world.run_until(tags);
    // A new coordinator goes on where the old one was.
    world.crash();
    (1..=2).for_each(|n| world.connect(n));
    assert!(world.carry_out(1, |_| OpResult::Failed("the disk is full".to_owned())));
    world.operator(Verb::Retry { host: host(1) }).unwrap();
    world.run(|_, _| OpResult::Done);
    assert_eq!(world.report().state, State::Ended(Verdict::Succeeded));
    assert_eq!(armed(&world), 0);
}

#[test]
fn hosts_that_follow_arm_none_where_the_rollout_could_not() {
    for (kind, arms) in [(MigrationKind::Expand, true), (MigrationKind::Reversible, false)] {
        let mut world = surprised(0, kind);
        let told = |w: &World| {
            let mut inbox = w.agents[&host(1)].inbox.values();
            inbox.any(|c| matches!(c.operation, Operation::TagImage { .. }))
        };
        world.run_until(told);
        world.disconnect(1);
        world.pass(Span::from_secs(60));
        world.run(|n, _| if n == 1 { OpResult::Cancelled } else { OpResult::Done });
        assert!(world.rollout.ended().is_some(), "{:?}", world.report());

        let mut late = World::new(planning::catch_up(&world.rollout, &[host(1)]));
        // Somebody was there meanwhile.
        late.agents.get_mut(&host(1)).unwrap().tags.latest = Some(image(3));
        late.run(|_, _| OpResult::Done);
        assert_eq!(late.report().state, State::Ended(Verdict::Succeeded));
        assert_eq!(late.done.iter().any(|(_, o)| of_switch(o)), arms, "{kind:?}");

        // The way back finds what either of them did, although their programs differ.
        let wish = Wish { by_person: true, ..Wish::default() };
        let database = planning::way_back(&world.rollout, wish).unwrap();
        let back = planning::reverse(&world.rollout, &[late.rollout], false, database);
        let planned = back.host(&host(1)).unwrap();
        let latest = back.operations(planned).iter().find_map(|o| match o {
            Operation::RestoreTags { latest, .. } => Some(latest.clone()),
            _ => None,
        });
        assert_eq!(latest, Some(image(3)), "{kind:?}: {:?}", back.notes);
    }
}

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
    record::Verdict,
    report::{Phase, State},
};

use crate::world::{World, facts, host, manifest, plan};

const STRATEGY: &str = r#"{ "confirm_within": "1m", "on_failure": "continue", "max_failures": 5 }"#;

fn names(plan: &Plan, n: usize) -> Vec<String> {
    let planned = plan.host(&host(n)).unwrap();
    plan.operations(planned).iter().map(ToString::to_string).collect()
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
    let mut manifest = manifest(STRATEGY);
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    manifest.steps.insert(
        1,
        Step::Migrate(MigrateStep {
            check: words("/cli check"),
            upgrade: words("/cli upgrade"),
            downgrade: Some(words("/cli downgrade -${count}")),
            kinds: Default::default(),
            on: Default::default(),
            timeout: "1m".parse().unwrap(),
        }),
    );
    let plan = |kind: Option<MigrationKind>| {
        let pending = |kind| vec![Migration { name: "2".to_owned(), kind }];
        let schema =
            kind.map(|kind| Finding::Schema(Schema { head: None, pending: pending(kind) }));
        let asked = Asked { helpers: Vec::new(), schema };
        planning::forward(&manifest, &"v2".parse().unwrap(), &facts(&manifest, 2), &asked)
    };
    let armed = |plan: &Plan| names(plan, 1).iter().any(|name| name.starts_with("arm"));
    let says =
        |plan: &Plan| plan.notes.iter().any(|note| note.text.contains("no dead-man's switch"));

    let expand = plan(Some(MigrationKind::Expand));
    assert!(armed(&expand) && !says(&expand));
    // The migration takes its time before the switch is armed.
    let at = names(&expand, 1).iter().position(|name| name.starts_with("arm")).unwrap() as u32;
    assert!(expand.programs[0].barriers.iter().all(|barrier| barrier.before <= at));
    for kind in [None, Some(MigrationKind::Reversible), Some(MigrationKind::Irreversible)] {
        let plan = plan(kind);
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

//! What a host goes back to, where what it found on the way there is its own doing.

use dv_rollout::planning;
use dv_types::{
    Finding, Manifest, OpResult, Operation, Plan, Span, Subject, Version,
    outcome::Tags,
    plan::Severity,
    record::{Verb, Verdict},
};

use crate::world::{World, commit, facts, host, image, manifest, plan, reverse};

fn done(_: usize, _: &Operation) -> OpResult {
    OpResult::Done
}

/// The agent moved the tags, and died or failed before it could say what was there.
fn tagged(world: &mut World) {
    let agent = world.agents.get_mut(&host(1)).unwrap();
    agent.tags = Tags { latest: Some(image(2)), previous: Some(image(1)) };
}

fn without_memory(mut plan: Plan) -> Plan {
    plan.hosts.iter_mut().for_each(|h| h.before.clear());
    plan
}

fn restored(back: &Plan) -> Option<Tags> {
    back.operations(back.hosts.first()?).iter().find_map(|operation| match operation {
        Operation::RestoreTags { latest, previous, .. } => {
            Some(Tags { latest: Some(latest.clone()), previous: previous.clone() })
        }
        _ => None,
    })
}

fn old() -> Option<Tags> {
    Some(Tags { latest: Some(image(1)), previous: None })
}

/// The tag is done again after the agent died in its middle, and finds what it brought.
fn resumed(plan: Plan) -> World {
    let mut world = World::new(plan);
    assert!(world.carry_out(1, |_| OpResult::Done), "pulled");
    tagged(&mut world);
    world.run(done);
    assert_eq!(world.rollout.ended(), Some((Verdict::Succeeded, false)));
    world
}

#[test]
fn a_tag_that_was_resumed_goes_back_to_what_the_plan_found() {
    let world = resumed(plan("{}", 1));
    assert_eq!(restored(&reverse(&world.rollout, &[], false)), old());
}

#[test]
fn a_tag_that_failed_without_evidence_and_was_tried_again_goes_back_as_well() {
    let mut world = World::new(plan(r#"{ "on_failure": "pause" }"#, 1));
    assert!(world.carry_out(1, |_| OpResult::Done), "pulled");
    tagged(&mut world);
    assert!(world.carry_out(1, |_| OpResult::TimedOut("30s".to_owned())), "tagged");
    world.operator(Verb::Retry { host: host(1) }).unwrap();
    world.operator(Verb::Resume).unwrap();
    world.run(done);
    assert_eq!(world.rollout.ended(), Some((Verdict::Succeeded, false)));
    assert_eq!(restored(&reverse(&world.rollout, &[], false)), old());
}

#[test]
fn a_host_of_which_nothing_is_known_stays_as_it_is() {
    let world = resumed(without_memory(plan("{}", 1)));
    let back = reverse(&world.rollout, &[], false);
    assert_eq!(back.hosts, []);
    let [note] = back.notes.as_slice() else { panic!("one note: {:?}", back.notes) };
    assert_eq!((note.severity, &note.host), (Severity::Warning, &Some(host(1))));
    assert_eq!(
        note.text,
        "stays as it is: what `latest` of registry:5000/debvisor was before this rollout is not known"
    );
}

#[test]
fn a_host_that_ran_the_version_before_goes_back_to_the_same() {
    let manifest = manifest("{}");
    let mut facts = facts(&manifest, 1);
    let tags = Tags { latest: Some(image(2)), previous: Some(image(1)) };
    for (_, finding) in &mut facts[0].findings {
        if let Finding::Image { tags: found, .. } = finding {
            *found = tags.clone();
        }
    }
    let world = resumed(planning::forward(
        &manifest,
        &"v2".parse().unwrap(),
        &facts,
        &planning::Asked::default(),
    ));
    assert_eq!(restored(&reverse(&world.rollout, &[], false)), Some(tags));
}

/// A rollout that lost the host after it was told to tag, and the catch-up that found it tagged.
fn lost_and_caught_up(plan: Plan) -> (World, World) {
    let mut world = World::new(plan);
    assert!(world.carry_out(1, |_| OpResult::Done), "pulled");
    world.disconnect(1);
    world.pass(Span::from_secs(60));
    assert!(world.rollout.ended().is_some(), "{:?}", world.report());
    let mut late = World::new(planning::catch_up(&world.rollout, &[host(1)]));
    tagged(&mut late);
    late.run(done);
    assert_eq!(late.rollout.ended(), Some((Verdict::Succeeded, false)));
    (world, late)
}

#[test]
fn a_host_that_was_caught_up_goes_back_to_before_the_rollout_that_lost_it() {
    let one = r#"{ "max_unreachable": 1 }"#;
    let (world, late) = lost_and_caught_up(plan(one, 1));
    let back = reverse(&world.rollout, &[late.rollout], false);
    assert_eq!(restored(&back), old());
    // The rollout only tagged; it was the catch-up that made the host run it.
    let operations = back.operations(&back.hosts[0]);
    assert!(
        operations.iter().any(|op| matches!(op, Operation::ComposeUp { .. })),
        "{operations:?}"
    );

    let (world, late) = lost_and_caught_up(without_memory(plan(one, 1)));
    let back = reverse(&world.rollout, &[late.rollout], false);
    assert_eq!((back.hosts.len(), back.notes.len()), (0, 1), "{:?}", back.notes);
}

fn tree_plan(strategy: &str, before: u8) -> Plan {
    let mut manifest: Manifest = manifest(strategy);
    let steps = r#"[
        { "checkout": { "tree": "/opt/debvisor" } },
        { "restart": { "unit": "debvisor.service" } }
    ]"#;
    manifest.steps = serde_json::from_str(steps).unwrap();
    let version: Version = "v2".parse().unwrap();
    let mut facts = facts(&manifest, 1);
    for (subject, finding) in &mut facts[0].findings {
        if matches!(subject, Subject::Tree { .. }) {
            *finding = Finding::Tree { commit: commit(before), resolved: Some(commit(2)) };
        }
    }
    let plan = planning::forward(&manifest, &version, &facts, &planning::Asked::default());
    assert_eq!(plan.errors().count(), 0, "{:?}", plan.notes);
    plan
}

#[test]
fn a_tree_goes_back_to_the_commit_that_was_there() {
    // At planning, at the first look of the operation, and what it goes back to.
    let cases = [
        (Some(1), 1, Some(1)),
        // It was moved by hand meanwhile: the operation saw it last.
        (Some(1), 3, Some(3)),
        // Checked out before the agent died.
        (Some(1), 2, Some(1)),
        // It was there before.
        (Some(2), 2, Some(2)),
        (None, 1, Some(1)),
        (None, 2, None),
    ];
    for (planned, found, expected) in cases {
        let mut plan = tree_plan("{}", planned.unwrap_or(1));
        if planned.is_none() {
            plan = without_memory(plan);
        }
        let mut world = World::unstarted(plan);
        world.agents.get_mut(&host(1)).unwrap().commit = Some(commit(found));
        world.start();
        world.run(done);
        let back = reverse(&world.rollout, &[], false);
        let target = back.hosts.first().map(|h| match &back.operations(h)[0] {
            Operation::Checkout { commit, .. } => commit.clone(),
            other => panic!("{other} is no checkout"),
        });
        assert_eq!(target, expected.map(commit), "planned {planned:?}, found {found}");
        assert_eq!(back.notes.len(), usize::from(expected.is_none()));
    }
}

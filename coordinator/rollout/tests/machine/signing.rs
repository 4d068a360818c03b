//! What of a plan is signed, and which plans are not.

use dv_rollout::planning;
use dv_types::{Digest, Operation, Plan, Span, warrant::Back};
use serde_json::{Value, json};

use crate::{
    playbook::{plan_of, steps},
    world::{host, number},
};

/// The playbook in small, on hosts that have something to go back to.
fn plan() -> Plan {
    let run = json!({ "run": {
        "argv": ["/bin/announce", "${version}"], "undo": ["/bin/retract", "${rollout}"], "once": {},
    } });
    let mut all = steps(&json!({ "labels": { "role": "db" } }));
    // Before what changes the host: after it no switch would be armed.
    all.as_array_mut().unwrap().insert(0, run);
    let more = json!({ "smoke": { "command": ["/bin/smoke", "${version}"] } });
    plan_of(&json!({ "confirm_within": "5m" }), all, more, 3)
}

fn agrees(plan: &Plan) -> Result<(), String> {
    let honest = self::plan();
    planning::agrees(plan, &honest.manifest, &honest.version)
}

#[test]
fn a_plan_that_is_what_its_manifest_says_is_signed() {
    assert_eq!(agrees(&plan()), Ok(()));
}

#[test]
fn a_plan_with_anything_of_the_coordinators_own_is_not() {
    let evil = || Operation::Run {
        argv: vec!["/bin/evil".to_owned()],
        timeout: Span::from_secs(9),
        repeatable: false,
    };
    type Change = Box<dyn Fn(&mut Plan)>;
    let changes: Vec<(&str, Change)> = vec![
        ("an operation more", Box::new(move |p| p.programs[0].operations.push(evil()))),
        ("an operation less", Box::new(|p| drop(p.programs[0].operations.pop()))),
        ("another order", Box::new(|p| p.programs[0].operations.reverse())),
        (
            "another program for one host",
            Box::new(move |p| {
                let mut program = p.programs[0].clone();
                program.operations.push(evil());
                p.programs.push(program);
                p.hosts[1].program = p.programs.len() - 1;
            }),
        ),
        ("something once more", Box::new(|p| p.once.push(p.once[0].clone()))),
        ("another command once", Box::new(move |p| p.once[1].operation = evil())),
        (
            "a once-step elsewhere",
            Box::new(|p| {
                let run = p.once.iter_mut().find(|once| once.name.starts_with("run-")).unwrap();
                run.hosts.push(host(1));
            }),
        ),
        ("another manifest", Box::new(|p| p.manifest.strategy.canary = dv_types::Quota::Hosts(2))),
        ("another version", Box::new(|p| p.version = "v3".parse().unwrap())),
        (
            "another switch",
            Box::new(move |p| {
                for operation in p.programs.iter_mut().flat_map(|p| &mut p.operations) {
                    if let Operation::Arm { revert, .. } = operation {
                        revert.push(evil());
                    }
                }
            }),
        ),
    ];
    for (what, change) in changes {
        let mut plan = plan();
        change(&mut plan);
        assert_ne!(plan, self::plan(), "{what}");
        assert!(agrees(&plan).is_err(), "{what}");
    }
}

#[test]
fn a_leaf_holds_what_its_host_may_do_and_how_it_goes_back() {
    let plan = plan();
    let hosts = planning::signed_hosts(&plan);
    let numbers: Vec<_> = hosts.iter().map(number).collect();
    assert_eq!(numbers.len(), 4, "the helper has one as well: {numbers:?}");
    for name in &hosts {
        let leaf = planning::leaf(&plan, name);
        let planned = plan.host(name);
        assert_eq!(leaf.forward.is_empty(), planned.is_none());
        let migrates =
            |o: &Operation| matches!(o, Operation::Migrate { .. } | Operation::Backup { .. });
        assert_eq!(
            leaf.once.iter().filter(|o| migrates(o)).count(),
            2 * usize::from(planned.is_none())
        );
        // Nothing that loses data.
        assert!(
            !leaf.undo.iter().any(|undo| matches!(undo.operation, Operation::Downgrade { .. }))
        );
        let Some(planned) = planned else { continue };
        assert!(leaf.back.iter().any(|back| matches!(back, Back::Tags { .. })));
        // What the switch would do by itself, at its place, is the way back with values.
        let revert = plan.operations(planned).iter().find_map(|operation| match operation {
            Operation::Arm { revert, .. } => Some(revert),
            _ => None,
        });
        let mut left = leaf.back.iter();
        for operation in revert.expect("it is armed") {
            let same = |back: &Back| match operation {
                Operation::RestoreTags { repository: r, .. } => {
                    *back == Back::Tags { repository: r.clone() }
                }
                operation => *back == Back::Do(operation.clone()),
            };
            assert!(left.any(same), "{operation} is no part of what was signed");
        }
    }
}

#[test]
fn another_digest_is_another_leaf() {
    let (plan, mut other) = (plan(), plan());
    for operation in other.programs.iter_mut().flat_map(|p| &mut p.operations) {
        if let Operation::PullImage { digest, .. } | Operation::TagImage { digest, .. } = operation
        {
            *digest = Digest::new(format!("sha256:{}", "f".repeat(64))).unwrap();
        }
    }
    let text = |plan: &Plan| planning::leaf(plan, &host(1)).text();
    assert_ne!(text(&plan), text(&other));
    // That is nobody's word but the hosts' and the registry's: it is shown to whoever signs.
    assert_eq!(agrees(&other), Ok(()));
    let _: Value = serde_json::from_str(&text(&plan)).unwrap();
}

//! Plans: which hosts in which order, how careful in whole hosts, and everything that is said of a plan.

use dv_rollout::planning;
use dv_types::{
    Finding, HostFacts, Labels, Manifest, Operation, Plan, Subject, Version,
    manifest::Gates,
    outcome::Tags,
    plan::{Severity, WaveKind},
};

use crate::world::{facts, host, image, manifest, number};

fn v2() -> Version {
    "v2".parse().unwrap()
}

fn plan_of(manifest: &Manifest, facts: &[HostFacts]) -> Plan {
    planning::forward(manifest, &v2(), facts, &planning::Asked::default())
}

/// Kind, hosts by number, and how many at once, of each wave.
fn waves(plan: &Plan) -> Vec<(WaveKind, Vec<usize>, u32)> {
    let wave =
        |w: &dv_types::plan::Wave| (w.kind, w.hosts.iter().map(number).collect(), w.max_parallel);
    plan.waves.iter().map(wave).collect()
}

#[test]
fn waves_are_as_large_as_the_strategy_says() {
    use WaveKind::{Batch, Canary};
    type Waves = &'static [(WaveKind, usize, u32)];
    // Strategy, hosts, and of each wave its kind, size and width.
    let cases: &[(&str, usize, Waves)] = &[
        ("{}", 0, &[]),
        ("{}", 4, &[(Batch, 4, 1)]),
        (r#"{ "max_parallel": "50%" }"#, 5, &[(Batch, 5, 2)]),
        (r#"{ "max_parallel": "1%" }"#, 5, &[(Batch, 5, 1)]),
        (r#"{ "max_parallel": 9 }"#, 3, &[(Batch, 3, 3)]),
        (r#"{ "canary": 1 }"#, 3, &[(Canary, 1, 1), (Batch, 2, 1)]),
        (r#"{ "canary": "1%" }"#, 3, &[(Canary, 1, 1), (Batch, 2, 1)]),
        (r#"{ "canary": 2, "max_parallel": 3 }"#, 5, &[(Canary, 2, 2), (Batch, 3, 3)]),
        (r#"{ "canary": 9 }"#, 3, &[(Canary, 3, 1)]),
        (r#"{ "batches": [1, "50%", "100%"] }"#, 8, &[(Batch, 1, 1), (Batch, 3, 3), (Batch, 4, 4)]),
        // What is left over is one more batch, and a share that is reached already is none.
        (r#"{ "batches": [1] }"#, 4, &[(Batch, 1, 1), (Batch, 3, 3)]),
        (r#"{ "batches": ["10%", "20%", "100%"] }"#, 4, &[(Batch, 1, 1), (Batch, 3, 3)]),
        // The canary counts as updated.
        (
            r#"{ "canary": 1, "batches": [1, 2, "100%"] }"#,
            4,
            &[(Canary, 1, 1), (Batch, 1, 1), (Batch, 2, 2)],
        ),
        (r#"{ "batches": ["100%"], "max_parallel": 2 }"#, 5, &[(Batch, 5, 2)]),
    ];
    for (strategy, hosts, expected) in cases {
        let manifest = manifest(strategy);
        let plan = plan_of(&manifest, &facts(&manifest, *hosts));
        let sizes: Vec<_> = waves(&plan).iter().map(|(k, h, p)| (*k, h.len(), *p)).collect();
        assert_eq!(sizes, *expected, "{strategy} of {hosts}");
        let mut all: Vec<_> = waves(&plan).into_iter().flat_map(|(_, hosts, _)| hosts).collect();
        all.sort_unstable();
        assert_eq!(all, (1..=*hosts).collect::<Vec<_>>(), "each host once");
    }
}

#[test]
fn neighbours_in_a_wave_are_of_different_label_values() {
    // The value of each host's label, and the order; a host without the label is a group of its own.
    let cases: &[(&[Option<&str>], &[usize])] = &[
        (&[Some("a"), Some("a"), Some("b"), Some("b")], &[1, 3, 2, 4]),
        (&[Some("a"), Some("a"), Some("a"), Some("b")], &[1, 4, 2, 3]),
        (&[Some("b"), Some("a"), None, None], &[3, 2, 1, 4]),
        (&[None, None, None], &[1, 2, 3]),
    ];
    let manifest = manifest("{}");
    for (zones, expected) in cases {
        let mut facts = facts(&manifest, zones.len());
        for (host, zone) in facts.iter_mut().zip(*zones) {
            let label = zone.map(|zone| ("zone".to_owned(), zone.to_owned()));
            host.labels = label.into_iter().collect::<Labels>();
        }
        assert_eq!(waves(&plan_of(&manifest, &facts))[0].1, *expected, "{zones:?}");
    }
    let mut unspread = manifest.clone();
    unspread.hosts.spread = None;
    assert_eq!(waves(&plan_of(&unspread, &facts(&manifest, 4)))[0].1, [1, 2, 3, 4]);
}

#[test]
fn canaries_are_well_and_of_the_others_the_sick_go_first() {
    // By host: in contact, and well; then the canary and the order of the others.
    type Case = (&'static [(bool, Option<bool>)], &'static [usize], &'static [usize]);
    const WELL: (bool, Option<bool>) = (true, Some(true));
    const SICK: (bool, Option<bool>) = (true, Some(false));
    const UNASKED: (bool, Option<bool>) = (true, None);
    const AWAY: (bool, Option<bool>) = (false, None);
    let cases: &[Case] = &[
        (&[WELL, WELL, WELL], &[1], &[2, 3]),
        (&[SICK, WELL, WELL], &[2], &[1, 3]),
        (&[WELL, WELL, SICK], &[1], &[3, 2]),
        // A host that is out of reach may be back by the time that its turn comes.
        (&[AWAY, UNASKED, WELL], &[2], &[3, 1]),
        // None is well: the first of them has to do.
        (&[SICK, AWAY], &[1], &[2]),
    ];
    let mut manifest = manifest(r#"{ "canary": 1, "max_unreachable": "100%" }"#);
    manifest.hosts.spread = None;
    for (hosts, canary, others) in cases {
        let mut facts = facts(&manifest, hosts.len());
        for (host, (connected, healthy)) in facts.iter_mut().zip(*hosts) {
            (host.connected, host.healthy) = (*connected, *healthy);
        }
        let waves = waves(&plan_of(&manifest, &facts));
        assert_eq!((waves[0].1.as_slice(), waves[1].1.as_slice()), (*canary, *others), "{hosts:?}");
    }
}

#[test]
fn limits_are_rounded_to_the_careful_side() {
    // Of 7 hosts: strategy, then max_failures, max_unreachable and min_available.
    let cases = [
        ("{}", (0, 1, 0)),
        (r#"{ "max_failures": "10%", "max_unreachable": 0, "min_available": "50%" }"#, (0, 0, 4)),
        (r#"{ "max_failures": "30%", "max_unreachable": "50%", "min_available": 3 }"#, (2, 4, 3)),
        (r#"{ "max_failures": 2, "max_unreachable": "100%", "min_available": "80%" }"#, (2, 7, 6)),
    ];
    for (strategy, expected) in cases {
        let manifest = manifest(strategy);
        let limits = plan_of(&manifest, &facts(&manifest, 7)).limits;
        let found = (limits.max_failures, limits.max_unreachable, limits.min_available);
        assert_eq!(found, expected, "{strategy}");
    }
}

#[test]
fn a_manifest_means_the_hosts_that_have_its_labels_and_its_names() {
    let web = Labels::from([("role".to_owned(), "web".to_owned())]);
    let db = Labels::from([("role".to_owned(), "db".to_owned())]);
    let fleet = [(host(3), &web), (host(1), &web), (host(2), &db)];
    let fleet = || fleet.iter().map(|(name, labels)| (name, *labels));
    let mut manifest = manifest("{}");
    assert_eq!(planning::select(&manifest, fleet()), [host(1), host(3)]);
    manifest.hosts.names = vec![host(2), host(3)];
    assert_eq!(planning::select(&manifest, fleet()), [host(3)]);
    manifest.hosts.labels.clear();
    assert_eq!(planning::select(&manifest, fleet()), [host(2), host(3)]);
    manifest.hosts.names.clear();
    assert_eq!(planning::select(&manifest, fleet()), [], "nothing said is nobody meant");
}

fn with_steps(strategy: &str, steps: &str) -> Manifest {
    let mut manifest = manifest(strategy);
    manifest.steps = serde_json::from_str(steps).unwrap();
    manifest
}

const EVERY_STEP: &str = r#"[
    { "checkout": { "tree": "/opt/app", "ref": "release-${version}" } },
    { "image": { "repository": "registry:5000/debvisor" } },
    { "stop": { "unit": "app.service" } },
    { "run": { "argv": ["/bin/migrate", "${version}"], "undo": ["/bin/migrate", "back", "${version}"] } },
    { "compose": { "project": "debvisor" } },
    { "start": { "unit": "app.service" } },
    { "restart": { "unit": "proxy.service" } }
]"#;

#[test]
fn a_program_is_the_steps_in_order_with_the_version_filled_in() {
    let manifest = with_steps("{}", EVERY_STEP);
    let mut facts = facts(&manifest, 1);
    for (subject, finding) in &mut facts[0].findings {
        if matches!(subject, Subject::Tree { .. }) {
            let (commit, resolved) = (crate::world::commit(1), Some(crate::world::commit(2)));
            *finding = Finding::Tree { commit, resolved };
        }
    }
    let plan = plan_of(&manifest, &facts);
    let operations: Vec<_> =
        plan.operations(&plan.hosts[0]).iter().map(Operation::to_string).collect();
    let expected = [
        "check out 020202020202 in /opt/app",
        "pull registry:5000/debvisor:v2",
        "tag registry:5000/debvisor:latest",
        "stop app.service",
        "run /bin/migrate v2",
        "compose up debvisor",
        "start app.service",
        "restart proxy.service",
        "verify ready",
    ];
    assert_eq!(operations, expected);
    assert_eq!(plan.errors().count(), 0, "{:?}", plan.notes);
}

#[test]
fn a_host_is_asked_about_all_that_a_rollout_and_its_rollback_need() {
    let mut manifest = with_steps("{}", EVERY_STEP);
    let probe = r#"{ "live": { "command": ["/bin/alive"] } }"#;
    manifest.health = Some(serde_json::from_str(probe).unwrap());
    let asked: Vec<_> =
        planning::subjects(&manifest, &v2()).iter().map(ToString::to_string).collect();
    let expected = [
        "working tree /opt/app at release-v2",
        "image registry:5000/debvisor:v2",
        "unit app.service",
        "command /bin/migrate v2",
        "compose project debvisor",
        "unit proxy.service",
        "command /bin/alive",
        "command /bin/migrate back v2",
    ];
    assert_eq!(asked, expected);
}

#[test]
fn an_undo_that_a_host_refuses_forbids_the_rollout() {
    let undo = |command: &str| {
        let steps = format!(r#"[{{ "run": {{ "argv": ["/bin/up", "v2"], "undo": {command} }} }}]"#);
        with_steps("{}", &steps)
    };
    let refusing = |manifest: &Manifest, version: Option<&str>| {
        let mut facts = facts(manifest, 1);
        facts[0].version = version.map(|v| v.parse().unwrap());
        let last = facts[0].findings.last_mut().unwrap();
        last.1 = Finding::Refused("`commands` does not list it".to_owned());
        plan_of(manifest, &facts).notes
    };
    let by_version = undo(r#"["/bin/down", "${version}"]"#);
    let notes = refusing(&by_version, Some("v1"));
    assert_eq!(notes[0].severity, Severity::Error);
    assert_eq!(notes[0].text, "refuses command /bin/down v2: `commands` does not list it");
    // Where dv has brought no version, such an undo is never run; another one is.
    let notes = refusing(&by_version, None);
    assert!(notes.iter().all(|n| n.severity == Severity::Warning), "{notes:?}");
    assert_eq!(refusing(&undo(r#"["/bin/down"]"#), None)[0].severity, Severity::Error);
    // What is run on the way there is asked about for its own sake.
    let same = undo(r#"["/bin/up", "${version}"]"#);
    assert_eq!(refusing(&same, None)[0].severity, Severity::Error);
}

/// How much a note matters, the host that it is about, and the remark.
type Said = (Severity, Option<usize>, &'static str);

/// What is changed in a plan that is right otherwise, and all that is then said of it.
type Case = (&'static str, fn(&mut Manifest, &mut Vec<HostFacts>), &'static [Said]);

/// Of hosts 1 to N, whether image `n` is what the version means there.
fn resolves(facts: &mut [HostFacts], n: Option<u8>) {
    for (_, finding) in facts.iter_mut().flat_map(|h| &mut h.findings) {
        if let Finding::Image { resolved, .. } = finding {
            *resolved = n.and_then(|n| image(n).digest);
        }
    }
}

fn away(facts: &mut [HostFacts]) {
    facts.iter_mut().for_each(|h| {
        (h.connected, h.healthy) = (false, None);
        h.findings.clear();
    });
}

const CASES: &[Case] = {
    use Severity::{Error, Info, Warning};
    &[
        ("nothing", |_, _| {}, &[]),
        (
            "no host",
            |_, facts| facts.clear(),
            &[(
                Error,
                None,
                "no host of the fleet matches the manifest's `hosts`: see `dvctl hosts` for names and labels",
            )],
        ),
        (
            "a name that nobody has",
            |manifest, _| manifest.hosts.names = (1..=6).map(host).collect(),
            &[(
                Error,
                None,
                "the fleet has no host with these labels of a name in `hosts.names`: h6; see `dvctl hosts`",
            )],
        ),
        (
            "the same without labels, and more than are listed",
            |manifest, _| {
                manifest.hosts.labels.clear();
                manifest.hosts.names = (1..=15).map(host).collect();
            },
            &[(
                Error,
                None,
                "the fleet has no host of a name in `hosts.names`: h6, h7, h8, h9, h10, h11, h12, h13, and 2 more; see `dvctl hosts`",
            )],
        ),
        (
            "nobody in contact",
            |_, facts| away(facts),
            &[(
                Error,
                None,
                "none of the hosts is in contact: see `dvctl hosts`, and `systemctl status dv-agent` on them",
            )],
        ),
        (
            "too many out of reach",
            |_, facts| away(&mut facts[..2]),
            &[(
                Error,
                None,
                "2 of 5 hosts are out of reach (h1, h2), and max_unreachable allows 1: bring them back, leave them out, or raise max_unreachable",
            )],
        ),
        (
            "too many out of reach, and a gate that says so when it begins",
            |manifest, facts| {
                away(&mut facts[..2]);
                manifest.gates = Some(Gates { reachable: true, ..Gates::default() });
            },
            &[(
                Warning,
                None,
                "2 of 5 hosts are out of reach (h1, h2), and max_unreachable allows 1: the gate `reachable` will not pass",
            )],
        ),
        (
            "an image that only one host does not find, and a gate that asks again",
            |manifest, facts| {
                facts[3].findings[0].1 = Finding::NotFound("no such tag".to_owned());
                facts[3].findings[1].1 = Finding::NotFound("no such directory".to_owned());
                manifest.gates = Some(Gates { image: true, ..Gates::default() });
            },
            &[
                (Error, Some(4), "has no compose project debvisor: no such directory"),
                (Warning, Some(4), "has no image registry:5000/debvisor:v2: no such tag"),
            ],
        ),
        (
            "one out of reach",
            |_, facts| away(&mut facts[..1]),
            &[(Warning, None, "out of reach, to be caught up when they return: h1")],
        ),
        (
            "one host refuses",
            |_, facts| facts[1].findings[1].1 = Finding::Refused("not listed".to_owned()),
            &[(Error, Some(2), "refuses compose project debvisor: not listed")],
        ),
        (
            "hosts that say the same",
            |_, facts| {
                for host in &mut facts[..2] {
                    host.findings[1].1 = Finding::NotFound("no such directory".to_owned());
                }
                facts[4].findings[1].1 = Finding::Failed("no answer".to_owned());
            },
            &[
                (Error, Some(5), "can't tell about compose project debvisor: no answer"),
                (Error, None, "h1, h2: has no compose project debvisor: no such directory"),
            ],
        ),
        (
            "a version that means two things",
            |_, facts| resolves(&mut facts[3..4], Some(3)),
            &[(
                Error,
                None,
                "the hosts do not agree on what image registry:5000/debvisor:v2 is: it moved while the plan was made, or they ask different sources; plan again",
            )],
        ),
        (
            "a version that means nothing",
            |_, facts| resolves(facts, None),
            &[(
                Error,
                None,
                "no host could say what image registry:5000/debvisor:v2 is: plan again",
            )],
        ),
        (
            "hosts that run it already",
            |_, facts| facts[0].version = Some(v2()),
            &[(Info, None, "already at v2: h1")],
        ),
        (
            "a host that is not well",
            |_, facts| facts[2].healthy = Some(false),
            &[(Warning, None, "not healthy before the rollout: h3")],
        ),
        (
            "no room",
            |manifest, _| manifest.strategy.min_available = dv_types::Quota::Percent(100),
            &[(
                Error,
                None,
                "min_available is 5 of 5 hosts, so none could ever be taken out: lower it",
            )],
        ),
        (
            "no room until a host is well",
            |manifest, facts| {
                manifest.strategy.min_available = dv_types::Quota::Percent(80);
                facts[2].healthy = Some(false);
            },
            &[
                (Warning, None, "not healthy before the rollout: h3"),
                (
                    Warning,
                    None,
                    "4 hosts are available and min_available is 4: healthy hosts will wait until more are available",
                ),
            ],
        ),
        (
            "nothing to go back to",
            |_, facts| {
                facts[0].findings[0].1 =
                    Finding::Image { tags: Tags::default(), resolved: image(2).digest };
            },
            &[(
                Warning,
                None,
                "have no earlier release to go back to, and stay as they are in a rollback: h1",
            )],
        ),
        (
            "nothing to go back to, where nothing goes back by itself",
            |manifest, facts| {
                manifest.strategy.on_failure = dv_types::manifest::OnFailure::Pause;
                facts[0].findings[0].1 =
                    Finding::Image { tags: Tags::default(), resolved: image(2).digest };
            },
            &[(Warning, None, "have no earlier release to go back to: h1")],
        ),
    ]
};

#[test]
fn every_note_is_made_where_it_is_due() {
    for (name, change, expected) in CASES {
        let mut manifest = manifest("{}");
        let mut facts = facts(&manifest, 5);
        change(&mut manifest, &mut facts);
        let plan = plan_of(&manifest, &facts);
        let said: Vec<_> = plan
            .notes
            .iter()
            .map(|n| (n.severity, n.host.as_ref().map(number), n.text.as_str()))
            .collect();
        assert_eq!(said, *expected, "{name}");
    }
}

#[test]
fn what_is_agreed_to_is_what_will_be_done() {
    let mut manifest = manifest(r#"{ "canary": 1 }"#);
    manifest.hosts.spread = None;
    let fleet = facts(&manifest, 4);
    let agreed = plan_of(&manifest, &fleet);
    // A host whose turn is next anyhow is not well when it is asked again: that is said, and nothing else is done.
    let next = number(&agreed.waves[1].hosts[0]);
    let mut sick = fleet.clone();
    let next = sick.iter_mut().find(|host| number(&host.name) == next).unwrap();
    assert_ne!(next.healthy.replace(false), Some(false));
    let again = plan_of(&manifest, &sick);
    assert_ne!(again.notes, agreed.notes);
    assert_eq!(waves(&again), waves(&agreed));
    assert_eq!(again.hash(), agreed.hash());
    // Another canary is another plan.
    let canary = number(&agreed.waves[0].hosts[0]);
    let mut sick = fleet.clone();
    let canary = sick.iter_mut().find(|host| number(&host.name) == canary).unwrap();
    canary.healthy = Some(false);
    let other = plan_of(&manifest, &sick);
    assert_ne!(waves(&other), waves(&agreed));
    assert_ne!(other.hash(), agreed.hash());
    // And so is another way back.
    let mut other = agreed.clone();
    other.hosts[2].before.clear();
    other.hosts[2].from = Some("v0".parse().unwrap());
    assert_ne!(other.hash(), agreed.hash());
}

#[test]
fn a_host_that_does_not_find_the_image_has_what_it_runs_to_go_back_to() {
    let mut manifest = manifest("{}");
    manifest.gates = Some(Gates { image: true, ..Gates::default() });
    let mut facts = facts(&manifest, 3);
    let asked = &mut facts[1].findings[0];
    assert!(matches!(asked.0, Subject::Image { resolve: Some(_), .. }));
    asked.1 = Finding::Failed("the registry does not answer".to_owned());
    let plan = plan_of(&manifest, &facts);
    assert_eq!(plan.errors().count(), 0, "{:?}", plan.notes);
    assert_eq!(plan.hosts[1].before, plan.hosts[0].before);
    assert_eq!(plan.hosts[1].before.len(), 1);
}

//! What is asked before anything is touched: each gate failing, not able to tell, and overridden.

use std::time::{Duration, Instant};

use dv_e2e::{
    clock::WrongClock,
    forge::{Forge, REVIEWED, UNSEEN},
    manifest::{Manifest, Shape},
    scenario::Scenario,
    shell::Ran,
    wait::until,
};
use dv_types::{gate::Answer, record::PauseWhy, report::State};
use jiff::{ToSpan, Zoned};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(30);
const AGENT: &str = "dv-agent.service";

/// Every gate, and all of them content.
const GOOD: [(&str, &str); 5] = [
    ("reviewed", "{forge: github, repository: acme/debvisor, branch: main}"),
    ("tests", "{forge: github, repository: acme/debvisor, checks: [unit, e2e]}"),
    ("disk", "{path: /var/lib, free: 1MiB}"),
    ("clock_skew", "5s"),
    ("agent_version", "\"0.1.0\""),
];

struct Gates {
    scenario: Scenario,
    manifest: Manifest,
}

impl Gates {
    #[track_caller]
    fn begin(name: &str) -> Self {
        let scenario = Scenario::begin(name);
        let manifest = scenario
            .manifest(Shape::Unit)
            .with("max_parallel", "100%")
            .with("min_healthy_time", "0s");
        scenario.baseline(&manifest, "v1");
        Self { scenario, manifest }
    }

    /// The manifest with one gate that is not as the others; or a freeze beside them.
    fn with(&self, gate: &str, yaml: &str) -> Manifest {
        let mut gates: Vec<_> = GOOD.into_iter().filter(|(name, _)| *name != gate).collect();
        gates.push((gate, yaml));
        self.asking(&gates)
    }

    /// The manifest with these gates.
    fn asking(&self, gates: &[(&str, &str)]) -> Manifest {
        let lines: String =
            gates.iter().map(|(name, yaml)| format!("\n  {name}: {yaml}")).collect();
        self.manifest.clone().section("gates", &lines)
    }

    /// All of them content, of which two ask another forge.
    fn at(&self, forge: &str) -> Manifest {
        let ours = self.good().to_string();
        assert!(ours.contains("forge: github"), "there is a forge to replace: {ours}");
        let [reviewed, tests] = [GOOD[0].1, GOOD[1].1].map(|yaml| yaml.replace("github", forge));
        self.asking(&[("reviewed", &reviewed), ("tests", &tests)])
    }

    fn good(&self) -> Manifest {
        let (gate, yaml) = GOOD[0];
        self.with(gate, yaml)
    }

    fn start(&self, manifest: &Manifest, more: &[&str]) -> Ran {
        let start = self.scenario.starting(manifest, "v2");
        let start: Vec<_> = start.iter().map(String::as_str).chain(more.iter().copied()).collect();
        self.scenario.dvctl.run(&start)
    }

    /// The rollout failed at this gate, and nothing was touched.
    #[track_caller]
    fn fails(&self, gate: &str, manifest: &Manifest) {
        let ran = self.start(manifest, &[]).exits(4);
        assert!(ran.stdout.contains(&format!("gate {gate}: fail")), "{gate} failed\n{ran}");
        self.scenario.all_run(Shape::Unit, "v1");
    }

    /// The rollout waits for a person, because this gate can't tell.
    #[track_caller]
    fn cannot_tell(&self, gate: &str) {
        let state = self.scenario.report().state;
        let State::Paused(PauseWhy::Gate { gate: which, .. }) = &state else {
            panic!("it waits because of {gate}: {state:?}");
        };
        assert_eq!(which, gate);
        self.scenario.all_run(Shape::Unit, "v1");
    }

    /// It waits because of this gate, and a person goes on in spite of it.
    #[track_caller]
    fn goes_on(&self, gate: &str, reason: &str) -> Ran {
        self.cannot_tell(gate);
        self.say(&["override", gate, "--reason", reason]).exits(0);
        self.say(&["watch"])
    }

    fn say(&self, words: &[&str]) -> Ran {
        let id = self.scenario.report().rollout.to_string();
        let command: Vec<_> =
            ["rollout", words[0], &id].into_iter().chain(words[1..].iter().copied()).collect();
        self.scenario.dvctl.run(&command)
    }
}

/// From a day ago until a day from now.
fn freeze() -> String {
    let day = |zoned: Zoned| zoned.strftime("%Y-%m-%d").to_string();
    let now = Zoned::now();
    let (from, to) = (now.saturating_sub(2.days()), now.saturating_add(2.days()));
    format!("[{{name: holidays, from: \"{}\", to: \"{}\"}}]", day(from), day(to))
}

#[test]
fn each_gate_that_fails_ends_the_rollout_before_anything_is_touched() {
    let gates = Gates::begin("gates-fail");
    let mut forge = Forge::begin(&gates.scenario.bed, "v2");
    for (gate, yaml) in [
        ("disk", "{path: /var/lib, free: 900TiB}"),
        ("agent_version", "\"99.0.0\""),
        ("freeze", &freeze()),
    ] {
        gates.fails(gate, &gates.with(gate, yaml));
    }
    // Tested, and seen by nobody.
    let moved_to = |state: &mut Value, commit: &str| {
        state["branches"]["v2"] = json!(commit);
        for check in state["checks"].as_array_mut().expect("a list") {
            check["sha"] = json!(commit);
        }
    };
    forge.says(|state| moved_to(state, UNSEEN));
    gates.fails("reviewed", &gates.good());
    forge.says(|state| {
        moved_to(state, REVIEWED);
        state["checks"][1]["result"] = json!("failure");
    });
    gates.fails("tests", &gates.good());

    // The clock of one host is wrong.
    let _clock = WrongClock::on(gates.scenario.host("h4"), "+90s");
    let connected = || gates.scenario.dvctl.all_connected();
    until(SOON, "five hosts to be in contact", connected);
    forge.says(|state| state["checks"][1]["result"] = json!("success"));
    gates.fails("clock_skew", &gates.good());

    // And a person may go on in spite of all of them, loudly.
    forge.says(|state| {
        moved_to(state, UNSEEN);
        state["checks"][1]["result"] = json!("failure");
    });
    let bad = [
        GOOD[0],
        GOOD[1],
        ("disk", "{path: /var/lib, free: 900TiB}"),
        ("clock_skew", "5s"),
        ("agent_version", "\"99.0.0\""),
        ("freeze", &freeze()),
    ];
    let overrides: Vec<_> = bad.iter().flat_map(|(gate, _)| ["--override", gate]).collect();
    let reason = ["--reason", "the runner has no disk left"];
    let ran = gates.start(&gates.asking(&bad), &[&overrides[..], &reason].concat()).exits(0);
    assert!(ran.stdout.contains("OVERRIDDEN") && ran.stdout.contains("no disk left"), "{ran}");
    for (gate, _) in bad {
        let said = format!("gate {gate}: OVERRIDDEN by admin");
        assert!(ran.stdout.contains(&said), "who went on in spite of {gate}\n{ran}");
    }
    gates.scenario.all_run(Shape::Unit, "v2");
}

#[test]
fn gitlab_and_gitea_fail_do_not_answer_and_are_overridden() {
    let gates = Gates::begin("gates-forges");
    for name in ["gitlab", "gitea"] {
        gates.scenario.baseline(&gates.manifest, "v1");
        let mut forge = Forge::begin(&gates.scenario.bed, "v2");
        let manifest = gates.at(name);
        forge.says(|state| state["checks"][1]["result"] = json!("failure"));
        gates.fails("tests", &manifest);
        forge.says(|state| {
            state["checks"][1]["result"] = json!("success");
            // It stands on the branch, and no merge request brought it; or it was merged, and nobody has approved it.
            match name {
                "gitlab" => state["pulls"] = json!([]),
                _ => state["pulls"][0]["reviews"] = json!([]),
            }
        });
        gates.fails("reviewed", &manifest);

        forge.stop();
        gates.start(&manifest, &[]).exits(7);
        gates.goes_on("reviewed", "I have reviewed it").exits(7);
        let ran = gates.goes_on("tests", "I have run them").exits(0);
        assert!(ran.stdout.contains("I have run them"), "who went on and why is kept\n{ran}");
        gates.scenario.all_run(Shape::Unit, "v2");
    }
}

#[test]
fn a_forge_that_accepts_and_never_answers_is_not_waited_for_without_end() {
    let gates = Gates::begin("gates-hang");
    let mut forge = Forge::begin(&gates.scenario.bed, "v2");
    forge.says(|state| state["faults"] = json!([{"path": ".", "answer": "hang"}]));
    let began = Instant::now();
    gates.start(&gates.asking(&GOOD[..1]), &[]).exits(7);
    let waited = began.elapsed();
    assert!(
        (20..60).contains(&waited.as_secs()),
        "it was waited for, and not for long: {waited:?}"
    );
    gates.goes_on("reviewed", "I have reviewed it").exits(0);
    gates.scenario.all_run(Shape::Unit, "v2");
}

#[test]
fn a_gate_that_cannot_tell_waits_for_a_person() {
    let gates = Gates::begin("gates-silent");
    let mut forge = Forge::begin(&gates.scenario.bed, "v2");
    // Nobody answers.
    forge.stop();
    gates.start(&gates.good(), &[]).exits(7);
    gates.cannot_tell("reviewed");
    gates.say(&["resume", "--reason", "it may be back"]).exits(0);
    gates.say(&["watch"]).exits(7);
    gates.goes_on("reviewed", "I have reviewed it").exits(7);
    gates.cannot_tell("tests");

    // It answers, and the tests still run.
    forge.says(|state| {
        state["checks"][1]["result"] = json!("running");
        state["checks"][1]["ended"] = json!(null);
    });
    forge.start();
    gates.say(&["resume"]).exits(0);
    gates.say(&["watch"]).exits(7);
    gates.cannot_tell("tests");
    forge.says(|state| state["checks"][1]["result"] = json!("success"));
    gates.say(&["resume"]).exits(0);
    let ran = gates.say(&["watch"]).exits(0);
    assert!(ran.stdout.contains("I have reviewed it"), "who went on and why is kept\n{ran}");
    gates.scenario.all_run(Shape::Unit, "v2");
}

#[test]
fn a_host_that_does_not_say_waits_for_a_person() {
    let gates = Gates::begin("gates-host");
    let connected = || gates.scenario.dvctl.all_connected();
    let forge = Forge::begin(&gates.scenario.bed, "v2");
    forge.stop();
    gates.start(&gates.good(), &[]).exits(7);
    forge.start();
    // It has just been heard, and says nothing any more. All gates are asked again.
    let host = gates.scenario.host("h4");
    host.freeze(AGENT);
    gates.say(&["resume"]).exits(0);
    gates.say(&["watch"]).exits(7);
    let asked = gates.scenario.report().gates.into_iter();
    let unclear =
        asked.filter(|g| g.answer.as_ref().is_some_and(|a| a.answer == Answer::CannotTell));
    let mut unclear: Vec<_> = unclear.map(|g| g.gate).collect();
    unclear.sort();
    assert_eq!(unclear, ["clock_skew", "disk"], "what only the host can say");
    host.thaw(AGENT);
    until(SOON, "five hosts to be in contact", connected);
    // Where one is overridden, the other may be asked again, and hears the host.
    for gate in unclear {
        if matches!(gates.scenario.report().state, State::Paused(_)) {
            gates.goes_on(&gate, "I have looked");
        }
    }
    let ran = gates.say(&["watch"]).exits(0);
    assert!(ran.stdout.contains("I have looked"), "who went on and why is kept\n{ran}");
    gates.scenario.all_run(Shape::Unit, "v2");
}

//! Gates: what must hold before anything is touched.

use dv_rollout::Event;
use dv_types::{
    Plan, Span, WaitingOn,
    gate::Answer::{CannotTell, Fail, Pass},
    record::{PauseWhy, Verb, Verdict},
    report::{OnceState, State},
};
use serde_json::{Value, json};

use crate::{
    playbook::{HELPER, answer, done, plan_of, steps},
    world::{World, host},
};

const GATES: [&str; 3] = ["agent_version", "clock_skew", "disk"];

fn plan() -> Plan {
    let gates = json!({ "gates": {
        "agent_version": "0.1.0",
        "clock_skew": "2s",
        "disk": { "path": "/", "free": "1GiB" },
    } });
    let plan = plan_of(&json!({}), steps(&json!({ "host": "h90" })), gates, 4);
    assert_eq!(plan.gates, GATES);
    plan
}

fn override_of(gate: &str) -> Verb {
    Verb::Override { gate: gate.to_owned() }
}

impl World {
    fn answers(&mut self, answers: &[(&str, dv_types::gate::Answer)]) {
        self.turn(answers.iter().map(|(gate, says)| answer(gate, *says)).collect());
    }

    fn asked(&mut self) -> Vec<String> {
        std::mem::take(&mut self.asked)
    }

    fn is_untouched(&self) -> bool {
        let begun = self.report().once.iter().any(|once| once.state != OnceState::Pending);
        self.order().is_empty() && !begun && self.done.is_empty()
    }
}

#[test]
fn all_are_asked_at_once_and_nothing_is_begun_before_all_hold() {
    let mut world = World::new(plan());
    assert_eq!(world.asked(), GATES);
    for (i, gate) in GATES.iter().enumerate() {
        assert!(world.is_untouched());
        let open = GATES[i..].iter().map(ToString::to_string).collect();
        assert_eq!(world.report().waiting, [WaitingOn::Gates { gates: open }]);
        let hosts = world.report().hosts;
        assert!(hosts.iter().all(|h| matches!(h.waiting, Some(WaitingOn::Gates { .. }))));
        world.answers(&[(gate, Pass)]);
    }
    assert_eq!(world.told("backup"), [host(HELPER)]);
    world.run(done);
    assert_eq!(world.report().state, State::Ended(Verdict::Succeeded));
    assert_eq!(world.asked(), [""; 0], "none is asked again");
}

#[test]
fn a_new_coordinator_asks_those_that_have_not_answered() {
    let mut world = World::new(plan());
    world.asked();
    world.answers(&[("clock_skew", Pass), ("disk", CannotTell)]);
    world.crash();
    world.reconnect();
    assert_eq!(world.asked(), ["agent_version"]);
    assert!(world.is_untouched());
    world.answers(&[("agent_version", Pass)]);
    assert!(matches!(world.paused(), PauseWhy::Gate { gate, .. } if gate == "disk"));
    world.crash();
    assert_eq!(world.asked(), [""; 0], "an answer is an answer");
}

#[test]
fn one_that_fails_ends_it_before_anything_is_touched() {
    // Also where another could not tell: whatever a person found out, this one would still say no.
    for others in [Pass, CannotTell] {
        let mut world = World::new(plan());
        world.answers(&[("agent_version", others), ("clock_skew", Fail)]);
        assert_eq!(world.report().state, State::Running, "all are heard first");
        world.answers(&[("disk", others)]);
        assert_eq!(world.rollout.ended(), Some((Verdict::Failed, false)));
        assert!(world.is_untouched());
        let rejected = world.turn(vec![answer("disk", Pass)]);
        assert_eq!(rejected[0].why, "r7 has failed");
    }
}

#[test]
fn one_that_cannot_tell_pauses_and_going_on_asks_all_again() {
    let mut world = World::new(plan());
    world.asked();
    world.answers(&[("agent_version", CannotTell), ("clock_skew", Pass), ("disk", CannotTell)]);
    let why = PauseWhy::Gate {
        gate: "agent_version".to_owned(),
        why: "agent_version says cannot tell".to_owned(),
    };
    assert_eq!(world.paused(), why);
    assert_eq!(world.report().waiting, [WaitingOn::Resume { why }]);
    world.pass(Span::from_secs(86_400));
    assert!(world.is_untouched());
    world.operator(Verb::Resume).unwrap();
    // A day later what held may hold no longer.
    assert_eq!(world.asked(), ["agent_version", "clock_skew", "disk"]);
    world.answers(&[("agent_version", Pass), ("clock_skew", Pass), ("disk", CannotTell)]);
    assert!(matches!(world.paused(), PauseWhy::Gate { gate, .. } if gate == "disk"));
    world.operator(Verb::Resume).unwrap();
    assert_eq!(world.asked(), ["agent_version", "clock_skew", "disk"]);
    world.answers(&[("agent_version", Pass), ("clock_skew", Pass), ("disk", Pass)]);
    world.run(done);
    assert_eq!(world.report().state, State::Ended(Verdict::Succeeded));
}

#[test]
fn a_repeated_answer_is_no_news() {
    let mut world = World::new(plan());
    world.answers(&[("disk", Pass)]);
    let records = world.journal.len();
    world.answers(&[("disk", Fail)]);
    assert_eq!(world.journal.len(), records);
}

#[test]
fn a_gate_can_be_overridden_before_it_answers_while_paused_and_from_the_start() {
    // Before.
    let mut world = World::new(plan());
    world.operator(override_of("disk")).unwrap();
    world.answers(&[("agent_version", Pass), ("clock_skew", Pass)]);
    assert_eq!(world.told("backup").len(), 1);
    assert_eq!(world.report().gates[2].overridden.as_deref(), Some("alice"));
    let why = world.operator(override_of("disk")).unwrap_err();
    assert!(world.report().wave.0 > 0 && why.contains("passed already"), "{why}");

    // After it failed, while another has not answered: nothing has ended yet.
    let mut world = World::new(plan());
    world.answers(&[("disk", Fail), ("agent_version", Pass)]);
    world.operator(override_of("disk")).unwrap();
    world.answers(&[("clock_skew", Pass)]);
    assert_eq!(world.told("backup").len(), 1);

    // While paused: only by the one that it paused for does it go on.
    let mut world = World::new(plan());
    world.answers(&[("disk", CannotTell), ("agent_version", CannotTell), ("clock_skew", Pass)]);
    world.operator(override_of("disk")).unwrap();
    assert!(matches!(world.paused(), PauseWhy::Gate { gate, .. } if gate == "agent_version"));
    world.crash();
    world.reconnect();
    world.asked();
    world.operator(override_of("agent_version")).unwrap();
    // The other one held when it was asked, which may be long ago.
    assert_eq!(world.asked(), ["clock_skew"]);
    assert!(world.is_untouched());
    world.answers(&[("clock_skew", Pass)]);
    assert_eq!(world.told("backup").len(), 1);

    // From the start.
    let mut world = World::unstarted(plan());
    let start = |overrides: &[&str]| Event::Start {
        by: "alice".to_owned(),
        reason: None,
        overrides: overrides.iter().map(ToString::to_string).collect(),
    };
    let rejected = world.turn(vec![start(&["disk", "disc"])]);
    assert_eq!(rejected[0].why, "r7 has no gate disc: it has agent_version, clock_skew, disk");
    world.turn(vec![start(&["disk", "clock_skew"])]);
    assert_eq!(world.asked(), ["agent_version"]);
    world.reconnect();
    world.answers(&[("agent_version", Pass)]);
    world.run(done);
    assert_eq!(world.report().state, State::Ended(Verdict::Succeeded));
    let why = World::new(plan()).operator(override_of("disc")).unwrap_err();
    assert!(why.contains("has no gate disc"), "{why}");
}

#[test]
fn an_override_asks_no_gate_that_is_still_to_answer() {
    let mut world = World::new(plan());
    assert_eq!(world.asked(), GATES);
    world.operator(override_of("disk")).unwrap();
    assert_eq!(world.asked(), [""; 0], "both have been asked");
    world.answers(&[("agent_version", Pass)]);
    // Silent for too long, it is asked by nobody any more; the one that held is asked again.
    world.pass(world.rollout.plan().limits.progress_deadline);
    world.operator(override_of("clock_skew")).unwrap();
    assert_eq!(world.asked(), ["agent_version"]);
}

#[test]
fn a_gate_that_never_answers_is_a_question_for_a_person() {
    let mut world = World::new(plan());
    world.asked();
    world.answers(&[("agent_version", Pass)]);
    let deadline = world.rollout.plan().limits.progress_deadline;
    assert_eq!(world.rollout.next_deadline(), Some(deadline.after(world.now)));
    world.pass(deadline);
    let PauseWhy::Gate { gate, why } = world.paused() else { panic!("{:?}", world.paused()) };
    assert_eq!(
        (gate.as_str(), why),
        ("clock_skew", format!("it has not answered within {deadline}"))
    );
    world.operator(Verb::Resume).unwrap();
    assert_eq!(world.asked(), ["agent_version", "clock_skew", "disk"]);
    world.answers(&[("agent_version", Pass), ("clock_skew", Pass), ("disk", Pass)]);
    world.run(done);
    assert_eq!(world.report().state, State::Ended(Verdict::Succeeded));
}

#[test]
fn a_person_ends_it_while_gates_are_open() {
    for verb in [Verb::Abort, Verb::Rollback] {
        let mut world = World::new(plan());
        world.operator(verb).unwrap();
        assert_eq!(world.rollout.ended(), Some((Verdict::Aborted, false)));
    }
}

#[test]
fn paused_nothing_begins_although_the_gates_hold() {
    let mut world = World::new(plan());
    world.operator(Verb::Pause).unwrap();
    world.answers(&GATES.map(|gate| (gate, Pass)));
    assert!(world.is_untouched());
    world.operator(Verb::Resume).unwrap();
    assert_eq!(world.told("backup").len(), 1);
}

#[test]
fn a_rollout_without_gates_asks_none() {
    let world = World::new(plan_of(&json!({}), steps(&json!({})), Value::Null, 4));
    assert_eq!(world.asked, [""; 0]);
    assert_eq!(world.told("backup").len(), 1);
}

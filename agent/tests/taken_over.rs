//! A coordinator that was taken over: it has the right CA, the right key and any code it likes, and everything that was
//! ever signed. On a host whose policy demands signatures it can do nothing but what was signed for that host, once.

mod support;

use std::{fs, path::Path};

use dv_proto::v1::{self, to_agent};
use dv_types::{
    Command, Finding, OpResult, Operation, Span, Subject, Timestamp,
    probe::{Probe, Probing},
    warrant::{Back, HostWarrant, Leaf, Undo},
};
use support::{Agent, Coordinator, Host, SCRIPTS, Session, Signer, signer};

/// The host under attack.
struct Bench {
    coordinator: Coordinator,
    alice: Signer,
    host: Host,
    agent: Option<Agent>,
    session: Session,
}

impl Bench {
    async fn new() -> Self {
        let mut coordinator = Coordinator::start().await;
        let alice = Signer::new("alice");
        let host = Host::enrolled(&coordinator, &format!("{SCRIPTS}{}", alice.policy()));
        let agent = Some(host.start());
        let session = coordinator.welcomed(1).await;
        Self { coordinator, alice, host, agent, session }
    }

    /// An operation that leaves a line of itself.
    fn operation(&self, name: &str) -> Operation {
        let script = format!("echo {name} $1 >> {}", self.done().display());
        let argv = self.host.script(name, &script);
        Operation::Run { argv, timeout: Span::from_secs(60), repeatable: false }
    }

    fn operations<const N: usize>(&self, names: [&str; N]) -> [Operation; N] {
        names.map(|name| self.operation(name))
    }

    /// One with the rollout's number.
    fn numbered(&self, name: &str, number: &str) -> Operation {
        let mut operation = self.operation(name);
        let Operation::Run { argv, .. } = &mut operation else { unreachable!() };
        argv.push(number.to_owned());
        operation
    }

    fn done(&self) -> std::path::PathBuf {
        self.host.path("done")
    }

    /// What was carried out, in order.
    fn carried_out(&self) -> Vec<String> {
        lines(&self.done())
    }

    async fn hand(&self, warrant: &HostWarrant) {
        let warrant_json = dv_proto::to_json(warrant);
        self.session.say(to_agent::Message::Warrant(v1::Warrant { warrant_json })).await;
    }

    /// Commands it in the name of a warrant, and says what became of it.
    async fn tell(
        &mut self,
        warrant: &HostWarrant,
        back: bool,
        (id, attempt): (&str, u32),
        operation: &Operation,
    ) -> OpResult {
        let command =
            Command { id: id.parse().unwrap(), attempt, given: None, operation: operation.clone() };
        let command_json = dv_proto::to_json(&command);
        let warrant = signer::id(warrant).to_string();
        let message = v1::Command { command_json, warrant, back };
        self.session.say(to_agent::Message::Command(message)).await;
        // What a restart has left unacknowledged is told again in between.
        let outcome = loop {
            let outcome = self.session.outcome().await;
            if outcome.command.to_string() == id {
                break outcome;
            }
        };
        self.session.acknowledge(id).await;
        outcome.result
    }

    async fn obeyed(&mut self, warrant: &HostWarrant, id: &str, operation: &Operation) {
        let result = self.tell(warrant, false, (id, 1), operation).await;
        assert_eq!(result, OpResult::Done, "{id}");
    }

    async fn refused(&mut self, warrant: &HostWarrant, id: &str, operation: &Operation, why: &str) {
        let result = self.tell(warrant, false, (id, 1), operation).await;
        is_refused(&result, why);
    }

    /// The agent is started anew, and comes back.
    async fn restart(&mut self) {
        if let Some(agent) = self.agent.take() {
            agent.crash();
        }
        self.agent = Some(self.host.start());
        self.session = self.coordinator.welcomed(1).await;
    }
}

#[track_caller]
fn is_refused(result: &OpResult, why: &str) {
    match result {
        OpResult::Refused(said) => assert!(said.contains(why), "{said}"),
        other => panic!("it is not refused: {other}"),
    }
}

fn lines(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().map(|line| line.trim().to_owned()).collect()
}

fn leaf(host: &str, forward: &[Operation]) -> Leaf {
    signer::leaf(host, forward.to_vec())
}

#[tokio::test]
async fn what_was_signed_is_done_in_order_and_nothing_is_invented_altered_reordered_or_repeated() {
    let mut bench = Bench::new().await;
    let [one, two, evil] = bench.operations(["one", "two", "evil"]);
    let warrants = bench.alice.warrant(&[leaf("h1", &[one.clone(), two.clone()])], |_| {});
    let warrant = &warrants[0];

    // In nobody's name, and in that of a warrant that was never handed over.
    bench.session.command("r1-1", one.clone()).await;
    is_refused(&bench.session.outcome().await.result, "is not signed");
    bench.session.acknowledge("r1-1").await;
    bench.refused(warrant, "r1-2", &one, "was not handed over").await;

    bench.hand(warrant).await;
    bench.refused(warrant, "r1-3", &two, "the next operation of this host is `run /bin/sh").await;
    bench.refused(warrant, "r1-4", &evil, "the next operation").await;
    bench.obeyed(warrant, "r1-5", &one).await;
    // Again, under another number; and altered in one argument, or in its time limit.
    bench.refused(warrant, "r1-6", &one, "the next operation").await;
    let mut altered = bench.numbered("two", "more");
    bench.refused(warrant, "r1-7", &altered, "the next operation").await;
    altered = two.clone();
    if let Operation::Run { timeout, .. } = &mut altered {
        *timeout = Span::from_secs(61);
    }
    bench.refused(warrant, "r1-8", &altered, "the next operation").await;
    bench.obeyed(warrant, "r1-9", &two).await;

    // All of it once more: by the same rollout, as another attempt, by another one, after a restart, in another reign.
    bench.refused(warrant, "r1-10", &one, "no operation of this host comes next").await;
    is_refused(&bench.tell(warrant, false, ("r1-11", 2), &one).await, "a second time");
    bench.refused(warrant, "r7-1", &one, "a second time").await;
    bench.restart().await;
    bench.session.epoch = 900;
    bench.refused(warrant, "r8-1", &one, "a second time").await;
    bench.hand(warrant).await;
    bench.refused(warrant, "r9-1", &one, "a second time").await;
    assert_eq!(bench.carried_out(), ["one", "two"]);
}

#[tokio::test]
async fn another_host_s_plan_another_key_s_and_a_text_that_was_changed_are_refused() {
    let mut bench = Bench::new().await;
    let one = bench.operation("one");
    let both = [leaf("h1", &[]), leaf("h2", std::slice::from_ref(&one))];
    let warrants = bench.alice.warrant(&both, |_| {});
    bench.hand(&warrants[1]).await;
    bench.refused(&warrants[1], "r1-1", &one, "it is for h2, and this is h1").await;
    // This host's name on that leaf, and that leaf at this host's place.
    let mut forged = warrants[1].clone();
    forged.leaf = leaf("h1", std::slice::from_ref(&one)).text();
    bench.hand(&forged).await;
    bench.refused(&forged, "r1-2", &one, "not one of the warrant's").await;
    let misplaced = HostWarrant { leaf: forged.leaf.clone(), ..warrants[0].clone() };
    bench.hand(&misplaced).await;
    bench.refused(&misplaced, "r1-3", &one, "not one of the warrant's").await;

    // A key that the host does not trust, whatever it calls itself.
    let own = [leaf("h1", std::slice::from_ref(&one))];
    let mallory = Signer::new("mallory").warrant(&own, |_| {});
    bench.hand(&mallory[0]).await;
    bench.refused(&mallory[0], "r1-4", &one, "which signed.keys does not list").await;
    // A text that was changed after it was signed: another version, a later end, another root.
    let signed = bench.alice.warrant(&[leaf("h1", &[])], |_| {});
    let made = bench.alice.warrant(&own, |_| {});
    for (id, text) in [
        ("r1-5", signed[0].signed.text.replace("\"1.2\"", "\"1.3\"")),
        ("r1-6", made[0].signed.text.clone()),
    ] {
        let mut changed = made[0].clone();
        changed.signed.text = text;
        changed.signed.signature.clone_from(&signed[0].signed.signature);
        bench.hand(&changed).await;
        bench.refused(&changed, id, &one, "is not alice's for this text").await;
    }
    // A signature that alice has given for something else.
    let mut elsewhere = made[0].clone();
    elsewhere.signed = bench.alice.sign_for("git", &made[0].signed.text);
    bench.hand(&elsewhere).await;
    bench.refused(&elsewhere, "r1-7", &one, "is not alice's for this text").await;
    // No signature at all.
    let mut bare = made[0].clone();
    bare.signed.signature.clear();
    bench.hand(&bare).await;
    bench.refused(&bare, "r1-8", &one, "can't be read").await;
    assert_eq!(bench.carried_out(), [""; 0]);

    // And what was signed for this host is done.
    bench.hand(&made[0]).await;
    bench.obeyed(&made[0], "r1-9", &one).await;
    assert_eq!(bench.carried_out(), ["one"]);
}

#[tokio::test]
async fn what_expired_is_not_begun_yet_or_is_older_than_what_was_obeyed_is_refused() {
    let mut bench = Bench::new().await;
    let [old, new] = bench.operations(["old", "new"]);
    let now = Timestamp::now();
    let before = |seconds: i64| Timestamp::from_second(now.as_second() - seconds).unwrap();
    let leaves = |operation: &Operation| [leaf("h1", std::slice::from_ref(operation))];

    let expired = bench.alice.warrant(&leaves(&old), |warrant| {
        (warrant.made, warrant.not_before) = (before(7200), before(7200));
        warrant.not_after = before(3600);
    });
    let early =
        bench.alice.warrant(&leaves(&old), |w| w.not_before = Span::from_secs(600).after(now));
    // Whatever it says of itself, the host takes none that was signed longer ago than its policy's `max_age`.
    let stale = bench.alice.warrant(&leaves(&old), |warrant| {
        (warrant.made, warrant.not_before) = (before(90_000), before(90_000));
    });
    for (id, warrant, why) in [
        ("r1-1", &expired, "nothing is begun by it since"),
        ("r1-2", &early, "it holds from"),
        ("r1-3", &stale, "nothing is begun by it since"),
    ] {
        bench.hand(&warrant[0]).await;
        bench.refused(&warrant[0], id, &old, why).await;
    }

    // Two that hold, and the later one goes first: after it, the earlier one is worth nothing, forward and back.
    let mut first = leaf("h1", std::slice::from_ref(&old));
    first.back = vec![Back::Do(old.clone())];
    let first = bench.alice.warrant(&[first], |warrant| warrant.made = before(60));
    let second = bench.alice.warrant(&leaves(&new), |_| {});
    bench.hand(&first[0]).await;
    bench.hand(&second[0]).await;
    bench.obeyed(&second[0], "r2-1", &new).await;
    bench.refused(&first[0], "r1-4", &old, "sign it anew").await;
    is_refused(&bench.tell(&first[0], true, ("r3-1", 1), &old).await, "sign it anew");
    bench.restart().await;
    bench.hand(&first[0]).await;
    bench.refused(&first[0], "r1-5", &old, "sign it anew").await;
    assert_eq!(bench.carried_out(), ["new"]);
}

#[tokio::test]
async fn after_the_way_back_nothing_goes_forward_and_what_happens_once_happens_once() {
    let mut bench = Bench::new().await;
    let [one, two, undo] = bench.operations(["one", "two", "undo"]);
    let (migrate, unmigrate) =
        (bench.numbered("once", "${rollout}"), bench.numbered("unonce", "${rollout}"));
    let leaf = Leaf {
        once: vec![migrate],
        back: vec![Back::Do(undo.clone()), Back::Do(one.clone())],
        undo: vec![Undo { operation: unmigrate, of: Some(0) }],
        ..leaf("h1", &[one.clone(), two.clone()])
    };
    let warrants = bench.alice.warrant(&[leaf], |_| {});
    let warrant = &warrants[0];
    bench.hand(warrant).await;
    let once = |number: &str| bench.numbered("once", number);
    let (once, again, other) = (once("r1"), once("r2"), once("r1; evil"));
    bench.refused(warrant, "r1-1", &other, "the next operation").await;
    bench.obeyed(warrant, "r1-2", &once).await;
    bench.refused(warrant, "r1-3", &once, "happens once").await;
    bench.refused(warrant, "r2-1", &again, "happens once").await;
    bench.obeyed(warrant, "r1-4", &one).await;

    let unonce = bench.numbered("unonce", "r1");
    is_refused(&bench.tell(warrant, true, ("r3-1", 1), &two).await, "nothing like it");
    for (id, operation) in [("r3-2", &unonce), ("r3-3", &undo), ("r3-4", &one)] {
        assert_eq!(bench.tell(warrant, true, (id, 1), operation).await, OpResult::Done);
    }
    is_refused(&bench.tell(warrant, true, ("r3-5", 1), &undo).await, "nothing like it");
    is_refused(&bench.tell(warrant, true, ("r3-6", 1), &unonce).await, "happens once");
    bench.refused(warrant, "r1-5", &two, "goes back").await;
    bench.restart().await;
    bench.refused(warrant, "r4-1", &one, "goes back").await;
    bench.refused(warrant, "r4-2", &again, "goes back").await;
    assert_eq!(bench.carried_out(), ["once r1", "one", "unonce r1", "undo", "one"]);
}

#[tokio::test]
async fn a_key_that_is_taken_out_and_a_record_that_is_damaged_stop_everything() {
    let mut bench = Bench::new().await;
    let [one, two, three] = bench.operations(["one", "two", "three"]);
    let all = [one.clone(), two.clone(), three.clone()];
    let warrants = bench.alice.warrant(&[leaf("h1", &all)], |_| {});
    let warrant = &warrants[0];
    bench.hand(warrant).await;
    bench.obeyed(warrant, "r1-1", &one).await;
    let policy = |signer: &Signer| {
        fs::write(&bench.host.config.policy, format!("{SCRIPTS}{}", signer.policy()))
    };
    policy(&Signer::new("bob")).unwrap();
    bench.refused(warrant, "r1-2", &two, "which signed.keys does not list").await;
    let policy = |signer: &Signer| {
        fs::write(&bench.host.config.policy, format!("{SCRIPTS}{}", signer.policy()))
    };
    policy(&bench.alice).unwrap();
    bench.obeyed(warrant, "r1-3", &two).await;

    let file = bench.host.config.state_dir.join("warrants/shop.json");
    fs::write(&file, "half of it").unwrap();
    bench.restart().await;
    bench.hand(warrant).await;
    bench.refused(warrant, "r2-1", &one, "nobody knows what would be a repeat").await;
    let later = bench.alice.warrant(&[leaf("h1", &all)], |_| {});
    bench.hand(&later[0]).await;
    bench.refused(&later[0], "r3-1", &one, "can't be read").await;
    assert_eq!(bench.carried_out(), ["one", "two"]);
}

#[tokio::test]
async fn a_question_runs_no_command_but_those_listed_for_it() {
    let mut coordinator = Coordinator::start().await;
    let alice = Signer::new("alice");
    let host = Host::new(&coordinator.address, "");
    host.give_identity(&coordinator.authority, support::Life::Long);
    let done = host.path("done");
    let probe = host.script("probe", &format!("echo probe >> {}", done.display()));
    let evil = host.script("evil", &format!("echo evil >> {}", done.display()));
    let ask = format!("  ask: [[{}, {}]]\n", probe[0], probe[1]);
    fs::write(&host.config.policy, format!("{SCRIPTS}{}{ask}", alice.policy())).unwrap();
    let _agent = host.start();
    let mut session = coordinator.welcomed(1).await;

    let probing = |argv: &[String]| Probing {
        probes: vec![("live".to_owned(), Probe::Command { argv: argv.to_vec() })],
        interval: Span::from_millis(100),
        timeout: Span::from_secs(20),
        successes: 1,
    };
    let schema = [Subject::Schema { check: evil.clone() }];
    let (findings, healthy) = session.inspect(&schema, Some(&probing(&evil))).await;
    let Finding::Refused(why) = &findings[0] else { panic!("{findings:?}") };
    assert!(why.contains("signed.ask"), "{why}");
    assert_eq!(healthy, None);
    let watch =
        v1::Watch { service: "shop".to_owned(), probing_json: dv_proto::to_json(&probing(&evil)) };
    session.say(to_agent::Message::Watch(watch)).await;
    let health = session.hear(|message| match message {
        v1::from_agent::Message::Health(health) => Some(health),
        _ => None,
    });
    let health = health.await;
    assert!(!health.good && health.why.contains("signed.ask"), "{health:?}");
    session.say(to_agent::Message::Unwatch(v1::Unwatch { service: "shop".to_owned() })).await;
    let (_, healthy) = session.inspect(&[], Some(&probing(&probe))).await;
    assert_eq!(healthy, Some(true));
    assert_eq!(lines(&done), ["probe"]);
}

#[tokio::test]
async fn what_the_agent_died_in_is_done_again_under_its_own_number_only() {
    let mut bench = Bench::new().await;
    let begun = bench.host.path("begun");
    let script =
        format!("echo slow >> {}; touch {}; sleep 600", bench.done().display(), begun.display());
    let slow = Operation::Run {
        argv: bench.host.script("slow", &script),
        timeout: Span::from_secs(900),
        repeatable: true,
    };
    let [two] = bench.operations(["two"]);
    let warrants = bench.alice.warrant(&[leaf("h1", &[slow.clone(), two.clone()])], |_| {});
    let warrant = &warrants[0];
    bench.hand(warrant).await;
    let command =
        Command { id: "r1-1".parse().unwrap(), attempt: 1, given: None, operation: slow.clone() };
    let message = v1::Command {
        command_json: dv_proto::to_json(&command),
        warrant: signer::id(warrant).to_string(),
        back: false,
    };
    bench.session.say(to_agent::Message::Command(message.clone())).await;
    support::eventually("it is begun", || begun.exists()).await;
    // The end of it is not waited for.
    bench.refused(warrant, "r1-2", &two, "r1-1, which comes before it, was not done").await;
    bench.restart().await;
    fs::write(bench.host.path("slow"), format!("echo quick >> {}", bench.done().display()))
        .unwrap();
    bench.refused(warrant, "r1-3", &slow, "was not done").await;
    // The warrant is on the disk: it need not be handed over for that.
    bench.obeyed(warrant, "r1-1", &slow).await;
    bench.obeyed(warrant, "r1-4", &two).await;
    assert_eq!(bench.carried_out(), ["slow", "quick", "two"]);
}

use std::{fs, os::unix::fs::PermissionsExt};

use dv_proto::v1::{FromAgent, from_agent::Message};
use dv_types::{Commit, Evidence, Finding, Subject};
use futures_util::{Stream, StreamExt};

use super::*;
use crate::{
    inspect::inspect,
    ledger::Mark,
    operations::{checkout::tests::Repositories, testing},
    policy::Policy,
};

/// A runner whose policy lists a working tree.
struct Bench {
    repositories: Repositories,
    runner: Arc<Runner>,
    told: std::pin::Pin<Box<dyn Stream<Item = FromAgent> + Send>>,
}

impl Bench {
    async fn new() -> Self {
        let repositories = Repositories::new().await;
        let policy = repositories.path("policy.yaml");
        fs::write(&policy, format!("trees: {{{}: {{remote: origin}}}}", repositories.tree()))
            .unwrap();
        fs::set_permissions(&policy, PermissionsExt::from_mode(0o644)).unwrap();
        let ports = Ports {
            policy: Arc::new({
                let policy = policy.clone();
                move || Policy::load(&policy, true)
            }),
            ..testing::no_ports()
        };
        let config = Config { policy, ..testing::context(ports.clone(), Span::ZERO).config };
        let ledger = Ledger::open(
            Arc::clone(&ports.disk),
            repositories.path("ledger"),
            Timestamp::UNIX_EPOCH,
        )
        .unwrap();
        let warrants =
            Warrants::open(Arc::clone(&ports.disk), repositories.path("warrants")).unwrap();
        let (outbox, status) = (Arc::new(Outbox::default()), Arc::default());
        let told = Box::pin(outbox.open(Message::Heartbeat(Default::default())));
        let switches = Switches::of_test();
        let runner = Runner::new(config, ports, ledger, switches, warrants, outbox, status);
        let runner = Arc::new(runner);
        Self { repositories, runner, told }
    }

    fn checkout(&self, commit: &Commit) -> Operation {
        let (tree, commit) = (self.repositories.tree(), commit.clone());
        Operation::Checkout { tree, commit, timeout: Span::from_secs(60) }
    }

    fn command(&self, id: &str, operation: Operation) {
        let command = Command { id: id.parse().unwrap(), attempt: 1, given: None, operation };
        self.runner.command(command, Claim::default());
    }

    async fn outcome(&mut self) -> Outcome {
        loop {
            let told = tokio::time::timeout(Duration::from_secs(60), self.told.next());
            if let Some(FromAgent { message: Some(Message::Outcome(outcome)) }) =
                told.await.expect("an outcome is told")
            {
                return dv_proto::from_json("outcome_json", &outcome.outcome_json).unwrap();
            }
        }
    }

    async fn done(&mut self, id: &str, commit: &Commit) -> Outcome {
        self.command(id, self.checkout(commit));
        self.outcome().await
    }

    async fn finding(&self) -> Finding {
        let subject = Subject::Tree { tree: self.repositories.tree(), resolve: None };
        inspect(&self.runner, &[subject], None).await.0.remove(0)
    }
}

#[tokio::test]
async fn what_a_checkout_that_was_cut_off_has_left_stops_no_way_back() {
    let mut bench = Bench::new().await;
    let one = Commit::new(bench.repositories.git("tree", &["rev-parse", "HEAD"]).await).unwrap();
    let two = bench.repositories.commit("two").await;
    // git removes the old file, and then hangs in the filter that makes the new one.
    let begun = bench.repositories.path("begun");
    fs::write(bench.repositories.path("tree/.git/info/attributes"), "app filter=slow\n").unwrap();
    let smudge = format!("touch {}; exec sleep 600", begun.display());
    bench.repositories.git("tree", &["config", "filter.slow.smudge", &smudge]).await;
    bench.command("r1-1", bench.checkout(&two));
    let started = async {
        while !begun.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), started).await.expect("the filter is begun");
    bench.runner.cancel("r1-1".parse().unwrap());
    assert_eq!(bench.outcome().await.result, OpResult::Cancelled);
    fs::write(bench.repositories.path("tree/.git/info/attributes"), "").unwrap();
    fs::write(bench.repositories.path("tree/app"), "tw").unwrap();
    fs::write(bench.repositories.path("tree/.git/index.lock"), "").unwrap();

    // It is nobody's work: a plan may be made, and the way back is free.
    assert!(matches!(bench.finding().await, Finding::Tree { .. }), "{:?}", bench.finding().await);
    let outcome = bench.done("r2-1", &one).await;
    assert_eq!(outcome.result, OpResult::Done, "{:?}", outcome.output);
    assert_eq!(bench.repositories.app(), "one");
    // From now on it is as it ever was: what is changed here is somebody's work.
    fs::write(bench.repositories.path("tree/app"), "a hot fix").unwrap();
    for id in ["r3-1", "r3-2"] {
        assert!(matches!(bench.done(id, &two).await.result, OpResult::Refused(_)), "{id}");
    }
    assert_eq!(bench.repositories.app(), "a hot fix");
}

#[tokio::test]
async fn local_changes_are_found_when_the_plan_is_made() {
    let bench = Bench::new().await;
    assert!(matches!(bench.finding().await, Finding::Tree { .. }));
    fs::write(bench.repositories.path("tree/untracked"), "may stay").unwrap();
    assert!(matches!(bench.finding().await, Finding::Tree { .. }));
    fs::write(bench.repositories.path("tree/app"), "a hot fix").unwrap();
    let Finding::Failed(why) = bench.finding().await else { panic!("they were not found") };
    assert!(why.contains(": app; commit or revert them on the host"), "{why}");
}

#[tokio::test]
async fn what_was_there_before_is_what_was_there_before_the_crash() {
    let mut bench = Bench::new().await;
    let one = Commit::new(bench.repositories.git("tree", &["rev-parse", "HEAD"]).await).unwrap();
    let two = bench.repositories.commit("two").await;
    assert_eq!(bench.done("r1-1", &two).await.result, OpResult::Done);
    let id = "r1-1".parse().unwrap();
    let Known::Ended(ended) = bench.runner.known(id).await else { panic!("it has ended") };
    assert_eq!(ended.mark, Some(Mark::Commit { commit: one.clone() }));

    // The agent died between the last step and the outcome.
    let intent = Entry { outcome: None, ..ended };
    bench.runner.ledger.write(&intent).unwrap();
    let outcome = bench.done("r1-1", &two).await;
    assert_eq!(outcome.evidence, Some(Evidence::Commit { before: one, after: two }));
}

#[tokio::test]
async fn a_checkout_that_died_with_the_agent_and_is_called_off_is_unfinished() {
    let mut bench = Bench::new().await;
    let two = bench.repositories.commit("two").await;
    let id = "r1-1".parse().unwrap();
    bench.runner.ledger.write(&bench.runner.entry(id, Some(bench.checkout(&two)))).unwrap();
    bench.runner.cancel(id);
    assert!(matches!(bench.outcome().await.result, OpResult::Unknown(_)));
    assert!(bench.runner.is_unfinished(&bench.repositories.tree()).await);
}

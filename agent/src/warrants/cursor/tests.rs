use dv_types::{
    Digest, Span,
    operation::UnitVerb,
    outcome::ImageId,
    warrant::{Back, Undo},
};

use super::*;

fn unit(name: &str) -> Operation {
    Operation::Unit { unit: name.to_owned(), verb: UnitVerb::Restart, timeout: Span::from_secs(9) }
}

fn run(argv: &[&str]) -> Operation {
    let argv = argv.iter().map(|a| (*a).to_owned()).collect();
    Operation::Run { argv, timeout: Span::from_secs(9), repeatable: false }
}

fn image(c: char) -> ImageId {
    let id = Digest::new(format!("sha256:{}", String::from(c).repeat(64))).unwrap();
    ImageId { id, digest: None }
}

fn tag(c: char) -> Operation {
    Operation::TagImage { repository: "r/app".to_owned(), digest: image(c).id }
}

fn restore(c: char) -> Operation {
    Operation::RestoreTags { repository: "r/app".to_owned(), latest: image(c), previous: None }
}

fn tags(c: char) -> Mark {
    Mark::Tags { tags: Tags { latest: Some(image(c)), previous: None } }
}

fn leaf() -> Leaf {
    Leaf {
        host: "h1".parse().unwrap(),
        attempts: 2,
        forward: vec![tag('b'), unit("a.service"), unit("b.service")],
        once: vec![run(&["/bin/once", "${rollout}"])],
        back: vec![
            Back::Tags { repository: "r/app".to_owned() },
            Back::Do(unit("a.service")),
            Back::Do(unit("b.service")),
        ],
        undo: vec![Undo { operation: run(&["/bin/undo", "${rollout}"]), of: Some(0) }],
    }
}

/// A host, and what its ledger knows.
struct Bench {
    leaf: Leaf,
    cursor: Cursor,
    ledger: BTreeMap<CommandId, Standing>,
}

impl Bench {
    fn new() -> Self {
        Self { leaf: leaf(), cursor: Cursor::default(), ledger: BTreeMap::new() }
    }

    /// Lets it in, and does it with this end.
    fn with(
        &mut self,
        id: &str,
        attempt: u32,
        back: bool,
        operation: Operation,
        end: Standing,
    ) -> Result<(), String> {
        let command = Command { id: id.parse().unwrap(), attempt, given: None, operation };
        let now = tags('a');
        let now = matches!(command.operation, Operation::TagImage { .. }).then_some(&now);
        let step = Step { command: &command, back, now, ledger: &self.ledger };
        self.cursor = self.cursor.after(&self.leaf, &step)?;
        self.ledger.insert(command.id, end);
        Ok(())
    }

    fn go(&mut self, id: &str, operation: Operation) -> Result<(), String> {
        self.with(id, 1, false, operation, Standing::Done)
    }

    fn back(&mut self, id: &str, operation: Operation) -> Result<(), String> {
        self.with(id, 1, true, operation, Standing::Done)
    }
}

#[track_caller]
fn refused(result: Result<(), String>, why: &str) {
    let said = result.expect_err("it is let in");
    assert!(said.contains(why), "{said}");
}

#[test]
fn forward_goes_in_order_and_once() {
    let mut bench = Bench::new();
    refused(
        bench.go("r1-1", unit("a.service")),
        "next operation of this host is `tag r/app:latest`",
    );
    refused(bench.go("r1-1", tag('c')), "next operation");
    bench.go("r1-1", tag('b')).unwrap();
    refused(bench.go("r1-2", tag('b')), "restart a.service");
    refused(bench.go("r1-2", unit("b.service")), "restart a.service");
    bench.go("r1-3", unit("a.service")).unwrap();
    bench.go("r1-4", unit("b.service")).unwrap();
    refused(bench.go("r1-5", tag('b')), "no operation of this host comes next");
    // Not in another attempt either, nor by another rollout.
    refused(bench.with("r1-5", 2, false, tag('b'), Standing::Done), "a second time");
    refused(bench.go("r2-1", tag('b')), "a second time");
    // The same number again is for the ledger to answer, and not to be done.
    refused(bench.go("r1-4", unit("b.service")), "done already");
    refused(bench.go("r1-4", unit("a.service")), "something else");
}

#[test]
fn the_next_one_waits_for_the_one_before_it_and_attempts_are_counted() {
    let mut bench = Bench::new();
    bench.with("r1-1", 1, false, tag('b'), Standing::Open).unwrap();
    refused(bench.go("r1-2", unit("a.service")), "r1-1, which comes before it, was not done");
    bench.ledger.insert("r1-1".parse().unwrap(), Standing::NotDone);
    refused(bench.go("r1-2", unit("a.service")), "was not done");
    // The same once more, after the agent died in it.
    bench.with("r1-1", 1, false, tag('b'), Standing::NotDone).unwrap();
    bench.with("r1-2", 2, false, tag('b'), Standing::NotDone).unwrap();
    refused(bench.with("r1-3", 1, false, tag('b'), Standing::Done), "a later attempt");
    refused(bench.with("r1-3", 3, false, tag('b'), Standing::Done), "2 times");
}

#[test]
fn the_way_back_is_to_what_the_host_has_seen_and_ends_the_way_forward() {
    let mut bench = Bench::new();
    bench.go("r1-1", tag('b')).unwrap();
    refused(bench.back("r2-1", restore('c')), "nothing like it");
    refused(bench.back("r2-1", tag('b')), "nothing like it");
    bench.back("r2-1", restore('a')).unwrap();
    refused(bench.go("r1-2", unit("a.service")), "goes back");
    refused(bench.go("r3-1", tag('b')), "goes back");
    // What was never begun may be left out, and nothing comes twice or out of order.
    bench.back("r2-2", unit("b.service")).unwrap();
    refused(bench.back("r2-3", unit("a.service")), "nothing like it");
    refused(bench.back("r2-3", unit("b.service")), "nothing like it");
    bench.with("r2-3", 2, true, restore('a'), Standing::Done).unwrap();
    refused(bench.with("r2-4", 3, true, restore('a'), Standing::Done), "2 times");
}

#[test]
fn what_happens_once_happens_once_and_is_undone_under_its_own_number() {
    let mut bench = Bench::new();
    let once = |number: &str| run(&["/bin/once", number]);
    let undo = |number: &str| run(&["/bin/undo", number]);
    refused(bench.go("r1-1", once("r2")), "next operation");
    refused(bench.back("r2-1", undo("r1")), "nothing like it");
    bench.with("r1-1", 1, false, once("r1"), Standing::Open).unwrap();
    refused(bench.go("r1-2", once("r1")), "has not ended");
    bench.ledger.insert("r1-1".parse().unwrap(), Standing::NotDone);
    bench.go("r1-2", once("r1")).unwrap();
    refused(bench.go("r1-3", once("r1")), "happens once");
    refused(bench.go("r3-1", once("r3")), "happens once");
    refused(bench.back("r2-1", undo("r2")), "nothing like it");
    bench.back("r2-1", undo("r1")).unwrap();
    refused(bench.back("r2-2", undo("r1")), "happens once");
    refused(bench.go("r1-4", tag('b')), "goes back");
}

#[test]
fn a_switch_may_be_left_out_and_nothing_else() {
    let mut bench = Bench::new();
    let arm = Operation::Arm { within: Span::from_secs(60), revert: vec![restore('a')] };
    bench.leaf.forward.insert(0, arm.clone());
    bench.leaf.forward.push(Operation::Confirm);
    let other = Operation::Arm { within: Span::from_secs(60), revert: vec![restore('c')] };
    refused(bench.go("r1-1", other), "arm");
    let mut without = Bench { leaf: bench.leaf.clone(), ..Bench::new() };
    for (number, operation) in [("r1-1", arm), ("r1-2", tag('b')), ("r1-3", unit("a.service"))] {
        bench.go(number, operation).unwrap();
    }
    refused(bench.go("r1-4", Operation::Confirm), "restart b.service");
    bench.go("r1-4", unit("b.service")).unwrap();
    bench.go("r1-5", Operation::Confirm).unwrap();

    for (number, operation) in
        [("r1-1", tag('b')), ("r1-2", unit("a.service")), ("r1-3", unit("b.service"))]
    {
        without.go(number, operation).unwrap();
    }
    refused(without.go("r2-1", tag('b')), "a second time");
}

//! A host turns bad after it was called healthy.

use dv_rollout::Event;
use dv_types::{
    OpResult, Operation, Span, WaitingOn,
    record::{PauseWhy, Verb, Verdict},
    report::{Phase, State},
};

use crate::world::{World, host, number, plan, reverse};

const SECOND: Span = Span::from_secs(1);
/// The defaults of a manifest.
const HEALTHY_DEADLINE: u64 = 300;
const MIN_HEALTHY_TIME: u64 = 10;

fn done(_: usize, _: &Operation) -> OpResult {
    OpResult::Done
}

impl World {
    fn probes(&mut self, n: usize, good: bool) {
        let why = (!good).then(|| "ready: 503".to_owned());
        self.turn(vec![Event::Health { host: host(n), good, why }]);
    }

    /// Seconds pass one by one.
    fn wait(&mut self, seconds: u64) {
        (0..seconds).for_each(|_| self.pass(SECOND));
    }

    /// The host that is under way is brought to its end.
    fn finish(&mut self, n: usize) {
        while self.phase(n) != Phase::Healthy {
            assert!(self.carry_out(n, |_| OpResult::Done), "{:#?}", self.report());
        }
    }

    /// The first host of the plan is healthy, long after it came into contact, and the second is under way.
    fn first_is_healthy(strategy: &str, hosts: usize) -> (Self, usize, usize) {
        let mut world = Self::new(plan(strategy, hosts));
        world.wait(60);
        let order: Vec<_> =
            world.rollout.plan().waves.iter().flat_map(|w| &w.hosts).map(number).collect();
        world.finish(order[0]);
        (world, order[0], order[1])
    }

    fn why(&self, n: usize) -> String {
        let hosts = self.report().hosts;
        hosts.into_iter().find(|h| h.name == host(n)).unwrap().why.unwrap_or_default()
    }
}

#[test]
fn it_holds_the_next_host_until_it_has_been_well_for_long_enough() {
    let (mut world, first, second) = World::first_is_healthy("{}", 3);
    world.wait(60);
    world.probes(first, false);
    let since = world.now;
    // What has begun is brought to its end; nothing else is begun.
    world.finish(second);
    assert_eq!(world.order().len(), 2);
    let until = Span::from_secs(HEALTHY_DEADLINE).after(since);
    let bad = WaitingOn::Recovery { hosts: vec![host(first)], since, until };
    assert_eq!(world.report().waiting, std::slice::from_ref(&bad));
    let third = world.report().hosts.pop().unwrap();
    assert_eq!((third.phase, third.waiting), (Phase::Pending, Some(bad)));

    world.wait(5);
    world.probes(first, true);
    world.wait(MIN_HEALTHY_TIME - 1);
    assert_eq!(world.order().len(), 2, "good, but not for min_healthy_time");
    world.wait(1);
    assert_eq!(world.order().len(), 3);
    world.run(done);
    assert_eq!(world.report().state, State::Ended(Verdict::Succeeded));
}

#[test]
fn it_has_failed_when_it_stays_bad() {
    let (mut world, first, second) = World::first_is_healthy("{}", 3);
    world.probes(first, false);
    world.finish(second);
    world.wait(HEALTHY_DEADLINE - 1);
    assert_eq!((world.phase(first), world.report().state), (Phase::Healthy, State::Running));
    world.wait(1);
    assert_eq!(world.phase(first), Phase::Failed);
    let why = world.why(first);
    assert!(why.contains("was healthy, and turned bad at") && why.contains("ready: 503"), "{why}");
    assert_eq!(world.rollout.ended(), Some((Verdict::Failed, true)), "max_failures, on_failure");
    let back = reverse(&world.rollout, &[], false);
    assert_eq!(back.waves[0].hosts[0], host(first), "the host that is down goes first");
    assert_eq!(back.hosts.len(), 2);
}

#[test]
fn it_counts_in_max_failures_like_any_other() {
    let (mut world, first, second) = World::first_is_healthy(r#"{ "max_failures": 1 }"#, 3);
    world.probes(first, false);
    world.finish(second);
    world.wait(HEALTHY_DEADLINE);
    world.run(done);
    assert_eq!(world.report().state, State::Ended(Verdict::Succeeded));
    assert_eq!((world.report().totals.healthy, world.report().totals.failed), (2, 1));
}

#[test]
fn one_that_comes_and_goes_is_not_well_in_between() {
    let (mut world, first, second) = World::first_is_healthy("{}", 3);
    world.probes(first, false);
    world.finish(second);
    for _ in 0..HEALTHY_DEADLINE / 12 {
        world.wait(6);
        world.probes(first, true);
        world.wait(6);
        world.probes(first, false);
        assert_eq!(world.order().len(), 2, "nothing is begun in a good moment");
    }
    assert_eq!(world.phase(first), Phase::Failed, "{:#?}", world.report());
}

#[test]
fn a_run_of_good_rounds_at_the_deadline_may_be_finished() {
    for (stays, phase) in [(true, Phase::Healthy), (false, Phase::Failed)] {
        let (mut world, first, second) = World::first_is_healthy("{}", 3);
        world.probes(first, false);
        world.finish(second);
        world.wait(HEALTHY_DEADLINE - 1);
        world.probes(first, true);
        world.wait(2);
        assert_eq!(world.phase(first), Phase::Healthy);
        world.probes(first, stays);
        world.wait(MIN_HEALTHY_TIME - 2);
        assert_eq!(world.phase(first), phase);
        assert_eq!(world.order().len(), if stays { 3 } else { 2 });
    }
}

#[test]
fn hosts_that_relapse_in_turns_are_no_progress() {
    let (mut world, first, second) = World::first_is_healthy(r#"{ "canary": 0 }"#, 3);
    world.probes(first, false);
    world.finish(second);
    // One of them is bad at any time, and neither for healthy_deadline.
    for _ in 0..30 {
        world.probes(second, false);
        world.probes(first, true);
        world.wait(12);
        world.probes(first, false);
        world.probes(second, true);
        world.wait(12);
    }
    assert_eq!(world.report().state, State::Paused(PauseWhy::NoProgress));
    assert_eq!(world.order().len(), 2);
}

#[test]
fn the_end_waits_until_it_is_known_how_it_ends() {
    for (recovers, end) in [(true, (Verdict::Succeeded, false)), (false, (Verdict::Failed, true))] {
        let (mut world, first, second) = World::first_is_healthy("{}", 2);
        world.probes(first, false);
        world.finish(second);
        assert_eq!(world.rollout.ended(), None);
        assert!(matches!(world.report().waiting[..], [WaitingOn::Recovery { .. }]));
        world.probes(first, recovers);
        world.wait(HEALTHY_DEADLINE);
        assert_eq!(world.rollout.ended(), Some(end));
    }
}

#[test]
fn a_canary_that_is_bad_now_can_not_be_promoted() {
    let (mut world, first, _) = World::first_is_healthy(r#"{ "canary": 1 }"#, 3);
    assert_eq!(world.report().state, State::AwaitingPromotion);
    world.wait(3600);
    world.probes(first, false);
    assert_eq!(world.report().state, State::Running, "no person is asked to promote it");
    assert!(matches!(world.report().waiting[..], [WaitingOn::Recovery { .. }]));
    let why = world.operator(Verb::Promote).unwrap_err();
    assert!(why.contains(&format!("{} turned bad at", host(first))), "{why}");
    assert!(why.contains("ready: 503") && why.contains("dvctl rollback r7"), "{why}");
    world.probes(first, true);
    let why = world.operator(Verb::Promote).unwrap_err();
    assert!(why.contains("is good again only since"), "{why}");
    world.wait(MIN_HEALTHY_TIME);
    assert_eq!(world.report().state, State::AwaitingPromotion);
    world.operator(Verb::Promote).unwrap();
    world.run(done);
    assert_eq!(world.report().state, State::Ended(Verdict::Succeeded));
}

#[test]
fn a_canary_that_stays_bad_goes_back() {
    let (mut world, first, _) = World::first_is_healthy(r#"{ "canary": 1 }"#, 3);
    world.wait(3600);
    world.probes(first, false);
    world.wait(HEALTHY_DEADLINE);
    assert_eq!(world.rollout.ended(), Some((Verdict::Failed, true)));
    assert_eq!(world.report().totals.touched, 1);
}

#[test]
fn a_promoted_canary_that_turns_bad_holds_the_batches() {
    let strategy = r#"{ "canary": 1, "auto_promote": true }"#;
    let (mut world, first, second) = World::first_is_healthy(strategy, 4);
    world.probes(first, false);
    world.finish(second);
    world.wait(60);
    assert_eq!(world.order().len(), 2);
}

#[test]
fn its_time_does_not_run_out_while_nobody_could_hear_it() {
    let (mut world, first, second) = World::first_is_healthy("{}", 3);
    world.probes(first, false);
    world.finish(second);
    // The coordinator was away for longer than healthy_deadline.
    world.now = Span::from_secs(2 * HEALTHY_DEADLINE).after(world.now);
    world.crash();
    assert_eq!(world.phase(first), Phase::Healthy);
    (1..=3).for_each(|n| world.connect(n));
    world.wait(5);
    world.probes(first, true);
    world.wait(60);
    assert_eq!(world.phase(first), Phase::Healthy);
    world.run(done);
    assert_eq!(world.report().state, State::Ended(Verdict::Succeeded));
}

#[test]
fn lost_contact_is_no_way_out_of_it() {
    let (mut world, first, second) = World::first_is_healthy("{}", 3);
    world.probes(first, false);
    world.finish(second);
    world.probes(first, true);
    world.disconnect(first);
    world.wait(HEALTHY_DEADLINE);
    assert_eq!(world.phase(first), Phase::Failed);
    assert!(world.why(first).contains("not in contact since"), "{}", world.why(first));
}

#[test]
fn a_rollback_holds_no_host_on_the_bad_version_for_another() {
    let mut world = World::new(plan("{}", 3));
    world.run(done);
    let mut back = World::new(reverse(&world.rollout, &[], false));
    let first = number(&back.order()[0]);
    back.finish(first);
    back.probes(first, false);
    back.run(done);
    assert_eq!(back.report().totals.healthy, 3);
    assert_eq!(back.rollout.ended(), None, "but its end says the truth");
    back.wait(HEALTHY_DEADLINE);
    assert_eq!(back.rollout.ended(), Some((Verdict::Failed, false)));
}

//! The service is watched, and judged, before anything goes on.

use dv_rollout::Event;
use dv_types::{
    Fact, OpResult, Operation, Plan, Sample, Span, WaitingOn,
    manifest::Monitor,
    monitor::{
        MonitorVerdict::{self, Fail, Inconclusive, Pass},
        Seen, Watching,
    },
    record::{Condemner, PauseWhy, Verb, Verdict},
    report::{Phase, State},
};

use crate::world::{World, plan, reverse};

const INTERVAL: Span = Span::from_secs(10);
/// Intervals in the canary's window, and in the fleet's.
const CANARY: u32 = 12;
const FLEET: u32 = 30;

fn done(_: usize, _: &Operation) -> OpResult {
    OpResult::Done
}

fn watched(strategy: &str, change: impl FnOnce(&mut Monitor)) -> Plan {
    let mut monitor: Monitor = serde_json::from_str(
        r#"{ "duration": "5m", "canary": "2m", "interval": "10s", "thresholds": { "error_percent": 1 } }"#,
    )
    .unwrap();
    change(&mut monitor);
    Plan { monitor: Some(monitor), ..plan(strategy, 4) }
}

fn sample(errors: f64) -> Sample {
    let seen = |errors| Seen { hosts: 1, requests: 100.0, errors, latency_p99: Some(0.05) };
    Sample { new: seen(errors), old: Some(seen(0.0)), trouble: None }
}

impl World {
    /// An interval passes, and something is seen in it.
    fn see(&mut self, sample: Sample) {
        self.now = INTERVAL.after(self.now);
        self.turn(vec![Event::Sampled { sample }]);
    }

    /// So many intervals without errors.
    fn see_no_errors(&mut self, intervals: u32) {
        (0..intervals).for_each(|_| self.see(sample(0.0)));
    }

    fn verdicts(&self) -> Vec<(Watching, MonitorVerdict)> {
        let judged = self.facts().filter_map(|fact| match fact {
            Fact::Judged { watching, judgement } => Some((*watching, judgement.verdict)),
            _ => None,
        });
        judged.collect()
    }

    fn samples(&self) -> usize {
        self.facts().filter(|fact| matches!(fact, Fact::Sampled { .. })).count()
    }

    fn monitored_until(&self) -> Span {
        match self.report().waiting[..] {
            [WaitingOn::Monitor { until }] => Span::between(self.now, until),
            ref other => panic!("it waits on {other:?}"),
        }
    }
}

const AUTO: &str = r#"{ "canary": 1, "auto_promote": true, "max_parallel": 4 }"#;

#[test]
fn a_canary_that_is_watched_holds_the_others() {
    let mut world = World::new(watched(AUTO, |_| ()));
    world.run(done);
    assert_eq!(world.report().totals.touched, 1);
    assert!(world.sampling);
    assert_eq!(world.monitored_until(), Span::from_secs(120));
    let text = world.report().waiting[0].to_string();
    assert!(text.starts_with("the monitor, which watches until 2027-"), "{text}");

    world.see_no_errors(CANARY - 1);
    assert_eq!(world.report().totals.touched, 1, "a pass waits for the end of the window");
    assert_eq!(world.monitored_until(), INTERVAL);
    world.see_no_errors(1);
    assert_eq!(world.verdicts(), [(Watching::Canary, Pass)]);
    world.run(done);
    assert_eq!(world.report().totals.healthy, 4);

    // And again after the last host.
    assert!(world.sampling);
    assert_eq!(world.monitored_until(), Span::from_secs(300));
    world.see_no_errors(FLEET);
    assert_eq!(world.verdicts(), [(Watching::Canary, Pass), (Watching::Fleet, Pass)]);
    assert_eq!(world.rollout.ended(), Some((Verdict::Succeeded, false)));
    assert!(!world.sampling);
    let report = world.report();
    assert_eq!(report.monitor.len(), 2);
    assert_eq!(report.monitor[1].samples, FLEET);
    let why = &report.monitor[1].judgement.as_ref().unwrap().why;
    assert!(why.starts_with("0.0 % of 3000 requests failed (threshold 1 %)"), "{why}");
}

#[test]
fn a_canary_can_not_be_promoted_while_it_is_watched() {
    let mut world = World::new(watched(r#"{ "canary": 1 }"#, |_| ()));
    world.run(done);
    world.operator(Verb::Promote).unwrap_err();
    world.see_no_errors(CANARY);
    assert_eq!(world.report().state, State::AwaitingPromotion);
    world.operator(Verb::Promote).unwrap();
    world.run(done);
    assert_eq!(world.report().totals.healthy, 4);
}

#[test]
fn a_bad_version_goes_back_as_soon_as_it_is_plain() {
    let mut world = World::new(watched(AUTO, |_| ()));
    world.run(done);
    let began = world.now;
    while world.rollout.ended().is_none() {
        world.see(sample(5.0));
    }
    assert_eq!(Span::between(began, world.now), Span::from_secs(30), "of two minutes");
    assert_eq!(world.rollout.ended(), Some((Verdict::Failed, true)));
    assert_eq!(world.verdicts(), [(Watching::Canary, Fail)]);
    assert!(!world.sampling);
    let condemned = world.facts().find_map(|fact| match fact {
        Fact::Condemned { by: Condemner::Monitor, why } => Some(why.clone()),
        _ => None,
    });
    let why = "5.0 % of 300 requests failed (threshold 1 %), old hosts 0.0 %";
    assert_eq!(condemned.as_deref(), Some(why));
    assert_eq!(world.report().totals.touched, 1);
    // The way back is watched by probes alone.
    let back = reverse(&world.rollout, &[], false);
    assert_eq!((back.hosts.len(), back.monitor), (1, None));
}

#[test]
fn a_bad_fleet_goes_back_whole() {
    let mut world = World::new(watched(AUTO, |monitor| monitor.canary = Span::ZERO));
    world.run(done);
    assert_eq!(world.report().totals.healthy, 4);
    (0..3).for_each(|_| world.see(sample(5.0)));
    assert_eq!(world.rollout.ended(), Some((Verdict::Failed, true)));
    assert_eq!(reverse(&world.rollout, &[], false).hosts.len(), 4);
}

#[test]
fn on_failure_pause_leaves_it_to_a_person() {
    let strategy = r#"{ "canary": 1, "auto_promote": true, "on_failure": "pause" }"#;
    let mut world = World::new(watched(strategy, |_| ()));
    world.run(done);
    (0..3).for_each(|_| world.see(sample(5.0)));
    let State::Paused(PauseWhy::Condemned { by: Condemner::Monitor, why }) = world.report().state
    else {
        panic!("{:#?}", world.report())
    };
    assert!(why.starts_with("5.0 % of 300 requests failed"), "{why}");
    assert!(!world.sampling);
    world.pass(Span::from_secs(3600));
    assert_eq!(world.report().totals.touched, 1);
    // Somebody who knows better.
    world.operator(Verb::Resume).unwrap();
    world.run(done);
    assert_eq!(world.report().totals.healthy, 4);
}

#[test]
fn too_little_to_tell_pauses_and_goes_on_when_resumed() {
    let mut world = World::new(watched(AUTO, |_| ()));
    world.run(done);
    let quiet = Seen { hosts: 1, requests: 1.0, errors: 0.0, latency_p99: None };
    for _ in 0..CANARY {
        world.see(Sample { new: quiet.clone(), old: Some(quiet.clone()), trouble: None });
    }
    assert_eq!(world.verdicts(), [(Watching::Canary, Inconclusive)]);
    let State::Paused(why @ PauseWhy::Inconclusive { .. }) = world.report().state else {
        panic!("{:#?}", world.report())
    };
    assert_eq!(
        why.to_string(),
        "the monitor is inconclusive: 12 requests were seen in 12 intervals of 10s, and min_requests is 100"
    );
    world.operator(Verb::Resume).unwrap();
    world.run(done);
    assert_eq!(world.report().totals.healthy, 4);
    // The person spoke of the canary, not of the fleet.
    assert!(world.sampling);
    world.pass(Span::from_secs(300));
    assert_eq!(world.verdicts()[1], (Watching::Fleet, Inconclusive));
    world.operator(Verb::Resume).unwrap();
    assert_eq!(world.rollout.ended(), Some((Verdict::Succeeded, false)));
}

#[test]
fn what_comes_after_the_judgement_is_left_aside() {
    let mut world = World::new(watched(r#"{ "canary": 1 }"#, |_| ()));
    world.run(done);
    world.see_no_errors(CANARY);
    let (records, samples) = (world.journal.len(), world.samples());
    assert!(world.turn(vec![Event::Sampled { sample: sample(100.0) }]).is_empty());
    assert_eq!((world.journal.len(), world.samples()), (records, samples));
    assert_eq!(world.report().state, State::AwaitingPromotion);
}

#[test]
fn a_pause_takes_no_more_samples_than_the_window_has() {
    let mut world = World::new(watched(AUTO, |_| ()));
    world.run(done);
    world.operator(Verb::Pause).unwrap();
    world.see_no_errors(100);
    assert_eq!(world.samples(), CANARY as usize);
    // It is judged meanwhile, and nothing follows from a pass before a person says so.
    assert_eq!(world.verdicts(), [(Watching::Canary, Pass)]);
    assert!(matches!(world.report().state, State::Paused(PauseWhy::Operator)));
    assert_eq!(world.report().totals.healthy, 1);
    world.operator(Verb::Resume).unwrap();
    assert!(world.report().totals.working > 0);
}

#[test]
fn a_new_coordinator_looks_on_and_forgets_nothing() {
    let mut world = World::new(watched(AUTO, |_| ()));
    world.run(done);
    world.see(sample(5.0));
    world.see(sample(5.0));
    world.sampling = false;
    world.crash();
    assert!(world.sampling, "what looked at it died with the coordinator");
    (1..=4).for_each(|n| world.connect(n));
    assert_eq!(world.report().monitor[0].samples, 2);
    world.see(sample(5.0));
    assert_eq!(world.verdicts(), [(Watching::Canary, Fail)], "two before and one after");
}

#[test]
fn it_is_not_watched_where_nobody_asked_for_it() {
    let mut world = World::new(plan(AUTO, 4));
    world.run(done);
    assert!(!world.sampling);
    assert_eq!(world.report().state, State::Ended(Verdict::Succeeded));
    assert!((1..=4).all(|n| world.phase(n) == Phase::Healthy));
}

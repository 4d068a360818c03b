use std::sync::{Arc, Mutex};

use dv_types::Span;
use futures_util::{FutureExt, future::BoxFuture};

use super::*;
use crate::{
    operations::testing,
    ports::{Ports, UnitsError},
};

/// A service manager that gives these states one after the other, the last for ever.
struct Script {
    job: &'static str,
    states: Mutex<Vec<UnitState>>,
}

impl Units for Script {
    fn state<'a>(&'a self, unit: &'a str) -> BoxFuture<'a, Result<UnitState, UnitsError>> {
        async move {
            let mut states = self.states.lock().unwrap();
            match states.len() {
                0 => Err(UnitsError::NoSuchUnit(unit.to_owned())),
                1 => Ok(states[0].clone()),
                _ => Ok(states.remove(0)),
            }
        }
        .boxed()
    }

    fn act<'a>(&'a self, _: &'a str, _: UnitVerb) -> BoxFuture<'a, Result<String, UnitsError>> {
        async move {
            if self.job == "never" {
                std::future::pending::<()>().await;
            }
            Ok(self.job.to_owned())
        }
        .boxed()
    }
}

fn context(job: &'static str, states: Vec<UnitState>) -> Context {
    let units: Arc<dyn Units> = Arc::new(Script { job, states: Mutex::new(states) });
    let ports = Ports { units: Arc::new(move || Arc::clone(&units)), ..testing::no_ports() };
    testing::context(ports, Span::from_millis(500))
}

fn state(active: &str, sub: &str) -> UnitState {
    UnitState {
        active: active.into(),
        sub: sub.into(),
        invocation: "new".into(),
        main_pid: 7,
        ..UnitState::default()
    }
}

async fn acted(verb: UnitVerb, job: &'static str, states: Vec<UnitState>) -> Attempt {
    act(&context(job, states), "a.service", verb).await.unwrap_or_else(|halt| *halt)
}

#[tokio::test]
async fn a_restart_is_done_when_the_job_is_and_the_unit_holds() {
    let attempt = acted(UnitVerb::Restart, "done", vec![state("active", "running")]).await;
    assert_eq!(attempt.result, OpResult::Done);
    let evidence = Evidence::Unit {
        job: "done".into(),
        active: "active".into(),
        sub: "running".into(),
        main_pid: 7,
    };
    assert_eq!(attempt.evidence, Some(evidence));
}

#[tokio::test]
async fn a_simple_unit_that_dies_at_once_has_failed() {
    let started = UnitState { unproven: true, ..state("active", "running") };
    let attempt =
        acted(UnitVerb::Start, "done", vec![started.clone(), state("failed", "failed")]).await;
    assert!(matches!(attempt.result, OpResult::Failed(why) if why.contains("failed (failed)")));
    let again = state("activating", "auto-restart");
    assert!(!acted(UnitVerb::Restart, "done", vec![started, again]).await.result.is_done());
}

#[tokio::test]
async fn the_job_s_result_and_the_state_are_told() {
    for (job, states, expected) in [
        ("failed", vec![state("failed", "failed")], "Failed"),
        ("dependency", vec![state("inactive", "dead")], "Failed"),
        ("timeout", vec![state("failed", "failed")], "TimedOut"),
        ("never", vec![state("activating", "start")], "TimedOut"),
        ("done", vec![], "Failed"),
    ] {
        let result = acted(UnitVerb::Start, job, states).await.result;
        assert!(format!("{result:?}").starts_with(expected), "{job}: {result:?}");
    }
    let stopped = acted(UnitVerb::Stop, "done", vec![state("inactive", "dead")]).await.result;
    assert_eq!(stopped, OpResult::Done);
    let still = acted(UnitVerb::Stop, "done", vec![state("active", "running")]).await.result;
    assert!(!still.is_done());
}

#[tokio::test]
async fn a_restart_that_the_agent_died_in_is_settled_by_the_invocation() {
    let settle = async |mark: &str, states| {
        let mark = UnitMark { invocation: mark.into() };
        settle(&context("never", states), "a.service", &mark).await
    };
    let restarted = settle("old", vec![state("active", "running")]).await.unwrap();
    assert_eq!(restarted.unwrap().result, OpResult::Done);
    let not_begun = settle("new", vec![state("active", "running")]).await.unwrap();
    assert!(not_begun.is_none());
    let rebooted = UnitState { invocation: String::new(), ..state("inactive", "dead") };
    assert!(settle("old", vec![rebooted]).await.unwrap().is_none(), "it runs nowhere");
    let and_broken = settle("old", vec![state("failed", "failed")]).await.unwrap();
    assert!(matches!(and_broken.unwrap().result, OpResult::Failed(_)));
    // The job may be the restart itself: its end is waited for.
    let under_way =
        UnitState { has_job: true, invocation: "old".into(), ..state("deactivating", "stop") };
    let settled = settle("old", vec![under_way, state("active", "running")]).await.unwrap();
    assert_eq!(settled.unwrap().result, OpResult::Done);
}

/// A service manager that takes the question and never answers.
struct Hung;

impl Units for Hung {
    fn state<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<UnitState, UnitsError>> {
        std::future::pending().boxed()
    }

    fn act<'a>(&'a self, _: &'a str, _: UnitVerb) -> BoxFuture<'a, Result<String, UnitsError>> {
        std::future::pending().boxed()
    }
}

/// The runner gives an operation up soon after its limit, and what is known of it with that.
#[tokio::test(start_paused = true)]
async fn a_service_manager_that_hangs_costs_no_more_than_the_limit_and_a_little() {
    let ports = Ports { units: Arc::new(|| Arc::new(Hung)), ..testing::no_ports() };
    let limit = Duration::from_secs(60);
    let context = testing::context(ports, limit.into());
    let began = tokio::time::Instant::now();
    let ended = act(&context, "a.service", UnitVerb::Restart).await;
    let result = ended.unwrap_or_else(|halt| *halt).result;
    assert!(matches!(result, OpResult::TimedOut(_)), "{result:?}");
    let took = began.elapsed();
    assert!(took < limit + crate::runner::LENIENCE, "{took:?}");
}

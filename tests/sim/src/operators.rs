//! People: they start rollouts and say this and that while there are faults, and put things in order afterwards.

use std::{sync::Arc, time::Duration};

use dv_coordinator::identity::{Authority, Identity, Peer};
use dv_proto::{
    from_json, to_json,
    v1::{self, control_server::Control as _},
};
use dv_types::{
    Report, Timestamp,
    record::{PauseWhy, Verb},
    report::{OnceState, State},
};
use tonic::{Request, Status};

use crate::{
    chance::Chance,
    coordinator::Machine,
    scenario::SERVICE,
    world::{Violation, World},
};

/// An operator waits so long for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Somebody with `dvctl`.
pub(crate) struct Operator {
    pub(crate) world: Arc<World>,
    pub(crate) machine: Arc<Machine>,
    pub(crate) chance: Chance,
}

fn request<T>(body: T, authority: &Authority) -> Request<T> {
    let mut request = Request::new(body);
    let address = ([127, 0, 0, 1], 1).into();
    let identity = Some(Identity::Operator("alice".to_owned()));
    request.extensions_mut().insert(Peer {
        address,
        identity,
        serial: "alice".to_owned(),
        issuer: authority.issuer(),
        since: Timestamp::MIN,
        until: Timestamp::MAX,
        crowded: false,
    });
    request
}

impl Operator {
    /// Calls whatever coordinator there is, and gives up after a while, as a person does.
    async fn call<T: Send + 'static, R: Send + 'static, F>(
        &self,
        body: T,
        call: impl FnOnce(Arc<dv_coordinator::api::ControlApi>, Request<T>) -> F,
    ) -> Result<R, Status>
    where
        F: Future<Output = Result<tonic::Response<R>, Status>>,
    {
        let nobody = || Status::unavailable("no coordinator");
        let control = self.machine.control().ok_or_else(nobody)?;
        let answer =
            tokio::time::timeout(PATIENCE, call(control, request(body, &self.machine.authority)))
                .await;
        answer.map_err(|_| Status::deadline_exceeded("no answer"))?.map(tonic::Response::into_inner)
    }

    /// The newest rollout of the service, where it is unfinished.
    pub(crate) async fn unfinished(&self) -> Result<Option<Report>, Status> {
        let asked = v1::ListRolloutsRequest { service: SERVICE.to_owned(), limit: 1 };
        let listed = self.call(asked, |c, r| async move { c.list_rollouts(r).await }).await?;
        let Some(json) = listed.report_json.first() else { return Ok(None) };
        let summary: Report = from_json("report", json).expect("a report can be read");
        if matches!(summary.state, State::Ended(_)) {
            return Ok(None);
        }
        let asked = v1::GetRolloutRequest { rollout: summary.rollout.to_string() };
        let got = self.call(asked, |c, r| async move { c.get_rollout(r).await }).await?;
        let report: Report = from_json("report", &got.report_json).expect("a report can be read");
        self.world.check(|watch| watch.reported(&report));
        Ok(Some(report).filter(|report| !matches!(report.state, State::Ended(_))))
    }

    async fn start(&mut self) {
        let versions = &self.world.scenario.versions;
        let version = self.chance.pick(&versions[1..]).name.to_string();
        let asked = v1::StartRolloutRequest {
            manifest_json: self.world.scenario.manifest.to_string(),
            version: version.clone(),
            force: self.chance.coin(),
            reason: "because".to_owned(),
            ..Default::default()
        };
        let started = self.call(asked, |c, r| async move { c.start_rollout(r).await }).await;
        self.world.tell(|| match &started {
            Ok(reply) => format!("operator    starts {version}: {}", reply.rollout),
            Err(why) => format!("operator    can't start {version}: {}", why.message()),
        });
    }

    async fn say(&self, report: &Report, verb: Verb) -> bool {
        let asked = v1::OperateRolloutRequest {
            rollout: report.rollout.to_string(),
            verb_json: to_json(&verb),
            reason: "because".to_owned(),
        };
        self.world.tell(|| format!("operator    says {verb} to {}", report.rollout));
        self.world.watch().asked(report.rollout, &verb);
        let said = self.call(asked, |c, r| async move { c.operate_rollout(r).await }).await;
        if let Err(why) = &said {
            self.world.tell(|| format!("operator    is refused: {}", why.message()));
        }
        said.is_ok()
    }

    async fn roll_back(&mut self) {
        let [code_only, accept_data_loss, restore_backup] = match self.chance.between(0, 5) {
            0 => [true, false, false],
            1 => [false, true, false],
            2 => [false, false, true],
            _ => [false; 3],
        };
        let asked = v1::RollBackRequest {
            service: SERVICE.to_owned(),
            all_at_once: self.chance.hit(200),
            reason: "because".to_owned(),
            code_only,
            accept_data_loss,
            restore_backup,
            ..Default::default()
        };
        let reply = self.call(asked, |c, r| async move { c.roll_back(r).await }).await;
        self.world.tell(|| match &reply {
            Ok(reply) => format!("operator    rolls back {}: {}", reply.of, reply.rollout),
            Err(why) => format!("operator    can't roll back: {}", why.message()),
        });
    }

    /// Says anything at any time, for ever.
    pub(crate) async fn meddle(mut self) {
        tokio::time::sleep(Duration::from_secs(5)).await;
        self.start().await;
        loop {
            let meddling = self.world.scenario.troubles.meddling;
            let pause = self.chance.millis(0, 2 * meddling);
            tokio::time::sleep(pause).await;
            let Ok(unfinished) = self.unfinished().await else { continue };
            let Some(report) = unfinished else {
                match self.chance.between(0, 3) {
                    0 => self.roll_back().await,
                    _ => self.start().await,
                }
                continue;
            };
            let verb = match self.chance.between(0, 19) {
                0 if self.chance.coin() => {
                    self.roll_back().await;
                    None
                }
                1 if self.chance.coin() => Some(Verb::Abort),
                2..4 => Some(Verb::Pause),
                4..6 if !report.hosts.is_empty() => {
                    let host = self.chance.pick(&report.hosts).name.clone();
                    Some(if self.chance.coin() {
                        Verb::Retry { host }
                    } else {
                        Verb::Skip { host }
                    })
                }
                _ => self.answer(&report),
            };
            if let Some(verb) = verb {
                self.say(&report, verb).await;
            }
        }
    }

    /// What a person says who is asked.
    fn answer(&mut self, report: &Report) -> Option<Verb> {
        let unresolved = |state| matches!(state, OnceState::Unknown | OnceState::Failed);
        if let Some(once) = report.once.iter().find(|once| unresolved(once.state)) {
            let done = self.chance.coin();
            return Some(Verb::Resolve { once: once.name.clone(), done });
        }
        match &report.state {
            State::Paused(_) => Some(Verb::Resume),
            _ => Some(Verb::Promote),
        }
    }

    /// Puts things in order until nothing is unfinished: a rollout that has paused goes on a few times, and then it is
    /// taken back, or ended.
    pub(crate) async fn put_in_order(mut self, within: Duration) {
        let ends = tokio::time::Instant::now() + within;
        let (mut asked, mut quiet) = (0, 0);
        while quiet < 6 {
            tokio::time::sleep(Duration::from_secs(10)).await;
            let Ok(unfinished) = self.unfinished().await else { continue };
            let Some(report) = unfinished else {
                (asked, quiet) = (0, quiet + 1);
                continue;
            };
            quiet = 0;
            if tokio::time::Instant::now() > ends {
                let (rollout, state, waiting) = (report.rollout, report.state, report.waiting);
                let what = format!("{rollout} is {state:?} and waits on {waiting:?}");
                return self.world.violated(Violation { invariant: "liveness", what });
            }
            let paused = matches!(report.state, State::Paused(_));
            if !paused && report.state != State::AwaitingPromotion {
                continue;
            }
            asked += 1;
            let migrated = matches!(report.state, State::Paused(PauseWhy::Migrated { .. }));
            let verb = match asked {
                0..8 if !migrated => self.answer(&report),
                8..12 if !migrated => Some(Verb::Rollback),
                _ => Some(Verb::Abort),
            };
            if let Some(verb) = verb {
                self.say(&report, verb).await;
            }
        }
    }
}

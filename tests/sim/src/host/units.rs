//! A host's service manager. Its jobs go on when the agent dies, and end with the machine.

use dv_agent::ports::{UnitState, Units, UnitsError};
use dv_types::{Version, operation::UnitVerb};
use futures_util::{FutureExt as _, future::BoxFuture};
use tokio::sync::oneshot;

use super::{Luck, Place, State, images::digest};
use crate::scenario::{Quality, UNIT};

/// The service's unit.
#[derive(Debug, Clone)]
pub(crate) struct Unit {
    /// What it runs, and since when (milliseconds since the beginning).
    runs: Option<(Version, u64)>,
    failed: bool,
    invocation: u64,
    jobs: u32,
}

impl Unit {
    pub(super) fn running(version: Version) -> Self {
        Self { runs: Some((version, 0)), failed: false, invocation: 1, jobs: 0 }
    }

    pub(super) fn runs(&self) -> Option<Version> {
        self.runs.as_ref().map(|(version, _)| version.clone())
    }

    pub(super) fn runs_since(&self) -> Option<(Version, u64)> {
        self.runs.clone()
    }

    /// The machine stops.
    pub(super) fn power_off(&mut self) {
        (self.runs, self.jobs) = (None, 0);
    }
}

impl Place {
    /// The service runs what `latest` names from now on.
    pub(super) fn start_service(&self, state: &mut State) {
        let now = self.world.elapsed().as_millis() as u64;
        let latest = state.images.latest().cloned();
        let version = self.world.scenario.versions.iter().map(|version| &version.name);
        let version = version.into_iter().find(|version| Some(digest(version)) == latest).cloned();
        state.unit.invocation += 1;
        let crashes = |version: &Version| {
            self.world.scenario.quality(version, &self.host.name) == Quality::Crashes
        };
        state.unit.failed = version.as_ref().is_none_or(crashes);
        state.unit.runs = version.filter(|_| !state.unit.failed).map(|version| (version, now));
        self.say(|| match &state.unit.runs {
            Some((version, _)) => format!("{UNIT} runs {version}"),
            None => format!("{UNIT} fails"),
        });
    }

    /// What systemd does, whoever still waits for it.
    async fn job(self, verb: UnitVerb, boot: u32, tell: oneshot::Sender<String>) {
        let (luck, stops, starts) = {
            let luck = self.luck();
            let mut chance = self.host.chance();
            (luck, chance.millis(5, 500), chance.millis(5, 1500))
        };
        let same = |state: &State| state.boot == boot && state.powered;
        if verb != UnitVerb::Start {
            tokio::time::sleep(stops).await;
            let mut state = self.host.state();
            if !same(&state) {
                return;
            }
            state.unit.runs = None;
        }
        if luck == Luck::Hangs {
            // A job that is not done is no longer one day later.
            tokio::time::sleep(std::time::Duration::from_secs(600)).await;
        }
        tokio::time::sleep(starts).await;
        let mut state = self.host.state();
        if !same(&state) {
            return;
        }
        state.unit.jobs -= 1;
        let result = match (verb, luck) {
            (UnitVerb::Stop, _) => "done",
            (_, Luck::Good) => {
                self.start_service(&mut state);
                if state.unit.failed { "failed" } else { "done" }
            }
            _ => {
                state.unit.failed = true;
                "failed"
            }
        };
        drop(state);
        let _ = tell.send(result.to_owned());
    }
}

impl Units for Place {
    fn state<'a>(&'a self, unit: &'a str) -> BoxFuture<'a, Result<UnitState, UnitsError>> {
        async move {
            let pause = self.host.chance().millis(0, 5);
            tokio::time::sleep(pause).await;
            if unit != UNIT {
                return Err(UnitsError::NoSuchUnit(unit.to_owned()));
            }
            let state = self.host.state();
            let (active, sub) = match (&state.unit.runs, state.unit.failed) {
                (Some(_), _) => ("active", "running"),
                (None, true) => ("failed", "failed"),
                (None, false) => ("inactive", "dead"),
            };
            Ok(UnitState {
                active: active.to_owned(),
                sub: sub.to_owned(),
                invocation: format!("{}-{}", state.boot, state.unit.invocation),
                main_pid: u32::from(state.unit.runs.is_some()),
                unproven: false,
                has_job: state.unit.jobs > 0,
            })
        }
        .boxed()
    }

    fn act<'a>(
        &'a self,
        unit: &'a str,
        verb: UnitVerb,
    ) -> BoxFuture<'a, Result<String, UnitsError>> {
        async move {
            if unit != UNIT {
                return Err(UnitsError::NoSuchUnit(unit.to_owned()));
            }
            self.did(&format!("{verb} {unit}"));
            let boot = {
                let mut state = self.host.state();
                state.unit.jobs += 1;
                state.boot
            };
            let (tell, told) = oneshot::channel();
            tokio::spawn(self.clone().job(verb, boot, tell));
            match told.await {
                Ok(result) => Ok(result),
                Err(_) => Err(UnitsError::Failed("the machine went down".to_owned())),
            }
        }
        .boxed()
    }
}

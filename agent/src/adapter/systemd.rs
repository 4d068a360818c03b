//! systemd over D-Bus.

use dv_types::operation::UnitVerb;
use futures_util::{FutureExt, StreamExt, future::BoxFuture};
use tokio::sync::OnceCell;
use zbus::{Connection, OwnedObjectPath, proxy::CacheProperties};
use zbus_systemd::systemd1::{ManagerProxy, ServiceProxy, UnitProxy};

use crate::ports::{UnitState, Units, UnitsError};

/// One connection to the system bus, made at the first question.
#[derive(Default)]
pub(crate) struct Systemd {
    bus: OnceCell<Connection>,
}

impl Units for Systemd {
    fn state<'a>(&'a self, unit: &'a str) -> BoxFuture<'a, Result<UnitState, UnitsError>> {
        self.read(unit).boxed()
    }

    fn act<'a>(
        &'a self,
        unit: &'a str,
        verb: UnitVerb,
    ) -> BoxFuture<'a, Result<String, UnitsError>> {
        async move { self.job(unit, verb).await.map_err(|e| in_words(unit, &e)) }.boxed()
    }
}

impl Systemd {
    async fn bus(&self) -> zbus::Result<&Connection> {
        self.bus.get_or_try_init(Connection::system).await
    }

    async fn read(&self, name: &str) -> Result<UnitState, UnitsError> {
        let words = |e: zbus::Error| in_words(name, &e);
        let bus = self.bus().await.map_err(words)?;
        let manager = ManagerProxy::new(bus).await.map_err(words)?;
        let path = manager.load_unit(name.to_owned()).await.map_err(words)?;
        let unit = UnitProxy::builder(bus)
            .path(path.clone())
            .cache_properties(CacheProperties::No)
            .build()
            .await
            .map_err(words)?;
        match unit.load_state().await.map_err(words)?.as_str() {
            "loaded" => {}
            "not-found" => return Err(UnitsError::NoSuchUnit(name.to_owned())),
            other => {
                return Err(UnitsError::Failed(format!("the unit {name} is not usable: {other}")));
            }
        }
        let (active, sub, invocation, job) = tokio::try_join!(
            unit.active_state(),
            unit.sub_state(),
            unit.invocation_id(),
            unit.job(),
        )
        .map_err(words)?;
        let (main_pid, unproven) = if name.ends_with(".service") {
            self.service(bus, path).await.map_err(words)?
        } else {
            (0, false)
        };
        let invocation = invocation.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(UnitState { active, sub, invocation, main_pid, unproven, has_job: job.0 != 0 })
    }

    async fn service(&self, bus: &Connection, path: OwnedObjectPath) -> zbus::Result<(u32, bool)> {
        let service = ServiceProxy::builder(bus)
            .path(path)
            .cache_properties(CacheProperties::No)
            .build()
            .await?;
        let (pid, kind) = tokio::try_join!(service.main_pid(), service.type_property())?;
        Ok((pid, matches!(kind.as_str(), "simple" | "exec" | "idle")))
    }

    async fn job(&self, unit: &str, verb: UnitVerb) -> zbus::Result<String> {
        let manager = ManagerProxy::new(self.bus().await?).await?;
        // Both before the job, or its end may be missed: systemd tells subscribers only.
        manager.subscribe().await?;
        let mut removed = manager.receive_job_removed().await?;
        if verb != UnitVerb::Stop {
            // A release that crashed until systemd gave up on it, or a few rollouts in a row, use up the unit's
            // start limit; the way back must not be refused for that. A unit that is not loaded has nothing to forget.
            let _ = manager.reset_failed_unit(unit.to_owned()).await;
        }
        let (name, mode) = (unit.to_owned(), "replace".to_owned());
        let job = match verb {
            UnitVerb::Restart => manager.restart_unit(name, mode).await?,
            UnitVerb::Start => manager.start_unit(name, mode).await?,
            UnitVerb::Stop => manager.stop_unit(name, mode).await?,
        };
        while let Some(signal) = removed.next().await {
            let ended = signal.args()?;
            if *ended.job() == job {
                return Ok(ended.result().clone());
            }
        }
        Err(zbus::Error::Failure("the bus closed before the job ended".to_owned()))
    }
}

fn in_words(unit: &str, error: &zbus::Error) -> UnitsError {
    match error {
        zbus::Error::MethodError(name, _, _)
            if name.as_str() == "org.freedesktop.systemd1.NoSuchUnit" =>
        {
            UnitsError::NoSuchUnit(unit.to_owned())
        }
        zbus::Error::MethodError(_, Some(text), _) => UnitsError::Failed(text.clone()),
        other => UnitsError::Failed(other.to_string()),
    }
}

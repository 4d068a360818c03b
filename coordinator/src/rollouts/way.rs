//! A rollout that a person wants does not wait for hosts that are brought after: their catch-up makes way, and whom it did
//! not come to goes along, or follows afterwards.

use std::sync::{Arc, MutexGuard, PoisonError};

use dv_types::{RolloutId, ServiceName, plan::Kind, record::Verb};

use super::Rollouts;
use crate::{follow::ITSELF, refusal::Refusal};

/// While it is held, no catch-up of the service begins.
pub(crate) struct Way<'a> {
    rollouts: &'a Arc<Rollouts>,
    service: ServiceName,
}

impl Rollouts {
    /// Ends the catch-up of a service that is under way, if there is one, and lets none begin.
    pub(crate) async fn make_way(
        self: &Arc<Self>,
        service: &ServiceName,
        reason: String,
    ) -> Result<Way<'_>, Refusal> {
        *self.awaited().entry(service.clone()).or_default() += 1;
        let way = Way { rollouts: self, service: service.clone() };
        // Who is just beginning one has not seen that.
        drop(self.maker().await);
        let mut changes = self.changes();
        let mut told = None;
        loop {
            let Some(catch_up) = self.catch_up_under_way(service) else { return Ok(way) };
            if told.replace(catch_up) != Some(catch_up) {
                let said = self
                    .operate(catch_up, ITSELF.to_owned(), Verb::MakeWay, Some(reason.clone()))
                    .await;
                match said {
                    // It has ended, or is about to.
                    Ok(()) | Err(Refusal::Rejected(_)) => continue,
                    Err(why) => return Err(why),
                }
            }
            tokio::select! {
                biased;
                _ = changes.changed() => {}
                () = self.stop.cancelled() => return Err(Refusal::Stopping),
            }
        }
    }

    /// The service's unfinished rollout, if that brings late or new hosts after.
    pub(crate) fn catch_up_under_way(&self, service: &ServiceName) -> Option<RolloutId> {
        let book = self.book();
        let id = book.active(service)?;
        book.header(id).filter(|h| matches!(h.kind, Kind::CatchUp { .. })).map(|h| h.rollout)
    }

    /// Whether a person's rollout of the service is about to begin.
    pub(crate) fn is_awaited(&self, service: &ServiceName) -> bool {
        self.awaited().contains_key(service)
    }

    fn awaited(&self) -> MutexGuard<'_, std::collections::BTreeMap<ServiceName, usize>> {
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Way<'_> {
    fn drop(&mut self) {
        {
            let mut awaited = self.rollouts.awaited();
            match awaited.get_mut(&self.service) {
                Some(others) if *others > 1 => *others -= 1,
                _ => drop(awaited.remove(&self.service)),
            }
        }
        // Where nothing came of it, hosts follow as before.
        self.rollouts.next_soon(self.service.clone());
    }
}

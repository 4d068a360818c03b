//! A rollout is made, driven, and ends.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::{Arc, MutexGuard, PoisonError},
};

use arc_swap::ArcSwapOption;
use dv_types::{Plan, ReleaseId, Report, RolloutId, ServiceName, plan::Kind};
use futures_util::FutureExt as _;
use tokio::sync::{Notify, OwnedMutexGuard, oneshot};

use super::{
    Active, Rollouts,
    driver::drive,
    feed::Feed,
    mailbox::{Mail, Mailbox},
};
use crate::{
    ports::StoreError,
    refusal::Refusal,
    store::{BadMark, Header, Signing},
};

/// A rollout that is to begin.
pub(crate) struct Beginning {
    pub(crate) plan: Plan,
    pub(crate) by: String,
    pub(crate) reason: Option<String>,
    /// Gates that are overridden from the start.
    pub(crate) overrides: Vec<String>,
    /// The release that it belongs to.
    pub(crate) release: Option<ReleaseId>,
    /// What an operator has signed for it.
    pub(crate) signing: Option<Signing>,
    /// What is marked bad along with it.
    pub(crate) bad: Option<BadMark>,
}

/// The right to make a rollout; whoever holds it sees the book as it will stay.
pub(crate) struct Maker<'a> {
    rollouts: &'a Arc<Rollouts>,
    alone: Arc<OwnedMutexGuard<()>>,
}

impl Rollouts {
    /// Waits for the right to make a rollout.
    pub(crate) async fn maker(self: &Arc<Self>) -> Maker<'_> {
        let alone = Arc::new(Arc::clone(&self.making).lock_owned().await);
        Maker { rollouts: self, alone }
    }

    /// Refuses what is new where room is short. What is under way, goes back or catches up needs what is left.
    pub(crate) async fn roomy(&self) -> Result<(), Refusal> {
        self.journal.shortage().await?.map_or(Ok(()), |short| Err(Refusal::Short(short)))
    }

    /// Puts a rollout into the store, and begins to drive it.
    async fn create(
        self: &Arc<Self>,
        header: Header,
        plan: Plan,
        bad: Option<BadMark>,
    ) -> Result<RolloutId, Refusal> {
        self.journal.create(&header, bad.as_ref()).await?;
        let id = header.rollout;
        tracing::info!(rollout = %id, service = %header.service, version = %header.version, by = header.by, "{} begins", header.kind);
        {
            let mut book = self.book();
            book.begun(&header);
            if let Some(bad) = bad {
                book.mark_bad(bad);
            }
        }
        self.launch(header, Arc::new(plan));
        self.note_change();
        Ok(id)
    }

    /// Begins to drive a rollout that is in the store.
    pub(crate) fn launch(self: &Arc<Self>, header: Header, plan: Arc<Plan>) {
        let active = Arc::new(Active {
            hosts: (plan.hosts.iter().map(|host| &host.name))
                .chain(plan.once.iter().flat_map(|once| &once.hosts))
                .cloned()
                .collect(),
            mailbox: Mailbox::new(plan.hosts.len()),
            feed: Feed::new(),
            trouble: ArcSwapOption::empty(),
            header,
            plan,
        });
        self.active_mut(|all| all.insert(active.header.rollout, Arc::clone(&active)));
        self.tasks.spawn(drive(Arc::clone(self), active));
    }

    /// A rollout is over, and its store knows it.
    pub(super) fn ended(self: &Arc<Self>, active: &Active, header: Header, report: &Report) {
        let id = header.rollout;
        let service = header.service.clone();
        tracing::info!(rollout = %id, %service, state = ?report.state, "ended");
        self.book().ended(header, report);
        self.active_mut(|all| all.remove(&id));
        // From here on, whoever connects sees the end for itself.
        self.call_off_left_behind(report);
        self.keep_unread(active.mailbox.close());
        active.feed.publish(super::feed::Head { record: report.record, ended: true });
        self.note_change();
        self.next_soon(service);
    }

    /// Outcomes that came after the last turn.
    fn keep_unread(self: &Arc<Self>, mail: Mail) {
        if mail.outcomes.is_empty() {
            return;
        }
        let rollouts = Arc::clone(self);
        self.tasks.spawn(async move {
            for ((_, host), outcome) in mail.outcomes {
                rollouts.late(&host, outcome).await;
            }
        });
    }

    /// Looks, in a task of its own, what a service needs now that nothing of it is under way. There is one such task for a
    /// service: where it waits, it looks again.
    pub(crate) fn next_soon(self: &Arc<Self>, service: ServiceName) {
        let bell = match self.followers().entry(service.clone()) {
            Entry::Occupied(follower) => return follower.get().notify_one(),
            Entry::Vacant(place) => Arc::clone(place.insert(Arc::default())),
        };
        let rollouts = Arc::clone(self);
        self.tasks.spawn(async move {
            loop {
                tokio::select! {
                    biased;
                    () = rollouts.stop.cancelled() => return,
                    () = crate::follow::follow(&rollouts, &service, &bell) => {}
                }
                let mut followers = rollouts.followers();
                // Rung after its last look, and before anybody else could begin one.
                if bell.notified().now_or_never().is_none() {
                    followers.remove(&service);
                    return;
                }
            }
        });
    }

    fn followers(&self) -> MutexGuard<'_, BTreeMap<ServiceName, Arc<Notify>>> {
        self.following.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn active_mut<T>(&self, change: impl FnOnce(&mut BTreeMap<RolloutId, Arc<Active>>) -> T) -> T {
        change(&mut self.active.write().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Maker<'_> {
    /// Makes a rollout: from here on it is in the store, and will be carried out.
    pub(crate) async fn begin(&self, beginning: Beginning) -> Result<RolloutId, Refusal> {
        let Beginning { plan, by, reason, overrides, release, signing, bad } = beginning;
        let rollouts = self.rollouts;
        if rollouts.stop.is_cancelled() {
            return Err(Refusal::Stopping);
        }
        if let Some(rollout) = rollouts.unfinished_of(&plan.service) {
            return Err(Refusal::Busy { service: plan.service, rollout });
        }
        if plan.kind == Kind::Forward {
            rollouts.roomy().await?;
        }
        let header = Header {
            rollout: rollouts.journal.next_rollout().await?,
            service: plan.service.clone(),
            version: plan.version.clone(),
            kind: plan.kind.clone(),
            plan: rollouts.journal.save_plan(&plan).await?,
            by,
            reason,
            overrides,
            release,
            signing,
            created: rollouts.clock.now(),
            end: None,
        };
        let rollouts = Arc::clone(rollouts);
        self.finish(async move { rollouts.create(header, plan, bad).await }).await
    }

    /// Does something to its end. Whoever asked may hang up at any moment: what is in the store is driven all the same.
    pub(crate) async fn finish<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Refusal>> + Send + 'static,
    ) -> Result<T, Refusal> {
        let (tell, told) = oneshot::channel();
        let alone = Arc::clone(&self.alone);
        self.rollouts.tasks.spawn(async move {
            let _ = tell.send(work.await);
            drop(alone);
        });
        told.await.unwrap_or(Err(Refusal::Stopping))
    }

    /// Takes the mark off a version that is started again.
    pub(crate) async fn forgive(&self, plan: &Plan) -> Result<(), StoreError> {
        self.rollouts.journal.forgive(&plan.service, &plan.version).await?;
        self.rollouts.book().forgive(&plan.service, &plan.version);
        Ok(())
    }
}

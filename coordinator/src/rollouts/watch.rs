//! Following a rollout: every record after a cursor, and reports and chatter as they come.

use std::{sync::Arc, time::Duration};

use dv_types::{Record, Report, RolloutId};
use tokio::sync::{broadcast::error::RecvError, mpsc};

use super::{Active, Rollouts, feed::Progress};
use crate::refusal::Refusal;

/// Time between two reports to one watcher, and what each host adds to it: a report of a large fleet is large.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_FOR_HOST: Duration = Duration::from_micros(200);

/// Something to see.
#[derive(Debug)]
pub(crate) enum Sight {
    Record(Record),
    Report(Box<Report>),
    Progress(Progress),
}

/// The watcher is gone.
struct Gone;

type Watcher = mpsc::Sender<Result<Sight, Refusal>>;

impl Rollouts {
    /// Tells `watcher` every record after number `after`, and what follows, until the rollout has ended. A slow
    /// watcher holds up nobody but itself.
    pub(crate) async fn watch(self: Arc<Self>, id: RolloutId, after: u64, watcher: Watcher) {
        let watched = self.watch_from(id, after, &watcher);
        let result = tokio::select! {
            result = watched => result,
            () = watcher.closed() => return,
            () = self.stop.cancelled() => Err(Refusal::Stopping),
        };
        if let Err(why) = result {
            let _ = watcher.send(Err(why)).await;
        }
    }

    async fn watch_from(&self, id: RolloutId, after: u64, to: &Watcher) -> Result<(), Refusal> {
        let mut cursor = after;
        if let Some(active) = self.find(id) {
            let mut heads = active.feed.heads();
            let mut chatter = active.feed.chatter();
            let hosts = u32::try_from(active.plan.hosts.len()).unwrap_or(u32::MAX);
            let pause = PAUSE.max(PAUSE_FOR_HOST * hosts);
            loop {
                let head = *heads.borrow_and_update();
                if self.records(&active, head.record, &mut cursor, to).await?.is_err() {
                    return Ok(());
                }
                if head.ended {
                    break;
                }
                // Only one report waits at a time, and none is made for somebody who takes nothing.
                if to.reserve_many(to.max_capacity()).await.is_err() {
                    return Ok(());
                }
                let report = Sight::Report(Box::new(self.report(id).await?));
                if to.send(Ok(report)).await.is_err() {
                    return Ok(());
                }
                tokio::time::sleep(pause).await;
                loop {
                    tokio::select! {
                        changed = heads.changed() => match changed {
                            Ok(()) => break,
                            Err(_) => return Ok(()),
                        },
                        said = chatter.recv() => match said {
                            Ok(said) => if to.send(Ok(Sight::Progress(said))).await.is_err() {
                                return Ok(());
                            },
                            Err(RecvError::Lagged(_)) => {}
                            Err(RecvError::Closed) => return Ok(()),
                        },
                    }
                }
            }
        }
        // It has ended: the rest is in the store.
        loop {
            let page = self.journal.records(id, cursor).await?;
            let Some(last) = page.last().map(|record| record.number) else { break };
            cursor = last;
            for record in page {
                if to.send(Ok(Sight::Record(record))).await.is_err() {
                    return Ok(());
                }
            }
        }
        let report = Sight::Report(Box::new(self.report(id).await?));
        let _ = to.send(Ok(report)).await;
        Ok(())
    }

    /// Sends the records up to `head`.
    async fn records(
        &self,
        active: &Active,
        head: u64,
        cursor: &mut u64,
        to: &Watcher,
    ) -> Result<Result<(), Gone>, Refusal> {
        while *cursor < head {
            let page = self.journal.records(active.header.rollout, *cursor).await?;
            if page.is_empty() {
                break;
            }
            for record in page {
                *cursor = record.number;
                if to.send(Ok(Sight::Record(record))).await.is_err() {
                    return Ok(Err(Gone));
                }
            }
        }
        Ok(Ok(()))
    }
}

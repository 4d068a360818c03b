//! Releases: several services that go forward, and back, as one.
//!
//! A release is a chain of ordinary rollouts, and the machine of a rollout knows nothing of it. Which way it goes is
//! written down before anything is done about it; what was done, the rollouts' own headers say. So whoever asks
//! [`dv_rollout::release::next`] again, after whatever came between, gets what is still to be done.

mod drive;
mod look;
mod start;
mod steer;

use std::sync::Arc;

use dv_types::{ReleaseId, release::Course};

use crate::{
    refusal::Refusal,
    rollouts::{Maker, Rollouts},
    services::Known,
    store::ReleaseRecord,
    text::shortened,
};

pub(crate) use drive::launch;
pub(crate) use look::{list, report};
pub(crate) use start::{Wish, plan, start};
pub(crate) use steer::{abort, roll_back};

/// Bytes of the reason why a release goes another way.
const WHY: usize = 2_000;

fn known(rollouts: &Rollouts, id: ReleaseId) -> Result<Known, Refusal> {
    rollouts.book().release(id).cloned().ok_or(Refusal::NoRelease(id))
}

/// Writes down which way a release goes from now on, and wakes what drives it. Nobody begins a rollout meanwhile.
async fn turn(
    rollouts: &Rollouts,
    _maker: &Maker<'_>,
    known: &Known,
    course: Course,
    why: Option<String>,
) -> Result<(), Refusal> {
    // It may have a line for each host.
    let why = why.map(|why| shortened(why, WHY));
    let record = ReleaseRecord { course, why, end: None, ..known.record.clone() };
    let release = record.release;
    let why = record.why.as_deref().unwrap_or_default();
    tracing::info!(%release, course = ?record.course, why, "goes another way");
    rollouts.journal.put_release(&record).await?;
    rollouts.book().put_release(record, Arc::clone(&known.release));
    rollouts.note_change();
    Ok(())
}

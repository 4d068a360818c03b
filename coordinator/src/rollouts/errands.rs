//! What a driver has done outside: gates are asked, the service is looked at. The answers come back by mail.

use dv_types::{HostName, manifest::Monitor};

use super::{Active, Rollouts};
use crate::{gates, monitor};

impl Rollouts {
    pub(super) async fn ask_gates(&self, active: &Active, names: Vec<String>) {
        gates::ask(self, &active.plan, names, |answer| active.mailbox.post_gate(answer)).await;
    }

    pub(super) async fn sample(
        &self,
        active: &Active,
        how: &Monitor,
        new: &[HostName],
        old: &[HostName],
    ) {
        let watched =
            monitor::Watched { monitor: how, probing: active.plan.watch.as_ref(), new, old };
        let tell = |sample| active.mailbox.post_sample(sample);
        monitor::watch(&self.clock, &self.fleet, &self.config.prometheus, watched, tell).await;
    }
}

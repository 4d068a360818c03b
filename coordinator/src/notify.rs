//! What systemd is told: ready, how it stands, and that it is alive.

use std::time::Duration;

use sd_notify::NotifyState;

use crate::coordinator::{Coordinator, Down};

/// Time between two status lines, where the watchdog asks for nothing shorter.
const PACE: Duration = Duration::from_secs(10);

/// Says that the coordinator is ready.
pub fn ready(coordinator: &Coordinator) {
    tell(&[NotifyState::Ready, NotifyState::Status(&coordinator.status())]);
}

/// Says that it ends, and why. It may take a moment, and this line is what stays to be seen.
pub fn failing(why: &Down) {
    tell(&[NotifyState::Stopping, NotifyState::Status(&format!("ends: {why}"))]);
}

/// Says that it stops.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Says how it stands, for ever. It speaks through the locks that the work takes: where they hang, it is silent.
pub async fn keep_telling(coordinator: &Coordinator) {
    let pace = sd_notify::watchdog_enabled().map_or(PACE, |limit| PACE.min(limit / 3));
    loop {
        tokio::time::sleep(pace).await;
        tell(&[NotifyState::Watchdog, NotifyState::Status(&coordinator.status())]);
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(why) = sd_notify::notify(state) {
        tracing::debug!(%why, "systemd can't be told");
    }
}

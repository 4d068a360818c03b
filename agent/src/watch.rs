//! Asks a service's probes while a rollout is on, and tells when they turn.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use dv_proto::v1::{Health, from_agent::Message};
use dv_types::{Probe, probe::Probing};
use tokio::task::JoinHandle;

use crate::{inspect, outbox::Outbox, ports::Ports, tasks::Tasks};

/// One bad round is noise, a second one in a row is news: a single lost answer must not stop a rollout.
const BAD_ROUNDS: u32 = 2;
const FASTEST: Duration = Duration::from_millis(100);

/// The services that are watched; they are no longer when this is dropped.
#[derive(Default)]
pub(crate) struct Watches {
    tasks: BTreeMap<String, JoinHandle<Option<()>>>,
}

impl Watches {
    /// Watches `service` from now on, with these probes and no others.
    pub(crate) fn watch(
        &mut self,
        service: String,
        probing: Probing,
        ports: Ports,
        outbox: Arc<Outbox>,
        tasks: &Tasks,
    ) {
        let name = service.clone();
        let task = tasks.spawn(async move {
            let mut turns = Turns::default();
            let mut ticks = tokio::time::interval(probing.interval.get().max(FASTEST));
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                if let Some((good, why)) = turns.take(ask(&ports, &probing).await) {
                    let why = why.unwrap_or_default();
                    outbox.send(Message::Health(Health { service: name.clone(), good, why }));
                }
            }
        });
        if let Some(former) = self.tasks.insert(service, task) {
            former.abort();
        }
    }

    /// Watches `service` no longer.
    pub(crate) fn unwatch(&mut self, service: &str) {
        if let Some(task) = self.tasks.remove(service) {
            task.abort();
        }
    }
}

impl Drop for Watches {
    fn drop(&mut self) {
        for task in self.tasks.values() {
            task.abort();
        }
    }
}

async fn ask(ports: &Ports, probing: &Probing) -> Result<(), String> {
    if probing.probes.iter().any(|(_, probe)| matches!(probe, Probe::Command { .. })) {
        inspect::may_probe(&(ports.policy)().map_err(|e| e.to_string())?, probing)?;
    }
    ports.probes.round(probing).await
}

/// What is news among the rounds: the first, and each turn.
#[derive(Default)]
struct Turns {
    good: Option<bool>,
    bad_in_a_row: u32,
}

impl Turns {
    fn take(&mut self, round: Result<(), String>) -> Option<(bool, Option<String>)> {
        self.bad_in_a_row = if round.is_ok() { 0 } else { self.bad_in_a_row + 1 };
        let turned = match (self.good, &round) {
            (None, _) | (Some(false), Ok(())) => true,
            (Some(true), Err(_)) => self.bad_in_a_row >= BAD_ROUNDS,
            _ => false,
        };
        turned.then(|| {
            self.good = Some(round.is_ok());
            (round.is_ok(), round.err())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_round_and_each_turn_are_told_and_a_single_bad_round_is_not() {
        let mut turns = Turns::default();
        let good = || Ok(());
        let bad = || Err("live: no".to_owned());
        let told: Vec<_> = [good(), good(), bad(), good(), bad(), bad(), bad(), good(), good()]
            .map(|round| turns.take(round).map(|(good, _)| good))
            .into();
        let (yes, no) = (Some(true), Some(false));
        assert_eq!(told, [yes, None, None, None, None, no, None, yes, None]);
        assert_eq!(Turns::default().take(bad()), Some((false, Some("live: no".to_owned()))));
    }
}

//! What `systemctl status dv-agent` shows, and the watchdog.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{Arc, Mutex},
};

use dv_types::CommandId;
use sd_notify::NotifyState;

/// What the agent is doing, in one line. Says nothing where there is no service manager.
#[derive(Default)]
pub(crate) struct Status {
    now: Mutex<Now>,
}

#[derive(Default)]
struct Now {
    link: String,
    running: BTreeMap<CommandId, String>,
    /// Outcomes that the disk does not take, each with the reason.
    unwritten: BTreeMap<CommandId, String>,
    said: String,
}

impl Status {
    /// The link's state changed.
    pub(crate) fn link(&self, text: impl Into<String>) {
        self.change(|now| now.link = text.into());
    }

    /// An operation began.
    pub(crate) fn began(&self, command: CommandId, operation: String) {
        self.change(|now| {
            now.running.insert(command, operation);
        });
    }

    /// An operation ended.
    pub(crate) fn ended(&self, command: CommandId) {
        self.change(|now| {
            now.running.remove(&command);
        });
    }

    /// The disk does not take an outcome.
    pub(crate) fn unwritten(&self, command: CommandId, why: String) {
        self.change(|now| {
            now.unwritten.insert(command, why);
        });
    }

    /// An outcome is on the disk.
    pub(crate) fn written(&self, command: CommandId) {
        self.change(|now| {
            now.unwritten.remove(&command);
        });
    }

    fn change(&self, change: impl FnOnce(&mut Now)) {
        let mut now = self.now.lock().expect("no panic under this lock");
        change(&mut now);
        let line = now.line();
        if line != now.said {
            tell(&[NotifyState::Status(&line)]);
            now.said = line;
        }
    }
}

impl Now {
    fn line(&self) -> String {
        let mut line = self.link.clone();
        for (command, operation) in &self.running {
            let _ = write!(line, "; {command} {operation}");
        }
        for (command, why) in &self.unwritten {
            let _ = write!(line, "; can't write the outcome of {command}: {why}");
        }
        line
    }
}

/// Tells the service manager that the agent is up, and keeps the watchdog fed from then on. It is fed
/// from the one thread that does everything, so a wedged agent is noticed.
pub(crate) fn ready(status: &Arc<Status>) {
    tell(&[NotifyState::Ready]);
    status.link("starting");
    if let Some(period) = sd_notify::watchdog_enabled() {
        tokio::spawn(async move {
            let mut beat = tokio::time::interval(period / 2);
            loop {
                beat.tick().await;
                tell(&[NotifyState::Watchdog]);
            }
        });
    }
}

/// Tells the service manager that the agent goes.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "the service manager can't be told");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_names_the_link_and_what_runs() {
        let status = Status::default();
        status.link("connected to c:7443, epoch 3");
        status.began("r42-7".parse().unwrap(), "restart debvisor.service".into());
        let said = || status.now.lock().unwrap().said.clone();
        assert_eq!(said(), "connected to c:7443, epoch 3; r42-7 restart debvisor.service");
        status.ended("r42-7".parse().unwrap());
        assert_eq!(said(), "connected to c:7443, epoch 3");
    }

    #[test]
    fn an_outcome_that_can_not_be_written_is_told_until_it_is_written() {
        let status = Status::default();
        let id = || "r42-7".parse().unwrap();
        let said = || status.now.lock().unwrap().said.clone();
        status.link("connected to c:7443, epoch 3");
        status.unwritten(id(), "no space".into());
        let line = "connected to c:7443, epoch 4; can't write the outcome of r42-7: no space";
        status.link("connected to c:7443, epoch 4");
        assert_eq!(said(), line);
        status.written(id());
        assert_eq!(said(), "connected to c:7443, epoch 4");
    }
}

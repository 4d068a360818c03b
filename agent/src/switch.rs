//! The dead-man's switch: a host that nobody confirms in time goes back by itself. One small file for each
//! rollout says what it would do, and when; it outlives the agent and the machine.

mod clock;
mod earlier;
mod file;
mod firing;

use std::{
    collections::BTreeMap,
    io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use dv_types::{CommandId, Evidence, OpResult, Operation, RolloutId, Span, Subject, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

pub(crate) use clock::Clock;
pub(crate) use firing::watch;

use crate::{durable, ledger::Mark, operations::Attempt, ports::Disk};
use clock::Moment;
use file::Change;

/// How long it is known that a switch has fired: as long as the ledger knows outcomes.
const KEPT: Span = Span::from_secs(7 * 86_400);

/// One switch: one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Switch {
    /// The command that armed it.
    command: CommandId,
    within: Span,
    until: Timestamp,
    /// The same by a clock that nobody can set, as long as the host is not started anew.
    boot: String,
    until_since_boot: Span,
    revert: Vec<Operation>,
    state: State,
    /// Where in its file the next line goes; nothing where there is no room for one.
    #[serde(skip)]
    end: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Armed,
    Firing {
        at: Timestamp,
        /// What became of the operations, in order, as far as it has come.
        results: Vec<OpResult>,
        /// The next one has been begun.
        begun: Option<Begun>,
    },
    Reverted {
        at: Timestamp,
        results: Vec<OpResult>,
    },
}

/// What is written before an operation, to settle it after a crash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Begun {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mark: Option<Mark>,
}

impl Switch {
    /// How long until it fires.
    fn remaining(&self, now: &Moment) -> Duration {
        match self.state {
            State::Armed if !now.boot.is_empty() && self.boot == now.boot => {
                self.until_since_boot.get().saturating_sub(now.since_boot.get())
            }
            // The host was started anew: its clock is all that there is.
            State::Armed => Span::between(now.wall, self.until).get(),
            State::Firing { .. } => Duration::ZERO,
            State::Reverted { .. } => Duration::MAX,
        }
    }

    /// Its time is up, and it has not ended yet: nobody can confirm it any more.
    fn is_firing(&self, now: &Moment) -> bool {
        self.remaining(now).is_zero()
    }

    fn covers_any_of(&self, subjects: &[Subject]) -> bool {
        self.revert.iter().flat_map(Operation::subjects).any(|subject| subjects.contains(&subject))
    }

    /// The answer to every further command of its rollout, once it has fired.
    fn answer(&self) -> Option<Attempt> {
        let State::Reverted { at, results } = &self.state else { return None };
        let mut why = format!(
            "the host went back by itself at {at}, because nobody confirmed it within {}",
            self.within
        );
        for (operation, result) in self.revert.iter().zip(results).filter(|(_, r)| !r.is_done()) {
            why += &format!("; on the way, {operation}: {result}");
        }
        let complete = results.iter().all(OpResult::is_done);
        let evidence = Evidence::Reverted { at: *at, complete };
        Some(Attempt::from(OpResult::Failed(why)).with_evidence(evidence))
    }
}

/// All switches of the host. Calls that change one wait for the disk: they go through [`Switches::with`].
#[derive(Clone)]
pub(crate) struct Switches {
    inner: Arc<Inner>,
}

struct Inner {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    clock: Clock,
    /// One change at a time: of a confirmation and the firing, the first wins.
    changing: Mutex<()>,
    all: Mutex<BTreeMap<RolloutId, Switch>>,
    changed: Notify,
}

/// The switch has fired, or its time is up and it is about to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fired;

impl Switches {
    /// Takes up where the files left off, and forgets what is old.
    pub(crate) fn open(disk: Arc<dyn Disk>, directory: PathBuf, clock: Clock) -> io::Result<Self> {
        disk.private_directory(&directory)?;
        let mut all = BTreeMap::new();
        for path in disk.list(&directory)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.ends_with(durable::TEMPORARY) {
                // Not yet renamed when the agent died: it never happened.
                durable::remove(&*disk, &path)?;
            } else if let Some(id) = name.strip_suffix(".json").and_then(|n| n.parse().ok()) {
                match file::read(&*disk, &path) {
                    Ok((mut switch, end)) => {
                        switch.end = end;
                        all.insert(id, switch);
                    }
                    Err(why) => tracing::error!(
                        file = %path.display(), why,
                        "a damaged dead-man's switch: the host will not go back by itself",
                    ),
                }
            }
        }
        let inner = Inner {
            disk,
            directory,
            clock,
            changing: Mutex::default(),
            all: Mutex::new(all),
            changed: Notify::new(),
        };
        let switches = Self { inner: Arc::new(inner) };
        switches.prune();
        switches.make_room();
        Ok(switches)
    }

    /// None, and nowhere to keep any.
    #[cfg(test)]
    pub(crate) fn of_test() -> Self {
        let inner = Inner {
            disk: Arc::new(crate::adapter::disk::HostDisk),
            directory: "/nowhere".into(),
            clock: Clock::of_host(Arc::new(crate::adapter::host::Host)),
            changing: Mutex::default(),
            all: Mutex::default(),
            changed: Notify::new(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Does `work` where it holds nobody up, and to its end, whatever becomes of the caller.
    async fn with<T: Send + 'static>(&self, work: impl FnOnce(&Self) -> T + Send + 'static) -> T {
        let switches = self.clone();
        durable::apart(self.disk(), move || {
            let done = {
                let _changing = switches.inner.changing.lock().expect("no panic under this lock");
                work(&switches)
            };
            switches.inner.changed.notify_waiters();
            done
        })
        .await
    }

    /// Arms a switch in the place of any other of its rollout, or of its subjects. Asked again, it stays as it is.
    pub(crate) async fn arm(
        &self,
        command: CommandId,
        within: Span,
        revert: Vec<Operation>,
    ) -> io::Result<Result<Timestamp, Fired>> {
        self.with(move |switches| {
            let now = switches.now();
            switches.prune();
            match switches.get(command.rollout) {
                Some(known) if known.state != State::Armed || known.is_firing(&now) => {
                    return Ok(Err(Fired));
                }
                Some(known) if known.command == command => return Ok(Ok(known.until)),
                _ => {}
            }
            let switch = Switch {
                command,
                within,
                until: within.after(now.wall),
                boot: now.boot.clone(),
                until_since_boot: now.since_boot.plus(within),
                revert,
                state: State::Armed,
                end: None,
            };
            let until = switch.until;
            let subjects: Vec<_> = switch.revert.iter().flat_map(Operation::subjects).collect();
            // First the new one: a host with two ways back is better off than one with none.
            switches.write(switch)?;
            if let Err(error) = switches.clear_others(command.rollout, &subjects, &now) {
                // What is said not to be armed must not fire.
                switches.remove(command.rollout)?;
                return Err(error);
            }
            Ok(Ok(until))
        })
        .await
    }

    /// Lets the switch of `rollout` go, if there is one.
    pub(crate) async fn confirm(&self, rollout: RolloutId) -> io::Result<Result<(), Fired>> {
        self.with(move |switches| {
            let now = switches.now();
            switches.prune();
            let Some(switch) = switches.get(rollout) else { return Ok(Ok(())) };
            if switch.state != State::Armed || switch.is_firing(&now) {
                return Ok(Err(Fired));
            }
            switches.remove(rollout)?;
            let subjects: Vec<_> = switch.revert.iter().flat_map(Operation::subjects).collect();
            switches.clear_others(rollout, &subjects, &now)?;
            Ok(Ok(()))
        })
        .await
    }

    /// Whether the switch of `rollout` is firing, or about to.
    pub(crate) fn is_firing(&self, rollout: RolloutId) -> bool {
        let now = self.now();
        self.all().get(&rollout).is_some_and(|switch| switch.is_firing(&now))
    }

    /// What every further command of `rollout` is answered, if its switch has fired; waits until that has ended.
    pub(crate) async fn reverted(&self, rollout: RolloutId) -> Option<Attempt> {
        loop {
            // Before the look, so that a change right after it is noticed.
            let changed = self.inner.changed.notified();
            if !self.is_firing(rollout) {
                break;
            }
            changed.await;
        }
        self.all().get(&rollout)?.answer()
    }

    /// Older switches of others that these subjects belong to now. One that is firing goes on.
    fn clear_others(
        &self,
        rollout: RolloutId,
        subjects: &[Subject],
        now: &Moment,
    ) -> io::Result<()> {
        let replaced: Vec<_> = self
            .all()
            .iter()
            .filter(|(other, switch)| {
                **other != rollout && switch.covers_any_of(subjects) && !switch.is_firing(now)
            })
            // What has fired stays known to its own rollout, unless a later one has come since.
            .filter(|(other, switch)| switch.state == State::Armed || **other < rollout)
            .map(|(other, _)| *other)
            .collect();
        replaced.into_iter().try_for_each(|other| self.remove(other))
    }

    /// The switch that fires next, and in how long.
    fn next(&self) -> Option<(RolloutId, Duration)> {
        let now = self.now();
        let all = self.all();
        let waiting = all.iter().map(|(rollout, switch)| (*rollout, switch.remaining(&now)));
        waiting.filter(|(_, wait)| *wait < Duration::MAX).min_by_key(|(_, wait)| *wait)
    }

    /// The switch begins to fire, unless somebody was faster.
    async fn fire(&self, rollout: RolloutId) -> io::Result<Option<Switch>> {
        self.with(move |switches| {
            let now = switches.now();
            let Some(switch) = switches.get(rollout) else { return Ok(None) };
            match switch.state {
                _ if !switch.is_firing(&now) => Ok(None),
                State::Armed => switches.add(switch, Change::Firing(now.wall)).map(Some),
                _ => Ok(Some(switch)),
            }
        })
        .await
    }

    /// The switch has come on.
    async fn note(&self, switch: &Switch, change: Change) -> io::Result<Switch> {
        let switch = switch.clone();
        self.with(move |switches| switches.add(switch, change)).await
    }

    /// Writes a switch anew, with room for what may become of it.
    fn write(&self, mut switch: Switch) -> io::Result<Switch> {
        let rollout = switch.command.rollout;
        switch.end = Some(file::write(self.disk(), &self.path(rollout), &switch)?);
        self.all().insert(rollout, switch.clone());
        Ok(switch)
    }

    /// Brings a switch on: first in its file.
    fn add(&self, mut switch: Switch, change: Change) -> io::Result<Switch> {
        let rollout = switch.command.rollout;
        let Some(end) = switch.end else {
            switch.take(change);
            return self.write(switch);
        };
        switch.end = Some(file::add(self.disk(), &self.path(rollout), end, &change)?);
        switch.take(change);
        self.all().insert(rollout, switch.clone());
        Ok(switch)
    }

    /// Makes room in the files of an earlier version.
    fn make_room(&self) {
        let without: Vec<_> = self.all().values().filter(|s| s.end.is_none()).cloned().collect();
        for switch in without {
            let rollout = switch.command.rollout;
            if let Err(error) = self.write(switch) {
                tracing::warn!(%rollout, %error, "a dead-man's switch has no room in its file: it can't fire while the disk is full");
            }
        }
    }

    fn remove(&self, rollout: RolloutId) -> io::Result<()> {
        durable::remove_for_good(self.disk(), &self.path(rollout))?;
        self.all().remove(&rollout);
        Ok(())
    }

    fn prune(&self) {
        let now = self.now().wall;
        let old = |switch: &Switch| match switch.state {
            State::Reverted { at, .. } => Span::between(at, now) > KEPT,
            _ => false,
        };
        let ids: Vec<_> = self.all().iter().filter(|(_, s)| old(s)).map(|(id, _)| *id).collect();
        for id in ids {
            if let Err(error) = self.remove(id) {
                tracing::warn!(rollout = %id, %error, "an old dead-man's switch can't be removed");
            }
        }
    }

    /// The newest rollout that has a switch.
    pub(crate) fn newest(&self) -> Option<RolloutId> {
        self.all().keys().next_back().copied()
    }

    fn get(&self, rollout: RolloutId) -> Option<Switch> {
        self.all().get(&rollout).cloned()
    }

    fn path(&self, rollout: RolloutId) -> PathBuf {
        self.inner.directory.join(format!("{rollout}.json"))
    }

    fn disk(&self) -> &dyn Disk {
        &*self.inner.disk
    }

    fn now(&self) -> Moment {
        self.inner.clock.now()
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<RolloutId, Switch>> {
        self.inner.all.lock().expect("no panic under this lock")
    }
}

#[cfg(test)]
mod tests;

//! The present state and the time, and the next decision that follows. Each call makes one decision; the
//! order of the questions below is the order of their importance.

use dv_types::{
    Fact, Timestamp, WaitingOn,
    manifest::OnFailure,
    plan::Kind,
    record::{PauseWhy, Verdict},
};

use crate::{
    Rollout,
    rollout::{Mode, Promotion},
};

impl Rollout {
    /// What is decided next: nothing, where nothing is due.
    pub(crate) fn decide(&self, now: Timestamp) -> Vec<Fact> {
        let decision = match self.mode {
            Mode::New | Mode::Ended { .. } => None,
            Mode::Ending { verdict, rollback } => self
                .verdict_of_a_host()
                .or_else(|| self.silence_of_once(now))
                .or_else(|| self.silence(now))
                .or_else(|| self.wind_up(verdict, rollback)),
            Mode::Running | Mode::Paused(_) => self
                .verdict_of_a_host()
                .or_else(|| self.verdict_of_once())
                .or_else(|| self.budget())
                .or_else(|| self.verdict_of_monitor(now))
                .or_else(|| self.silence_of_once(now))
                .or_else(|| self.silence(now))
                .or_else(|| self.unreachable())
                .or_else(|| self.come_back())
                .or_else(|| self.continue_a_host())
                .or_else(|| self.once_of_steps())
                .or_else(|| self.go_on(now)),
        };
        decision.into_iter().collect()
    }

    /// A host that has answered, and is thereby done or has failed.
    fn verdict_of_a_host(&self) -> Option<Fact> {
        self.index.concluded.iter().find_map(|&i| {
            let host = self.name(i).clone();
            if let Some(why) = &self.hosts[i].failure {
                let step = self.hosts[i].done as usize;
                let what = self.operations(i).get(step).map(ToString::to_string);
                let what = what.unwrap_or_default();
                return Some(Fact::HostFailed { host, why: format!("{what} {why}") });
            }
            let all = self.hosts[i].done as usize >= self.operations(i).len();
            // One on which nothing is to be done takes its turn all the same.
            let turn = self.wave.is_some_and(|wave| self.places[i].wave as u32 <= wave);
            let all = all && (self.hosts[i].attempt > 0 || turn && self.hosts[i].connected);
            all.then_some(Fact::HostHealthy { host })
        })
    }

    /// Whether it waits for a person because of something that went wrong, so that nothing at all is commanded.
    pub(crate) fn has_stopped(&self) -> bool {
        let Mode::Paused(why) = &self.mode else { return false };
        matches!(
            why,
            PauseWhy::Failures { .. } | PauseWhy::Condemned { .. } | PauseWhy::Migrated { .. }
        )
    }

    /// More failures than are tolerated.
    fn budget(&self) -> Option<Fact> {
        let limits = &self.plan.limits;
        if self.has_stopped() || limits.on_failure == OnFailure::Continue {
            return None;
        }
        let failed = self.index.totals.failed;
        let tolerated = limits.max_failures.saturating_add(self.forgiven_failures);
        if failed <= tolerated {
            return None;
        }
        let tolerated = limits.max_failures;
        let migrations = self.forbids_way_back();
        if limits.on_failure == OnFailure::Rollback && !migrations.is_empty() {
            let because = PauseWhy::Failures { failed, tolerated }.to_string();
            return Some(Fact::Paused { why: PauseWhy::Migrated { migrations, because } });
        }
        Some(Fact::BudgetSpent { failed, tolerated })
    }

    /// A host from which nothing was heard for too long, or whose relapse is over.
    fn silence(&self, now: Timestamp) -> Option<Fact> {
        let &(_, i) = self.index.alarms.first().filter(|(at, _)| *at <= now)?;
        if let Some(end) = self.relapse_ended(i) {
            return Some(end);
        }
        let host = self.name(i).clone();
        if !self.hosts[i].connected {
            return Some(Fact::HostUnreachable { host, known: self.known_of(i) });
        }
        let flight = self.hosts[i].flight.as_ref()?;
        let what = &self.operations(i)[flight.step as usize];
        let why = match flight.cancelling {
            Some(_) => {
                format!("{what} was called off, and the agent did not say what became of it")
            }
            None => format!(
                "{what}: the agent is in contact but did not answer within {} and some grace",
                flight.limit
            ),
        };
        Some(Fact::HostFailed { host, why })
    }

    /// What can be said of a host that is out of contact.
    fn known_of(&self, i: usize) -> String {
        let host = &self.hosts[i];
        let contact = format!("not in contact since {:.0}", host.contact);
        let last = host.given.last().filter(|_| host.attempt > 0);
        match (&host.flight, last) {
            (Some(flight), _) => format!(
                "{contact}; told at {:.0} to {} ({}), outcome unknown",
                flight.since,
                self.operations(i)[flight.step as usize],
                flight.command
            ),
            (None, Some(last)) => format!(
                "{contact}; its last operation, {}, was done",
                self.operations(i)[last.step as usize]
            ),
            (None, None) => format!("{contact}; nothing was begun"),
        }
    }

    /// More hosts out of reach than are tolerated.
    fn unreachable(&self) -> Option<Fact> {
        let tolerated = self.plan.limits.max_unreachable;
        let unreachable = self.index.totals.unreachable;
        let spent = unreachable > tolerated.max(self.forgiven_unreachable);
        (self.mode == Mode::Running && spent)
            .then_some(Fact::Paused { why: PauseWhy::Unreachable { unreachable, tolerated } })
    }

    /// A host that was out of reach and is in contact again.
    fn come_back(&self) -> Option<Fact> {
        let &i = self.index.returned.first()?;
        Some(Fact::HostReturned { host: self.name(i).clone() })
    }

    /// The next operation of a host under way.
    fn continue_a_host(&self) -> Option<Fact> {
        let alike = self.plan.programs.len() == 1;
        let mut from = (0, 0);
        while let Some(&(done, i)) = self.index.able.range(from..).next() {
            from = (done, i + 1);
            match self.may_continue(i) {
                Ok(()) => return Some(self.commanded(i, self.hosts[i].attempt)),
                // Where all do the same, all who have come so far wait with it.
                Err(WaitingOn::Once { .. }) if alike => from = (done + 1, 0),
                // Or all of them that serve.
                Err(WaitingOn::MinAvailable { .. }) if alike => {
                    let free = self.index.free.range((done, 0)..(done + 1, 0)).next();
                    if let Some(&(_, i)) = free.filter(|&&(_, i)| self.may_continue(i).is_ok()) {
                        return Some(self.commanded(i, self.hosts[i].attempt));
                    }
                    from = (done + 1, 0);
                }
                _ => {}
            }
        }
        None
    }

    /// The next host, the next wave, the end; or a pause where nothing gets on.
    fn go_on(&self, now: Timestamp) -> Option<Fact> {
        if self.mode != Mode::Running {
            return None;
        }
        if self.progress_deadline().is_some_and(|deadline| deadline <= now) {
            let why = self.silence_of_gates().unwrap_or(PauseWhy::NoProgress);
            return Some(Fact::Paused { why });
        }
        if let Some(i) = self.next_to_begin() {
            let host = &self.hosts[i];
            // A host that came back in the middle goes on where it was.
            let resumes = host.flight.is_some() || host.done > 0;
            return Some(self.commanded(i, host.attempt + u32::from(!resumes)));
        }
        if !self.gates_hold() {
            return self.verdict_of_gates();
        }
        self.after_wave()
    }

    /// The host that may begin now, if one may.
    fn next_to_begin(&self) -> Option<usize> {
        let &first = self.index.startable.first()?;
        match self.may_begin(first) {
            Ok(()) => Some(first),
            // The others that serve wait as well; one from which nothing is taken need not.
            Err(WaitingOn::MinAvailable { .. }) => {
                self.index.idle.first().copied().filter(|&i| self.may_begin(i).is_ok())
            }
            Err(_) => None,
        }
    }

    /// The command that a host gets next; the same again where it has not answered the last.
    fn commanded(&self, i: usize, attempt: u32) -> Fact {
        let host = &self.hosts[i];
        let name = self.name(i).clone();
        match &host.flight {
            Some(f) => Fact::Commanded { host: name, command: f.command, attempt, step: f.step },
            None => Fact::Commanded {
                host: name,
                command: self.next_command(),
                attempt,
                step: self.next_step(i),
            },
        }
    }

    /// Nothing more is commanded; what is under way is called off, and the rollout ends when all is quiet.
    fn wind_up(&self, verdict: Verdict, rollback: bool) -> Option<Fact> {
        for &i in &self.index.working {
            let host = self.name(i).clone();
            match &self.hosts[i].flight {
                // A host out of contact holds nobody's way back up.
                _ if !self.hosts[i].connected => {
                    return Some(Fact::HostUnreachable { host, known: self.known_of(i) });
                }
                None => return Some(Fact::HostStopped { host }),
                Some(flight) if flight.cancelling.is_none() => {
                    return Some(Fact::Cancelling { host, command: flight.command });
                }
                Some(_) => {}
            }
        }
        if let Some(fact) = self.wind_up_once() {
            return fact;
        }
        let quiet = self.index.working.is_empty();
        // What was heard of the database since the decision may forbid what follows by itself.
        let by_person = verdict == Verdict::Aborted;
        let rollback = rollback
            && self.has_way_back(by_person)
            && (by_person || self.forbids_way_back().is_empty());
        quiet.then_some(Fact::Ended { verdict, rollback })
    }

    /// The end after the last wave.
    pub(crate) fn end(&self) -> Fact {
        let totals = &self.index.totals;
        let limits = &self.plan.limits;
        let left_behind = match self.plan.kind {
            // A host that could not be taken back still runs what was taken back.
            Kind::Reversal { .. } => {
                let left_out = self.plan.left_as_they_are().next().is_some();
                left_out || totals.failed + totals.unreachable > 0
            }
            // That a person let it go on makes no host healthy.
            Kind::Forward | Kind::CatchUp { .. } => {
                let none = totals.healthy == 0 && totals.failed + totals.unreachable > 0;
                let beyond = totals.failed > limits.max_failures
                    || totals.unreachable > limits.max_unreachable;
                none || beyond
            }
        };
        let verdict = if left_behind { Verdict::Failed } else { Verdict::Succeeded };
        Fact::Ended { verdict, rollback: false }
    }

    /// It is over, and did not succeed.
    pub(crate) fn failed(&self) -> Fact {
        Fact::Ended { verdict: Verdict::Failed, rollback: false }
    }

    /// When the lack of progress becomes news. What happens once and monitors have limits of their own.
    pub(crate) fn progress_deadline(&self) -> Option<Timestamp> {
        let otherwise = self.promotion == Promotion::Awaited
            || self.once_in_flight().is_some()
            || self.watch_under_way().is_some();
        let watched = self.mode == Mode::Running && !otherwise;
        watched.then(|| self.plan.limits.progress_deadline.after(self.progress))
    }
}

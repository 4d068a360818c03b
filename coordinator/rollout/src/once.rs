//! What happens once, however many hosts there are: whose turn it is, where it runs, and what is known of it.
//! A command of it is never given again by itself: where nobody knows whether it was done, a person says.

use dv_types::{
    Command, CommandId, Evidence, Fact, HostName, OpResult, Operation, Outcome, Span, Timestamp,
    WaitingOn,
    plan::{Kind, PlannedOnce, Turn},
    record::{Condemner, PauseWhy},
};

use crate::{Effect, Rollout, fit::shortened, host::ANSWER_GRACE, rollout::Mode};

/// One step that happens once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Once {
    pub(crate) state: State,
    /// Every command that was given for it.
    pub(crate) given: Vec<Given>,
    /// Who said whether it was done, where a person had to.
    pub(crate) resolved_by: Option<String>,
}

/// How it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum State {
    #[default]
    Pending,
    Working(Flight),
    Done,
    Failed(String),
    Unknown(String),
}

/// Its command without an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flight {
    pub(crate) host: HostName,
    pub(crate) command: CommandId,
    pub(crate) since: Timestamp,
    pub(crate) cancelling: Option<Timestamp>,
}

/// A command that was given for it.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    pub(crate) host: HostName,
    pub(crate) command: CommandId,
    pub(crate) since: Timestamp,
    pub(crate) answer: Option<Answer>,
    /// A person has said that it was not done.
    pub(crate) not_done: bool,
}

/// What the host said became of it, without what it printed.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) result: OpResult,
    pub(crate) took: Span,
    pub(crate) evidence: Option<Evidence>,
}

impl Once {
    fn flight(&self) -> Option<&Flight> {
        match &self.state {
            State::Working(flight) => Some(flight),
            _ => None,
        }
    }

    pub(crate) fn last(&self) -> Option<&Given> {
        self.given.last()
    }

    /// Whether a host was told to do it, and did not refuse.
    pub(crate) fn was_begun(&self) -> bool {
        let refused = |given: &Given| {
            given.answer.as_ref().is_some_and(|a| matches!(a.result, OpResult::Refused(_)))
        };
        self.given.iter().any(|given| !refused(given))
    }

    /// Commands without an answer that nobody waits for any more. One of which nobody knows is waited for until a
    /// person speaks: its host may be in the middle of it.
    fn to_call_off(&self) -> impl Iterator<Item = &Given> {
        let awaited = matches!(self.state, State::Working(_) | State::Unknown(_));
        let awaited = self.given.last().filter(|_| awaited).map(|given| given.command);
        self.given.iter().filter(move |g| g.answer.is_none() && Some(g.command) != awaited)
    }
}

impl Rollout {
    /// The step that happens once and that a host must see done before it goes on.
    pub(crate) fn barrier(&self, i: usize) -> Option<usize> {
        let mut barriers = self.plan.barriers(self.planned(i), self.hosts[i].done);
        barriers.find(|&k| self.once.get(k).is_some_and(|once| once.state != State::Done))
    }

    /// The wait for a step that happens once.
    pub(crate) fn waiting_on_once(&self, k: usize) -> WaitingOn {
        let once = self.plan.once[k].name.clone();
        let host = self.once[k].flight().map(|flight| flight.host.clone());
        WaitingOn::Once { once, host }
    }

    /// The step that is under way; there is never more than one.
    pub(crate) fn once_in_flight(&self) -> Option<(usize, &Flight)> {
        self.once.iter().enumerate().find_map(|(k, once)| Some((k, once.flight()?)))
    }

    /// A step of this turn that is not done.
    pub(crate) fn open_once(&self, turn: Turn) -> Option<usize> {
        (0..self.once.len())
            .find(|&k| self.plan.once[k].turn == turn && self.once[k].state != State::Done)
    }

    /// What a step that could not be done leads to.
    pub(crate) fn verdict_of_once(&self) -> Option<Fact> {
        let (k, once) = self
            .once
            .iter()
            .enumerate()
            .find(|(_, once)| matches!(once.state, State::Failed(_) | State::Unknown(_)))?;
        let name = &self.plan.once[k].name;
        match (&once.state, &self.mode) {
            // What is known to be bad needs nobody who goes on first.
            (State::Failed(why), Mode::Running | Mode::Paused(_)) if !self.has_stopped() => {
                // A rollback that has done its work says so, and how it looks afterwards.
                let reversal = matches!(self.plan.kind, Kind::Reversal { .. });
                if reversal && self.plan.once[k].turn == Turn::End {
                    return Some(self.failed());
                }
                let by = Condemner::Once { once: name.clone() };
                Some(self.condemn(by, format!("{} {why}", self.plan.once[k].operation)))
            }
            (State::Unknown(known), Mode::Running) => Some(Fact::Paused {
                why: PauseWhy::OnceUnknown { once: name.clone(), known: known.clone() },
            }),
            _ => None,
        }
    }

    /// Nothing is heard of the host that carries a step out.
    pub(crate) fn silence_of_once(&self, now: Timestamp) -> Option<Fact> {
        let (k, flight) = self.once_in_flight()?;
        if self.once_alarm()? > now {
            return None;
        }
        let (connected, contact) = self.contact(&flight.host);
        let told = self.once_told(k, flight);
        let known = match connected {
            false => format!("{told}, and is not in contact since {contact:.0}"),
            true => format!("{told}, and has not answered by its time limit"),
        };
        Some(Fact::OnceLost { once: k as u32, known })
    }

    /// A host that has enrolled anew since it was told a step has no record of it, and would do it a second time.
    pub(crate) fn forgotten_once(&self, host: &HostName, enrolled: Timestamp) -> Option<Fact> {
        let (k, flight) = self.once_in_flight()?;
        let forgotten = flight.host == *host && flight.since < enrolled;
        let known = || {
            let told = self.once_told(k, flight);
            format!(
                "{told}, and has enrolled anew at {enrolled:.0}: what it did before is not known"
            )
        };
        forgotten.then(|| Fact::OnceLost { once: k as u32, known: known() })
    }

    /// What is known of a command without an answer.
    fn once_told(&self, k: usize, flight: &Flight) -> String {
        let operation = &self.plan.once[k].operation;
        format!("{} was told at {:.0} to {operation}", flight.host, flight.since)
    }

    /// When that silence becomes news.
    pub(crate) fn once_alarm(&self) -> Option<Timestamp> {
        let (k, flight) = self.once_in_flight()?;
        let (connected, contact) = self.contact(&flight.host);
        if !connected {
            return Some(self.plan.limits.lost_after.after(contact));
        }
        Some(match flight.cancelling {
            Some(since) => ANSWER_GRACE.after(since.max(contact)),
            None => {
                let limit = self.plan.once[k].operation.time_limit();
                limit.plus(ANSWER_GRACE).after(flight.since.max(contact))
            }
        })
    }

    /// Begins step `k`, which `first` has come to, on the host where it belongs; nothing where that is out of contact.
    pub(crate) fn begin_once(&self, k: usize, first: Option<usize>) -> Option<Fact> {
        if self.once[k].state != State::Pending || self.once_in_flight().is_some() {
            return None;
        }
        let listed = &self.plan.once[k].hosts;
        let host = match listed.is_empty() {
            true => self.name(first?).clone(),
            false => listed.iter().find(|host| self.contact(host).0)?.clone(),
        };
        Some(Fact::OnceCommanded { once: k as u32, host, command: self.next_command() })
    }

    /// The step whose turn comes with a host that has come to it.
    pub(crate) fn once_of_steps(&self) -> Option<Fact> {
        if self.mode != Mode::Running || self.once_in_flight().is_some() {
            return None;
        }
        let under_way = self.index.ready.iter().map(|&(_, i)| i);
        let mut under_way = under_way.filter(|&i| self.hosts[i].connected);
        if let Some((i, k)) = under_way.find_map(|i| Some((i, self.barrier(i)?))) {
            return self.begin_once(k, Some(i));
        }
        let waits =
            |&&i: &&usize| !matches!(self.may_begin(i), Err(WaitingOn::MinAvailable { .. }));
        let &i = self.index.startable.iter().find(waits)?;
        match self.may_begin(i) {
            Err(WaitingOn::Once { .. }) => self.begin_once(self.barrier(i)?, Some(i)),
            _ => None,
        }
    }

    /// A step after a wave: its command, or the wait for it.
    pub(crate) fn once_after(&self, turn: Turn, first: Option<usize>) -> Option<Option<Fact>> {
        let k = self.open_once(turn)?;
        Some(self.begin_once(k, first))
    }

    /// What a rollback does to the database, and to whatever else happened once: it comes before the first host, and
    /// also where no host goes back.
    pub(crate) fn once_before_hosts(&self) -> Option<Option<Fact>> {
        let alone = self.plan.waves.is_empty();
        let before = alone || matches!(self.plan.kind, Kind::Reversal { .. });
        before.then(|| self.once_after(Turn::Steps, None)).flatten()
    }

    /// Calls off what is under way, because the rollout ends.
    pub(crate) fn wind_up_once(&self) -> Option<Option<Fact>> {
        let (k, flight) = self.once_in_flight()?;
        let once = k as u32;
        if !self.contact(&flight.host).0 {
            // What was done to the database decides the way back, and after the end nothing is taken in any more:
            // the host has its time to come back. The rest holds nobody's way back up.
            let decides = self.plan.once[k].operation.touches();
            let known = || format!("{}, and is not in contact", self.once_told(k, flight));
            return Some((!decides).then(|| Fact::OnceLost { once, known: known() }));
        }
        Some(flight.cancelling.is_none().then_some(Fact::OnceCancelling { once }))
    }

    /// Whether a host is in contact, and since when that is so.
    pub(crate) fn contact(&self, host: &HostName) -> (bool, Timestamp) {
        match self.host(host) {
            Some(i) => (self.hosts[i].connected, self.hosts[i].contact),
            None => self.helpers.get(host).copied().unwrap_or((false, self.began)),
        }
    }

    /// Which step a command of a host was given for.
    pub(crate) fn once_of(&self, host: &HostName, command: CommandId) -> Option<(usize, &Given)> {
        self.once.iter().enumerate().find_map(|(k, once)| {
            let given = once.given.iter().find(|g| g.command == command && g.host == *host)?;
            Some((k, given))
        })
    }

    /// What a host must hear of steps that happen once: what it was told and has not answered, and what it need not
    /// do any more.
    pub(crate) fn greet_once(&self, host: &HostName) -> Vec<Effect> {
        let steps = self.once.iter().enumerate();
        let mut effects: Vec<_> = steps
            .filter_map(|(k, once)| Some((k, once.flight()?)))
            .filter(|(_, flight)| flight.host == *host)
            .flat_map(|(k, flight)| self.send_and_cancel_once(k, flight))
            .collect();
        let every = self.once.iter();
        effects.extend(
            every
                .flat_map(|once| once.to_call_off().filter(|c| c.host == *host))
                .map(|given| Effect::Cancel { host: given.host.clone(), command: given.command }),
        );
        effects
    }

    /// A person has said what became of a step: its hosts in contact need not do any more what they were told.
    pub(crate) fn call_off_once(&self, name: &str) -> Vec<Effect> {
        let once = self.once_named(name).map(|k| &self.once[k]);
        let given = once.into_iter().flat_map(Once::to_call_off);
        given
            .filter(|given| self.contact(&given.host).0)
            .map(|given| Effect::Cancel { host: given.host.clone(), command: given.command })
            .collect()
    }

    /// The command of a step, and that it is called off, where it is.
    pub(crate) fn send_and_cancel_once(&self, k: usize, flight: &Flight) -> Vec<Effect> {
        let cancel = || Effect::Cancel { host: flight.host.clone(), command: flight.command };
        let cancel = flight.cancelling.map(|_| cancel());
        std::iter::once(self.send_once(k, flight)).chain(cancel).collect()
    }

    /// The command of a step, named after its rollout.
    pub(crate) fn send_once(&self, k: usize, flight: &Flight) -> Effect {
        let PlannedOnce { operation, .. } = &self.plan.once[k];
        let id = self.id.to_string();
        let fill = |text: &str| text.replace("${rollout}", &id);
        let (id, given) = (flight.command, Some(flight.since));
        let command = Command { id, attempt: 1, given, operation: operation.map_texts(&fill) };
        Effect::Send { host: flight.host.clone(), command }
    }

    // How the records change it.

    pub(crate) fn apply_once_commanded(
        &mut self,
        once: u32,
        host: &HostName,
        command: CommandId,
        at: Timestamp,
    ) -> Result<(), String> {
        if command != self.next_command() {
            return Err(format!("{command} is not the next command"));
        }
        self.last_command = command.number;
        let step = self.once_mut(once)?;
        if step.state != State::Pending {
            return Err(format!("step {once} was begun already"));
        }
        step.state =
            State::Working(Flight { host: host.clone(), command, since: at, cancelling: None });
        step.given.push(Given {
            host: host.clone(),
            command,
            since: at,
            answer: None,
            not_done: false,
        });
        Ok(())
    }

    pub(crate) fn apply_once_reported(
        &mut self,
        once: u32,
        host: &HostName,
        outcome: &Outcome,
        at: Timestamp,
    ) -> Result<(), String> {
        let step = self.once_mut(once)?;
        let command = outcome.command;
        let answer = Answer {
            result: outcome.result.clone(),
            took: outcome.took,
            evidence: outcome.evidence.clone(),
        };
        let given = step.given.iter_mut().find(|g| g.command == command && g.host == *host);
        given.ok_or_else(|| format!("{host} was never given {command}"))?.answer = Some(answer);
        // A host that was out of reach and is back may know what nobody knew.
        let last = step.given.last().is_some_and(|g| g.command == command);
        let asked = matches!(step.state, State::Working(_) | State::Unknown(_));
        if !(last && asked) {
            return Ok(());
        }
        let called_off = step.flight().is_some_and(|flight| flight.cancelling.is_some());
        let name = self.plan.once[once as usize].name.clone();
        let step = self.once_mut(once)?;
        step.state = match &outcome.result {
            OpResult::Done => State::Done,
            OpResult::Unknown(why) => State::Unknown(why.clone()),
            // The rollout ends. Where nobody called it off, it is not begun again by itself.
            OpResult::Cancelled if called_off => State::Pending,
            bad => State::Failed(shortened(bad.to_string())),
        };
        let known = !matches!(step.state, State::Unknown(_));
        self.progress = at;
        let waits =
            matches!(&self.mode, Mode::Paused(PauseWhy::OnceUnknown { once, .. }) if *once == name);
        if known && waits {
            self.mode = Mode::Running;
        }
        Ok(())
    }

    pub(crate) fn apply_once_lost(&mut self, once: u32, known: &str) -> Result<(), String> {
        self.once_mut(once)?.state = State::Unknown(known.to_owned());
        Ok(())
    }

    pub(crate) fn apply_once_cancelling(&mut self, once: u32, at: Timestamp) -> Result<(), String> {
        if let State::Working(flight) = &mut self.once_mut(once)?.state {
            flight.cancelling = Some(at);
        }
        Ok(())
    }

    /// A person says whether it was done.
    pub(crate) fn resolve_once(&mut self, name: &str, done: bool, by: &str) -> Result<(), String> {
        let k = self.once_named(name).ok_or_else(|| format!("the plan has no {name}"))?;
        let step = &mut self.once[k];
        // What it does from now on is found out anew.
        step.resolved_by = done.then(|| by.to_owned());
        step.state = if done { State::Done } else { State::Pending };
        if let (false, Some(last)) = (done, step.given.last_mut()) {
            last.not_done = true;
        }
        Ok(())
    }

    /// A smoke test that failed is accepted by going on.
    pub(crate) fn accept_failed_smoke(&mut self, by: &str) {
        for (k, step) in self.once.iter_mut().enumerate() {
            let smoke = matches!(self.plan.once[k].operation, Operation::Smoke { .. });
            if smoke && matches!(step.state, State::Failed(_)) {
                step.state = State::Done;
                step.resolved_by = Some(by.to_owned());
            }
        }
    }

    pub(crate) fn once_named(&self, name: &str) -> Option<usize> {
        self.plan.once.iter().position(|once| once.name == name)
    }

    fn once_mut(&mut self, once: u32) -> Result<&mut Once, String> {
        self.once
            .get_mut(once as usize)
            .ok_or_else(|| format!("the plan has no step {once} that happens once"))
    }
}

//! One host in a rollout.

use dv_types::{CommandId, Evidence, Span, Timestamp, report::Phase};

use crate::relapse::{Patience, Relapse};

/// A connected agent that has not answered this long after an operation's own time limit is silent.
pub(crate) const ANSWER_GRACE: Span = Span::from_secs(30);

/// What is known of a host.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    pub(crate) phase: Phase,
    pub(crate) connected: bool,
    /// When `connected` last changed.
    pub(crate) contact: Timestamp,
    pub(crate) good: Option<bool>,
    /// It was called healthy, and turned bad since.
    pub(crate) relapse: Option<Relapse>,
    pub(crate) touched: bool,
    /// Given a command that may stop its service, and not shown to be well since.
    pub(crate) out: bool,
    /// 0 until the first command.
    pub(crate) attempt: u32,
    /// Operations of its program.
    pub(crate) program: u32,
    /// Operations of this attempt that are done.
    pub(crate) done: u32,
    pub(crate) flight: Option<Flight>,
    /// Every command that it was given in this rollout.
    pub(crate) given: Vec<Given>,
    /// A command of this attempt was not done; the host has not been called failed yet.
    pub(crate) failure: Option<String>,
    pub(crate) why: Option<String>,
    pub(crate) began: Option<Timestamp>,
    pub(crate) ended: Option<Timestamp>,
}

/// A command without an answer.
#[derive(Debug, Clone)]
pub(crate) struct Flight {
    pub(crate) command: CommandId,
    pub(crate) step: u32,
    pub(crate) since: Timestamp,
    /// The agent ends it by itself within this time.
    pub(crate) limit: Span,
    pub(crate) cancelling: Option<Timestamp>,
}

/// A command that was given.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    pub(crate) command: CommandId,
    pub(crate) step: u32,
    pub(crate) attempt: u32,
    pub(crate) since: Timestamp,
    pub(crate) touches: bool,
    pub(crate) reported: bool,
    /// The host did not begin it.
    pub(crate) refused: bool,
    pub(crate) evidence: Option<Evidence>,
}

impl Host {
    pub(crate) fn new(began: Timestamp, good: Option<bool>, program: u32) -> Self {
        Self {
            phase: Phase::Pending,
            connected: false,
            contact: began,
            good,
            relapse: None,
            touched: false,
            out: false,
            attempt: 0,
            program,
            done: 0,
            flight: None,
            given: Vec::new(),
            failure: None,
            why: None,
            began: None,
            ended: None,
        }
    }

    /// In contact and serving, as far as is known. A host that is out is not, until its probes say so.
    pub(crate) fn available(&self) -> bool {
        self.connected
            && match self.out {
                true => self.phase != Phase::Working && self.good == Some(true),
                false => self.good != Some(false),
            }
    }

    /// Whether its service is well. A host that was out when it failed or was stopped is not, whatever its probes said before.
    pub(crate) fn serving(&self) -> Option<bool> {
        let left = self.out && matches!(self.phase, Phase::Failed | Phase::Stopped);
        if left { Some(false) } else { self.good }
    }

    /// What the probes of a host that is out said before counts no longer: they are asked anew.
    pub(crate) fn doubt(&mut self, watched: bool) {
        if self.out && watched {
            self.good = None;
        }
    }

    /// Its wave can't pass before this host has come to an end.
    pub(crate) fn open(&self) -> bool {
        matches!(self.phase, Phase::Pending | Phase::Working)
    }

    /// It may take its turn.
    pub(crate) fn startable(&self) -> bool {
        self.phase == Phase::Pending && self.connected && !self.answered()
    }

    /// It has an answer that must be followed by a command or a verdict.
    pub(crate) fn answered(&self) -> bool {
        match self.phase {
            Phase::Working => self.flight.is_none(),
            // It came back after its last operation.
            Phase::Pending => {
                self.failure.is_some() || (self.flight.is_none() && self.done >= self.program)
            }
            _ => false,
        }
    }

    /// What it has answered decides what becomes of it.
    pub(crate) fn concluded(&self) -> bool {
        self.answered() && (self.failure.is_some() || self.done >= self.program)
    }

    /// It has more to do, and carries nothing out.
    pub(crate) fn ready(&self) -> bool {
        self.answered() && !self.concluded()
    }

    /// It is done and well, and can be asked to show it.
    pub(crate) fn proven(&self) -> bool {
        self.phase == Phase::Healthy && self.connected
    }

    /// It is back after having been out of reach.
    pub(crate) fn returned(&self) -> bool {
        self.phase == Phase::Unreachable && self.connected
    }

    /// When silence becomes news: a lost connection, a connected agent that does not answer, or a relapse.
    pub(crate) fn alarm(&self, patience: Patience) -> Option<Timestamp> {
        if !self.open() {
            return self.relapse_ends(patience);
        }
        if !self.connected {
            return Some(patience.lost_after.after(self.contact));
        }
        let flight = self.flight.as_ref().filter(|_| self.phase == Phase::Working)?;
        Some(match flight.cancelling {
            Some(since) => ANSWER_GRACE.after(since.max(self.contact)),
            None => flight.limit.plus(ANSWER_GRACE).after(flight.since.max(self.contact)),
        })
    }

    /// Whether it was given a command that changes what it runs, and did not refuse it.
    pub(crate) fn was_touched(&self) -> bool {
        !self.went_back() && self.given.iter().any(|g| g.touches && !g.refused)
    }

    /// Whether it went back by itself, all the way, because nobody confirmed it.
    pub(crate) fn went_back(&self) -> bool {
        let complete =
            |g: &Given| matches!(g.evidence, Some(Evidence::Reverted { complete: true, .. }));
        self.given.iter().rev().take_while(|g| g.attempt == self.attempt).any(complete)
    }

    pub(crate) fn given(&self, command: CommandId) -> Option<&Given> {
        self.given.iter().rev().find(|g| g.command == command)
    }

    pub(crate) fn given_mut(&mut self, command: CommandId) -> Option<&mut Given> {
        self.given.iter_mut().rev().find(|g| g.command == command)
    }
}
